// Sessions on a real server: values come as they are, what is cancelled ends there too.
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { usePostgres, withClient, type PostgresDatabase } from '../../tests/support/postgres-server.ts'
import { openPostgresPool, type PostgresConnection, type PostgresPool } from './postgres.ts'

const postgres = usePostgres()
let database: PostgresDatabase
let abort: AbortController
let pool: PostgresPool
beforeEach(async () => {
  database = await postgres().freshDatabase()
  abort = new AbortController()
  pool = openPostgresPool(connection(), abort.signal)
})
afterEach(() => pool.close())

function connection(change: Partial<PostgresConnection> = {}): PostgresConnection {
  return {
    ...database,
    database: database.dbname,
    tls: [false],
    applicationName: 'millrace test',
    connectTimeoutMs: 5_000,
    keepaliveIdleMs: 0,
    settings: { TimeZone: 'UTC', DateStyle: 'ISO, YMD' },
    newerSettings: {},
    ...change,
  }
}

const sleepers = () =>
  withClient(database, async (client) => {
    const { rows } = await client.query(
      `select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`,
    )
    return rows.length
  })

test('no value is bent', async () => {
  const [row] = await pool.session((session) =>
    session.rows(
      `select 9223372036854775807::bigint as i8, 7::int as i4, 0.1::float8 as f8, true as yes, false as no, null::bigint as nothing,
         12345678901234567890.10::numeric as decimal, date '0044-03-15 BC' as day, timestamp '2026-01-01 10:00:00.123456' as at,
         timestamptz '2026-01-01 10:00:00+02' as instant, time '24:00' as clock, '{"a": 1.0}'::json as json, '' as empty`,
    ),
  )
  expect(row).toEqual({
    i8: 9223372036854775807n,
    i4: 7,
    f8: 0.1,
    yes: true,
    no: false,
    nothing: null,
    decimal: '12345678901234567890.10',
    day: '0044-03-15 BC',
    at: '2026-01-01 10:00:00.123456',
    instant: '2026-01-01 08:00:00+00',
    clock: '24:00:00',
    json: '{"a": 1.0}',
    empty: '',
  })
})

test('values are parameters, of any kind', async () => {
  const values = ["it's", 9223372036854775807n, 1.5, false, null]
  const sql = 'select $1::text as a, $2::bigint as b, $3::float8 as c, $4::boolean as d, $5::text as e'

  expect(await pool.session((session) => session.rows(sql, values))).toEqual([
    { a: "it's", b: 9223372036854775807n, c: 1.5, d: false, e: null },
  ])
})

test('a statement tells how many rows it changed', async () => {
  await pool.session(async (session) => {
    await session.run('create table t as select generate_series(1, 10) as i')
    expect(await session.run('delete from t where i > $1', [7])).toBe(3)
  })
})

test('rows come a part at a time, and the reader may stop', async () => {
  const numbers = (most: number) =>
    pool.sessionStream(async function* (session) {
      await session.run('BEGIN')
      yield* session.stream('select i, $1::text as note from generate_series(1, $2::int) as i', ['x', most])
      await session.run('COMMIT')
    })

  const all = await Array.fromAsync(numbers(2_500))
  expect(all).toHaveLength(2_500)
  expect(all.at(-1)).toEqual({ i: 2_500, note: 'x' })
  let seen = 0
  for await (const row of numbers(2_500)) if (row['note'] === 'x' && ++seen === 3) break
  expect(await pool.session((session) => session.rows('select 1 as one'))).toEqual([{ one: 1 }])
})

