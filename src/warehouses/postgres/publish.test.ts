// Publishing in Postgres: readers go on reading, the live tables stay the ones they are, dependents are not broken.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makePostgresFixture, type PostgresFixture } from '../../../tests/fixtures/postgres/database.ts'
import { usePostgres } from '../../../tests/support/postgres-server.ts'
import { identifier } from '../../pipeline/identifier.ts'

const postgres = usePostgres()
let pg: PostgresFixture
beforeEach(async () => {
  pg = await makePostgresFixture(await postgres().freshDatabase())
  await pg.query('create schema candidate')
})
afterEach(() => pg.remove())

const publish = (...marts: readonly string[]) =>
  pg.use((warehouse) =>
    warehouse.publish({
      pipeline: 'daily',
      target: 'prod',
      runId: 'run 1',
      logicalDate: '2026-11-18',
      publishedAt: '2026-11-19T02:00:00Z',
      to: identifier('live'),
      marts: marts.map((mart) => ({
        mart: identifier(mart),
        relation: { database: pg.database.dbname, schema: 'candidate', name: mart },
        expectedRows: null,
      })),
      copyTo: null,
    }),
  )

const build = (mart: string, query: string) =>
  pg.query(`drop view if exists candidate.${mart}; create view candidate.${mart} as ${query}`)

const lists = async (sql: string) => (await pg.query(sql)).map((row) => Object.values(row))

test('readers see the old marts, and do not wait, until all the new ones are there', async () => {
  await build('users', 'select 1 as id')
  await build('days', 'select 1 as day')
  await publish('users', 'days')
  await build('users', 'select 2 as id')
  // Slow, so that there is time to look.
  await build('days', 'select 2 as day from pg_sleep(1)')

  const over = new AbortController()
  const publishing = publish('users', 'days').finally(() => over.abort())
  const seen: unknown[] = []
  const look = async () => (await lists('select id, day from live.users, live.days'))[0]
  while (!over.signal.aborted) {
    seen.push(await look())
    await sleep(20)
  }
  await publishing

  expect(seen.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => [1, 1]))
  expect(seen.filter((row) => JSON.stringify(row) !== '[1,1]' && JSON.stringify(row) !== '[2,2]')).toEqual([])
  expect(await look()).toEqual([2, 2])
})

test('a column of any type becomes one of any other', async () => {
  await build('users', `select 'abc'::text as a, 7::int as b, 1.5::numeric(10,2) as c, array[1] as d`)
  await publish('users')
  const before = await lists(`select 'live.users'::regclass::oid`)
  await build(
    'users',
    `select 8::bigint as a, true as b, '2026-01-01'::timestamptz as e, '{x}'::text[] as d, 1.25::numeric(12,4) as c`,
  )

  await publish('users')

  expect(await lists('select a::text, b, c::text, d, e is not null as e from live.users')).toEqual([
    ['8', true, '1.2500', ['x'], true],
  ])
  expect(
    await lists(`select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = 'live.users'::regclass and attnum > 0 and not attisdropped order by attname`),
  ).toEqual([
    ['a', 'bigint'],
    ['b', 'boolean'],
    ['c', 'numeric(12,4)'],
    ['d', 'text[]'],
    ['e', 'timestamp with time zone'],
  ])
  expect(await lists(`select 'live.users'::regclass::oid`)).toEqual(before)
})

test('a view that forbids a change is named with what to do, and nothing is published', async () => {
  await build('days', 'select 1 as day')
  await build('users', 'select 1 as id, 2 as gone, 3 as retyped')
  await publish('days', 'users')
  await pg.query('create schema reports; create view reports.of_gone as select gone from live.users')
  await build('days', 'select 2 as day')
  await build('users', 'select 1 as id, 3 as retyped')

  await expect(publish('days', 'users')).rejects.toMatchObject({
    type: 'PublishRefused',
    message:
      'live.users gets other columns (gone), but something depends on one of them (cannot drop column gone of table live.users because ' +
      'other objects depend on it). Nothing was published; drop what depends on it, start the run again, and make it anew ' +
      'afterwards: DROP VIEW reports.of_gone',
  })
  expect(await lists('select day from live.days')).toEqual([[1]])

  await pg.query(
    'drop view reports.of_gone; create materialized view reports.of_retyped as select retyped from live.users',
  )
  await build('users', 'select 1 as id, true as retyped')
  await expect(publish('days', 'users')).rejects.toMatchObject({
    type: 'PublishRefused',
    message: expect.stringMatching(/: DROP MATERIALIZED VIEW reports\.of_retyped$/),
  })
  await pg.query('drop materialized view reports.of_retyped')
  await publish('days', 'users')
  expect(await lists('select day, retyped from live.days, live.users')).toEqual([[2, true]])
})

test('two publications into one schema do not mix', async () => {
  await build('users', 'select 1 as id')
  await build('days', 'select 1 as day')
  await Promise.all([publish('users', 'days'), publish('days', 'users'), publish('users', 'days')])

  expect(await lists('select id, day from live.users, live.days')).toEqual([[1, 1]])
  expect(await lists('select mart, count(*)::int as n from live.millrace_published group by 1 order by 1')).toEqual([
    ['days', 1],
    ['users', 1],
  ])
})
