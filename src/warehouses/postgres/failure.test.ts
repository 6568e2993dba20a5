// Postgres's errors, met on the real server where one can be, and what they mean here.
import { createServer } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePostgresFixture, RAW, type PostgresFixture } from '../../../tests/fixtures/postgres/database.ts'
import { usePostgres, withClient } from '../../../tests/support/postgres-server.ts'
import { failure } from '../../pipeline/failure.ts'
import { asPostgresFailure } from './failure.ts'

const ON = { label: 'db:5432/shop', user: 'loader', database: 'shop', where: "profiles.yml, target 'prod'" }

const postgres = usePostgres()
let pg: PostgresFixture
beforeAll(async () => {
  pg = await makePostgresFixture(await postgres().freshDatabase())
})
afterAll(() => pg.remove())

/** What the simplest question to the warehouse fails with. */
async function looking(settings: Readonly<Record<string, unknown>>): Promise<unknown> {
  return await pg
    .use((warehouse) => warehouse.currentLoad(RAW, 'day 1'), { settings })
    .then(
      () => 'no failure',
      (error: unknown) => error,
    )
}

/** What a statement fails with, sent by a client of our own. */
async function statement(...sql: readonly string[]): Promise<unknown> {
  return await withClient(pg.database, async (client) => {
    for (const one of sql) await client.query(one)
    return 'no failure'
  }).catch((error: unknown) => asPostgresFailure(error, ON))
}

describe('who cannot get in is told what to correct', () => {
  test('a wrong password, which is not told', async () => {
    const failed = await looking({ password: 'not the password' })
    expect(failed).toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(
        /^127\.0\.0\.1:\d+\/test_\d+ does not let user 'millrace_test' in: wrong password, or no such user; correct user and password of profiles\.yml, target 'prod'$/,
      ),
    })
    expect(String(failed)).not.toMatch(/not the password/)
  })

  test('a user whom nobody knows', async () => {
    expect(await looking({ user: 'nobody_there' })).toMatchObject({ type: 'WarehouseAuth' })
  })

  test('a database that is not there', async () => {
    expect(await looking({ dbname: 'shopp' })).toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(
        /there is no database 'shopp'; correct dbname of profiles\.yml, target 'prod', or: CREATE DATABASE "shopp"$/,
      ),
    })
  })

  test('a role that is not there', async () => {
    expect(await looking({ role: 'nobody_there' })).toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(/role "nobody_there" does not exist; correct role of/),
    })
  })
})

describe('a server that does not answer', () => {
  test('nothing listens', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const address = closed.address()
    closed.close()
    await once(closed, 'close')
    const port = address !== null && typeof address === 'object' ? address.port : 0

    expect(await looking({ port })).toMatchObject({
      type: 'WarehouseUnreachable',
      message: expect.stringMatching(
        /does not answer: ECONNREFUSED \(nothing listens there\); see that the server is up, then start the run again$/,
      ),
    })
  })

  test('a host that is not there', async () => {
    expect(await looking({ host: 'no-such-host.invalid' })).toMatchObject({
      type: 'WarehouseUnreachable',
      message: expect.stringMatching(/does not answer: (ENOTFOUND|EAI_AGAIN)/),
    })
  })

  test('one that accepts and says nothing', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const failed = await looking({ port, connect_timeout: 1 })
    silent.close()

    expect(failed).toMatchObject({
      type: 'WarehouseUnreachable',
      message: expect.stringMatching(/does not answer: .*timeout/),
    })
  })

  test('one that speaks something else', async () => {
    const other = createServer((socket) => {
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      socket.on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const failed = await looking({ port, sslmode: 'disable' })
    other.close()

    expect(failed).toMatchObject({ type: expect.stringMatching(/^Warehouse(?:Unreachable|Failed)$/) })
  })

  test('no connection is left', async () => {
    const [row] = await pg.query('select rolconnlimit from pg_roles where rolname = current_user')
    expect(row).toEqual({ rolconnlimit: -1 })
    await pg.query(`create role one_only login password 'pw' connection limit 1`)
    const held = await withClient({ ...pg.database, user: 'one_only', password: 'pw' }, () =>
      looking({ user: 'one_only', password: 'pw' }),
    )
    await pg.query('drop role one_only')

    expect(held).toMatchObject({
      type: 'WarehouseUnreachable',
      message: expect.stringMatching(/takes no more connections .*; end some of them, or raise max_connections$/),
    })
  })
})

describe('what others hold', () => {
  test('a lock that is not got in time', async () => {
    await pg.query('create table held (i int)')
    const failed = await withClient(pg.database, async (client) => {
      await client.query('begin; lock table held in access exclusive mode')
      return await statement("set lock_timeout = '50ms'", 'insert into held values (1)')
    })
    expect(failed).toMatchObject({
      type: 'WarehouseBusy',
      message: expect.stringMatching(
        /^db:5432\/shop: canceling statement due to lock timeout.*: another session holds the table; see SELECT/,
      ),
    })
  })

  test('a deadlock', async () => {
    await pg.query('create table one (i int); create table other (i int)')
    const failed = await withClient(pg.database, async (client) => {
      await client.query(`set deadlock_timeout = '20ms'; begin; lock table one`)
      // Who waits first looks for a deadlock too early.
      const first = statement(`set deadlock_timeout = '1min'; begin; lock table other; lock table one`)
      const waiting = async () => (await pg.query('select 1 from pg_locks where not granted')).length
      await expect.poll(waiting, { timeout: 10_000 }).toBe(1)
      const second = await client.query('lock table other').catch((error: unknown) => asPostgresFailure(error, ON))
      await client.query('rollback')
      expect(await first).toBe('no failure')
      return second
    })
    expect(failed).toMatchObject({ type: 'WarehouseBusy' })
  })

  test('a change that somebody else made first', async () => {
    await pg.query('create table counted (i int); insert into counted values (1)')
    const failed = await withClient(pg.database, async (client) => {
      await client.query('begin isolation level repeatable read; select * from counted')
      await pg.query('update counted set i = 2')
      return await client.query('update counted set i = 3').catch((error: unknown) => asPostgresFailure(error, ON))
    })
    expect(failed).toMatchObject({ type: 'WarehouseBusy' })
  })
})

