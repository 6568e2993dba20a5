// sslmode as libpq has it, on a server with a certificate of its own.
import { chown, copyFile, chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makePostgresFixture, type PostgresFixture } from '../../../tests/fixtures/postgres/database.ts'
import { usePostgres, withClient } from '../../../tests/support/postgres-server.ts'
import { RAW } from '../../../tests/contract/harness.ts'
import { tlsModes } from './tls.ts'

const FIXTURES = fileURLToPath(new URL('../../../tests/fixtures/postgres/tls/', import.meta.url))
const authority = path.join(FIXTURES, 'authority.crt')
const otherAuthority = path.join(FIXTURES, 'other-authority.crt')

const postgres = usePostgres()
let pg: PostgresFixture
let data = ''

/** Its certificate is for `localhost` and valid for a hundred years (openssl req, openssl x509); the authority's key is gone. */
beforeAll(async () => {
  pg = await makePostgresFixture(await postgres().freshDatabase())
  const [row] = await pg.query(`select current_setting('data_directory') as folder`)
  data = String(row?.['folder'])
  const { uid, gid } = await stat(data)
  for (const name of ['server.crt', 'server.key']) {
    await copyFile(path.join(FIXTURES, name), path.join(data, name))
    await chmod(path.join(data, name), 0o600)
    await chown(path.join(data, name), uid, gid)
  }
  await withClient(pg.database, async (client) => {
    await client.query('alter system set ssl = on')
    await client.query('select pg_reload_conf()')
  })
})
afterAll(() => pg.remove())

/** How the session is encrypted; what opening it fails with otherwise. */
async function connect(settings: Readonly<Record<string, unknown>>): Promise<unknown> {
  return await pg
    .use(
      async (warehouse) => {
        // The session that looks is there while we look at it.
        await warehouse.currentLoad(RAW, 'x')
        const [row] = await pg.query(
          `select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'millrace' and datname = current_database()`,
        )
        return row?.['ssl'] === true ? 'TLS' : 'in the clear'
      },
      { settings },
    )
    .catch((error: Error & { type?: string }) => error.type)
}

describe('a server that offers TLS', () => {
  test.each([
    ['disable', {}, 'in the clear'],
    ['allow', {}, 'in the clear'],
    ['prefer', {}, 'TLS'],
    ['require', {}, 'TLS'],
    ['require', { sslrootcert: authority }, 'TLS'],
    ['require', { sslrootcert: otherAuthority }, 'ProfileInvalid'],
    ['verify-ca', { sslrootcert: authority }, 'TLS'],
    ['verify-ca', { sslrootcert: otherAuthority }, 'ProfileInvalid'],
    ['verify-ca', { sslrootcert: 'system' }, 'ProfileInvalid'],
    // The server calls itself localhost, and the profile 127.0.0.1.
    ['verify-full', { sslrootcert: authority }, 'ProfileInvalid'],
    ['verify-full', { sslrootcert: authority, host: 'localhost' }, 'TLS'],
  ])('sslmode %s with %o: %s', async (sslmode, settings, expected) => {
    expect(await connect({ sslmode, ...settings })).toBe(expected)
  })
})

describe('a server that lets a user in only one way', () => {
  async function letIn(rule: 'hostssl' | 'hostnossl'): Promise<() => Promise<void>> {
    const file = path.join(data, 'pg_hba.conf')
    const before = await readFile(file, 'utf8')
    const reload = () => withClient(pg.database, (client) => client.query('select pg_reload_conf()'))
    await pg.query(`create role picky login password 'pw'`)
    await pg.query(`grant connect on database ${pg.database.dbname} to picky`)
    const own = `${rule} all picky 127.0.0.1/32 scram-sha-256\nhost all picky 127.0.0.1/32 reject\n`
    await writeFile(file, `${own}${before}`)
    await reload()
    return async () => {
      await writeFile(file, before)
      await reload()
      await pg.query(`drop owned by picky; drop role picky`)
    }
  }

  test.each([
    ['hostssl', 'allow', 'TLS'],
    ['hostssl', 'disable', 'WarehouseAuth'],
    ['hostnossl', 'prefer', 'in the clear'],
    ['hostnossl', 'require', 'WarehouseAuth'],
  ] as const)('%s: sslmode %s connects %s', async (rule, sslmode, expected) => {
    const restore = await letIn(rule)
    try {
      await expect.poll(() => connect({ sslmode, user: 'picky', password: 'pw' }), { timeout: 10_000 }).toBe(expected)
    } finally {
      await restore()
    }
  })
})

describe('files', () => {
  const settings = { host: 'db', sslcert: undefined, sslkey: undefined, sslrootcert: undefined }
  const empty = path.join(tmpdir(), 'no such folder')

  test('to check a certificate the authority must be known', () => {
    expect(() => tlsModes({ ...settings, sslmode: 'verify-full' }, "profiles.yml, target 'prod'", empty)).toThrow(
      expect.objectContaining({
        type: 'ProfileInvalid',
        message:
          "profiles.yml, target 'prod': sslmode verify-full needs the authority's certificate; set sslrootcert to its file, or to system",
      }),
    )
  })

  test('one that is named must be there; those that libpq looks for by itself may be', async () => {
    expect(() => tlsModes({ ...settings, sslmode: 'require', sslcert: '/no/client.crt' }, 'x', empty)).toThrow(
      'x: sslcert: /no/client.crt cannot be read (ENOENT); give the path of a PEM file',
    )
    const folder = await mkdtemp(path.join(tmpdir(), 'millrace-libpq-'))
    await copyFile(authority, path.join(folder, 'root.crt'))
    await copyFile(path.join(FIXTURES, 'server.crt'), path.join(folder, 'postgresql.crt'))
    await copyFile(path.join(FIXTURES, 'server.key'), path.join(folder, 'postgresql.key'))

    expect(tlsModes({ ...settings, sslmode: 'verify-full' }, 'x', folder)).toEqual([
      {
        ca: await readFile(authority, 'utf8'),
        cert: await readFile(path.join(FIXTURES, 'server.crt'), 'utf8'),
        key: await readFile(path.join(FIXTURES, 'server.key'), 'utf8'),
        rejectUnauthorized: true,
      },
    ])
    await rm(folder, { recursive: true })
  })

  test('a socket of this machine needs none', () => {
    expect(tlsModes({ ...settings, host: '/var/run/postgresql', sslmode: 'require' }, 'x', empty)).toEqual([false])
  })
})