describe('copyIn', () => {
  beforeEach(() => pool.session((session) => session.run('create table t (i int, note text)')))
  const count = () => pool.session(async (session) => (await session.rows('select count(*) as n from t'))[0]?.['n'])

  test('takes a stream and tells how many rows it held', async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `${i}\tnote ${i}\n`)

    expect(await pool.session((session) => session.copyIn('copy t from stdin', Readable.from(lines)))).toBe(100_000)
    expect(await count()).toBe(100_000n)
  })

  test('a stream that fails leaves nothing, and the session goes on', async () => {
    async function* lines() {
      yield '1\ta\n'
      await sleep(20)
      throw new Error('the file ended')
    }
    await pool.session(async (session) => {
      await expect(session.copyIn('copy t from stdin', Readable.from(lines()))).rejects.toThrow('the file ended')
      expect(await session.rows('select count(*) as n from t')).toEqual([{ n: 0n }])
    })
  })

  test('a row that the server refuses ends the stream with its error', async () => {
    const source = Readable.from(Array.from({ length: 100_000 }, (_, i) => `${i === 70_000 ? 'x' : i}\ta\n`))
    await pool.session(async (session) => {
      await expect(session.copyIn('copy t from stdin', source)).rejects.toMatchObject({ code: '22P02' })
      expect(source.destroyed).toBe(true)
      expect(await session.rows('select count(*) as n from t')).toEqual([{ n: 0n }])
    })
  })

  test('a connection that breaks in the middle ends it', async () => {
    async function* lines() {
      for (let i = 0; ; i++) {
        if (i === 1_000) {
          await withClient(database, (client) =>
            client.query(
              `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'millrace test'`,
            ),
          )
        }
        yield `${i}\t${'x'.repeat(1_000)}\n`
      }
    }
    await expect(
      pool.session((session) => session.copyIn('copy t from stdin', Readable.from(lines()))),
    ).rejects.toThrow(/terminat|ECONNRESET|EPIPE/)
    // The next session gets a connection that works.
    expect(await count()).toBe(0n)
  })
})

test('an abort ends what is running, here and in the server, and nothing more begins', async () => {
  const reason = new Error('enough')
  const running = pool.session((session) => session.run('select pg_sleep(30)'))
  running.catch(() => undefined)
  while ((await sleepers()) === 0) await sleep(10)
  abort.abort(reason)

  await expect(running).rejects.toBe(reason)
  expect(await sleepers()).toBe(0)
  await expect(pool.session((session) => session.run('select 1'))).rejects.toBe(reason)
})

test('a pool knows the server processes of this process, of other pools, too, while they are connected', async () => {
  const other = openPostgresPool(connection(), abort.signal)
  const pidOf = (one: PostgresPool) =>
    one.session(async (session) => Number((await session.rows('select pg_backend_pid() as pid'))[0]?.['pid']))
  const pids = [await pidOf(pool), await pidOf(other)]
  expect(pids.map((pid) => pool.isOurs(pid))).toEqual([true, true])

  await other.close()

  await expect.poll(() => pids.map((pid) => pool.isOurs(pid))).toEqual([true, false])
})

describe('ways to connect', () => {
  const first = async (change: Partial<PostgresConnection>) => {
    const other = openPostgresPool(connection(change), abort.signal)
    try {
      return await other.session((session) => session.rows('select 1 as one'))
    } finally {
      await other.close()
    }
  }

  test('the second is tried where the server has no TLS', async () => {
    expect(await first({ tls: [{ rejectUnauthorized: false }, false] })).toEqual([{ one: 1 }])
    await expect(first({ tls: [{ rejectUnauthorized: false }] })).rejects.toThrow('does not support SSL')
  })

  test('a wrong password is not tried twice', async () => {
    const before = (await postgres().log()).split('password authentication failed').length
    await expect(first({ password: 'wrong', tls: [false, { rejectUnauthorized: false }] })).rejects.toMatchObject({
      code: '28P01',
    })
    expect((await postgres().log()).split('password authentication failed').length).toBe(before + 1)
  })
})

test('settings hold for every session', async () => {
  const settings = { lock_timeout: '7s', TimeZone: 'Asia/Tokyo' }
  const newerSettings = { client_connection_check_interval: '3s', of_the_year_2100: 'on' }
  const other = openPostgresPool(connection({ settings, newerSettings }), abort.signal)
  const both = await Promise.all(
    [1, 2].map(() =>
      other.session(async (session) => {
        await session.run('select pg_sleep(0.1)')
        return await session.rows(`select current_setting('lock_timeout') as lock, current_setting('TimeZone') as zone,
          current_setting('client_connection_check_interval') as check`)
      }),
    ),
  )
  await other.close()

  expect(both.flat()).toEqual([1, 2].map(() => ({ lock: '7s', zone: 'Asia/Tokyo', check: '3s' })))
})