test('a statement that takes too long says whose limit it was', async () => {
  expect(await statement("set statement_timeout = '20ms'", 'select pg_sleep(5)')).toMatchObject({
    type: 'WarehouseFailed',
    message: expect.stringMatching(/a statement took longer than Millrace lets any take/),
  })
})

test('a server that is stopped, or whose administrator ends the session', async () => {
  expect(await statement('select pg_terminate_backend(pg_backend_pid())')).toMatchObject({
    type: 'WarehouseUnreachable',
    message: expect.stringMatching(/terminating connection due to administrator command/),
  })
})

test('a server on which nothing can be written', async () => {
  expect(await statement('set default_transaction_read_only = on', 'create table t (i int)')).toMatchObject({
    type: 'ProfileInvalid',
    message: expect.stringMatching(
      /read-only transaction: a standby, or a user who may only read; correct host or user/,
    ),
  })
})

test.each([
  ["select 'Mr Smith'::int", 'invalid input syntax for type integer'],
  ["select '2026-02-30 Smith'::date", 'invalid input syntax for type date'],
  [`select '{"a": Smith}'::json`, 'invalid input syntax for type json'],
  [
    "create table unique_ones (a text unique); insert into unique_ones values ('Smith'), ('Smith')",
    'duplicate key value',
  ],
  [
    "create table checked (a text check (a <> 'x'), b text not null); insert into checked values ('Smith', null)",
    'null value',
  ],
])('no value of a record gets into the failure: %s', async (sql, told) => {
  const failed = await statement(sql)

  expect(failed).toMatchObject({ type: 'WarehouseFailed', message: expect.stringContaining(told) })
  expect(String(failed)).not.toMatch(/Smith/)
})

test('a refused row is told by its table, line and column', async () => {
  const error = Object.assign(new Error('invalid input syntax for type integer: "Smith"'), {
    severity: 'ERROR',
    code: '22P02',
    where: 'COPY logs, line 7, column minutes: "Smith"',
  })
  expect(asPostgresFailure(error, ON)).toMatchObject({
    message: 'db:5432/shop: invalid input syntax for type integer (COPY logs, line 7, column minutes) (SQLSTATE 22P02)',
  })
})

describe('by its code', () => {
  const server = (code: string, message: string) => Object.assign(new Error(message), { severity: 'ERROR', code })
  const network = (code: string, message = code) => Object.assign(new Error(message), { code })

  test.each([
    [server('53100', 'could not extend file: No space left on device'), 'DiskFull'],
    [server('58030', 'could not write to file: No space left on device'), 'DiskFull'],
    [server('58030', 'could not read block 7'), 'WarehouseFailed'],
    [server('53200', 'out of memory'), 'WarehouseFailed'],
    [server('57P03', 'the database system is starting up'), 'WarehouseUnreachable'],
    [server('57P01', 'terminating connection'), 'WarehouseUnreachable'],
    [server('08006', 'connection failure'), 'WarehouseUnreachable'],
    [server('53300', 'sorry, too many clients already'), 'WarehouseUnreachable'],
    [server('25P03', 'terminating connection due to idle-in-transaction timeout'), 'WarehouseUnreachable'],
    [server('28000', 'no pg_hba.conf entry for host "10.0.0.1"'), 'WarehouseAuth'],
    [server('3F000', 'schema "raw" does not exist'), 'ProfileInvalid'],
    [server('40001', 'could not serialize access'), 'WarehouseBusy'],
    [server('40P01', 'deadlock detected'), 'WarehouseBusy'],
    [server('XX000', 'cache lookup failed'), 'WarehouseFailed'],
    [network('ECONNRESET'), 'WarehouseUnreachable'],
    [network('EPIPE'), 'WarehouseUnreachable'],
    [network('ETIMEDOUT'), 'WarehouseUnreachable'],
    [network('EHOSTUNREACH'), 'WarehouseUnreachable'],
    [network('CERT_HAS_EXPIRED'), 'ProfileInvalid'],
    [network('ERR_TLS_CERT_ALTNAME_INVALID'), 'ProfileInvalid'],
    [new Error('Connection terminated unexpectedly'), 'WarehouseUnreachable'],
    [new Error('IO Error: Could not write file: No space left on device'), 'DiskFull'],
    [new Error('Out of Memory Error: failed to allocate'), 'WarehouseFailed'],
  ])('%s is %s', (error, type) => {
    expect(asPostgresFailure(error, ON)).toMatchObject({ type, message: expect.stringContaining('db:5432/shop') })
  })
})

test('the engine that makes the rows is told apart, without what it quotes', () => {
  const error = new Error(
    'Conversion Error: Malformed JSON at byte 3 of input: unexpected.  Input: "Smith"\n\nLINE 1: Smith',
  )

  expect(asPostgresFailure(error, ON).message).toBe(
    'the rows for db:5432/shop could not be made or sent: Conversion Error: Malformed JSON at byte 3 of input: unexpected.',
  )
})

test('a failure of our own stays what it is', () => {
  const own = failure('CountsDisagree', 'x')

  expect(asPostgresFailure(own, ON)).toBe(own)
})
