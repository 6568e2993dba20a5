// Connection settings as dbt-postgres reads them, and everything wrong with them at once.
import path from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { describe, expect, test } from 'vitest'
import { postgresAddress } from './address.ts'
import { postgresSettings } from './settings.ts'

const LEAST = { type: 'postgres', host: 'db', user: 'loader', password: 'hush', dbname: 'shop', schema: 'analytics' }
const target = (settings: Readonly<Record<string, unknown>>) => ({
  profile: 'shop',
  target: 'prod',
  type: 'postgres',
  profilesDir: path.resolve('dbt'),
  settings,
  secrets: [],
})

test('the least that a profile says, with the defaults of dbt and libpq', () => {
  expect(postgresSettings(target(LEAST))).toEqual({
    host: 'db',
    port: 5432,
    user: 'loader',
    password: 'hush',
    database: 'shop',
    schema: 'analytics',
    sslmode: 'prefer',
    sslcert: undefined,
    sslkey: undefined,
    sslrootcert: undefined,
    searchPath: undefined,
    role: undefined,
    connectTimeoutMs: 10_000,
    keepalivesIdleMs: 0,
  })
})

test('everything that it can say; what the environment gave as text is a number where one is meant', () => {
  const { dbname: _dbname, password: _password, ...rest } = LEAST
  const settings = postgresSettings(
    target({
      ...rest,
      database: 'shop',
      pass: '  kept as it is ',
      port: '6543',
      sslmode: 'verify-full',
      sslrootcert: 'certs/root.crt',
      sslcert: '/etc/client.crt',
      sslkey: '/etc/client.key',
      search_path: 'analytics, raw',
      role: 'writers',
      connect_timeout: '5',
      keepalives_idle: 60,
      threads: 4,
      retries: 1,
      application_name: 'dbt of the shop',
    }),
  )
  expect(settings).toMatchObject({
    database: 'shop',
    password: '  kept as it is ',
    port: 6543,
    sslmode: 'verify-full',
    sslrootcert: path.resolve('dbt/certs/root.crt'),
    sslcert: '/etc/client.crt',
    searchPath: 'analytics, raw',
    role: 'writers',
    connectTimeoutMs: 5_000,
    keepalivesIdleMs: 60_000,
  })
})

test('a user and a database of digits are names', () => {
  expect(postgresSettings(target({ ...LEAST, user: 42, dbname: 7 }))).toMatchObject({ user: '42', database: '7' })
})

test('all that is wrong is told at once, and no secret', () => {
  const wrong = {
    type: 'postgres',
    host: 'a,b',
    port: 'hush1',
    user: ['hush2'],
    pass: 'hush3',
    password: 'hush4',
    schema: 'Analytics',
    sslmode: 'hush5',
    connect_timeout: -1,
    keepalive_idle: 3,
  }
  const message = messageOf(() => postgresSettings(target(wrong)))
  expect(message.split('\n')).toEqual([
    "dbt/profiles.yml, target 'prod':",
    "- keepalive_idle is not supported (did you mean 'keepalives_idle'?)",
    '- pass and password mean the same; leave one of them out',
    '- host must be one host: a list of them is not supported',
    '- schema must be a name of lower-case letters, digits and _',
    '- sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full',
    '- port must be a whole number from 0 to 65535',
    '- user must be a text',
    '- database is missing',
    '- connect_timeout must be a whole number from 0 to 3600',
  ])
  expect(message).not.toMatch(/hush/)
})

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === 'ProfileInvalid') return error.message
  }
  throw new Error('it did not fail as it should')
}

describe('the address', () => {
  test('names the database, and no secret', () => {
    expect(postgresAddress(target({ ...LEAST, port: 6543 }))).toEqual({
      kind: 'postgres',
      label: 'db:6543/shop',
      schema: 'analytics',
      identity: 'postgres:db:6543/shop',
      concurrency: 4,
    })
  })
})
