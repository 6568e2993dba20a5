// Connections to Postgres that break at the worst moments: the batch is wholly old or wholly new, and the next attempt knows which.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LOAD, makePostgresFixture, RAW, type PostgresFixture } from '../fixtures/postgres/database.ts'
import { startCuttingProxy, type CutMoment, type CuttingProxy } from '../support/cutting-proxy.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { identifier } from '../../src/pipeline/identifier.ts'

/** `npm run test:fault` asks for more: with each round the cuts fall elsewhere. */
const ROUNDS = Number(process.env['MILLRACE_FAULT_ROUNDS'] ?? 1)

const postgres = usePostgres()
let pg: PostgresFixture
let proxy: CuttingProxy
beforeEach(async () => {
  const database = await postgres().freshDatabase()
  pg = await makePostgresFixture(database)
  proxy = await startCuttingProxy(database)
})
afterEach(async () => {
  await proxy.stop()
  await pg.remove()
})

const ROWS = 20_000
/** Rows, each of which names its load. */
const records = (load: string) => Array.from({ length: ROWS }, (_, id) => `${id},${load} ${'x'.repeat(30)}`)
const RUN = { pipeline: 'daily', runId: '0b1c2d3e-0000-4000-8000-000000000000', attempt: 1 }
const throughProxy = () => ({ settings: { host: proxy.host, port: proxy.port }, place: { run: RUN } })

const load = (loadId: string, part = {}, change = {}) => pg.commit(records(loadId), { loadId, ...part }, change)
const currentLoad = () => pg.use((warehouse) => warehouse.currentLoad(RAW, LOAD.batchId))

/** What stands in the table: how many rows of which load. */
async function rows(): Promise<Record<string, number>> {
  const found = await pg.query('select _load_id, count(*)::int as n from raw.logs group by 1')
  return Object.fromEntries(found.map((row) => [String(row['_load_id']), Number(row['n'])]))
}

/** Until the server has noticed that nobody is there any more. */
async function sessionsEnded(): Promise<void> {
  await vi.waitFor(async () => {
    expect(
      await pg.query(
        `select query from pg_stat_activity where application_name = 'millrace ${RUN.runId}' and datname = current_database()`,
      ),
    ).toEqual([])
  }, 10_000)
}

/** The transaction that holds the load is the second: the first one only makes the ledger. */
const COMMIT = { sends: 'COMMIT', nth: 2 } as const

const POINTS: readonly (readonly [name: string, moment: (round: number) => CutMoment, outcome: 'old' | 'new'])[] = [
  // About 2.2 MB are sent in all.
  [
    'in the middle of COPY',
    (round) => ({ afterSentBytes: 50_000 + Math.floor((1_900_000 * (round + 0.5)) / ROUNDS) }),
    'old',
  ],
  [
    'while the batch is removed',
    () => ({ sends: 'DELETE FROM "raw"."logs"', nth: 1, and: 'its answer is lost' }),
    'old',
  ],
  ['before COPY begins', () => ({ sends: 'COPY "raw"."logs"', nth: 1, and: 'its answer is lost' }), 'old'],
  [
    'at the row of the ledger',
    () => ({ sends: 'INSERT INTO "raw"."millrace_loads"', nth: 1, and: 'its answer is lost' }),
    'old',
  ],
  ['before COMMIT arrives', () => ({ ...COMMIT, and: 'the server never gets it' }), 'old'],
  ['before the answer to COMMIT arrives', () => ({ ...COMMIT, and: 'its answer is lost' }), 'new'],
]

const ROUND_NUMBERS = Array.from({ length: ROUNDS }, (_, round) => round)
const CASES = ROUND_NUMBERS.flatMap((round) =>
  POINTS.map(([name, moment, outcome]) => ({ name, moment: moment(round), outcome })),
)

test.each(CASES)('a connection that is cut $name leaves the $outcome batch, whole', async ({ moment, outcome }) => {
  await load('A')
  proxy.cutAt(moment)

  await expect(load('B', {}, throughProxy())).rejects.toMatchObject({
    type: 'WarehouseUnreachable',
    message: expect.stringMatching(
      /^127\.0\.0\.1:\d+\/test_\d+ does not answer: .*; see that the server is up, then start the run again$/,
    ),
  })

  await sessionsEnded()
  const there = outcome === 'old' ? 'A' : 'B'
  expect(await rows()).toEqual({ [there]: ROWS })
  expect(await currentLoad()).toMatchObject({ loadId: there, loaded: ROWS })
  expect(await pg.query('select load_id from raw.millrace_loads where replaced_by is null')).toEqual([
    { load_id: there },
  ])
  // The next attempt loads what is not there, and nothing twice.
  if (outcome === 'old') await load('B', {}, throughProxy())
  expect(await rows()).toEqual({ B: ROWS })
})

test('an upsert that is cut leaves each row as it was', async () => {
  const rules = { mode: 'upsert', key: [identifier('id')] } as const
  await load('A', { rules })
  proxy.cutAt({ sends: 'UPDATE "raw"."logs"', nth: 1, and: 'its answer is lost' })

  await expect(load('B', { rules, batchId: 'day 2' }, throughProxy())).rejects.toMatchObject({
    type: 'WarehouseUnreachable',
  })

  await sessionsEnded()
  expect(await rows()).toEqual({ A: ROWS })
  expect(await load('B', { rules, batchId: 'day 2' }, throughProxy())).toMatchObject({ loaded: ROWS, superseded: 0 })
  expect(await rows()).toEqual({ B: ROWS })
})

describe('publishing', () => {
  const relation = { database: '', schema: 'candidate', name: 'mart_users' }
  const publication = (expectedRows: number) => ({
    pipeline: 'daily',
    target: 'prod',
    runId: RUN.runId,
    logicalDate: '2026-11-18',
    publishedAt: '2026-11-19T02:00:00Z',
    to: identifier('live'),
    marts: [{ mart: identifier('mart_users'), relation: { ...relation, database: pg.database.dbname }, expectedRows }],
    copyTo: null,
  })
  const live = async () => (await pg.query('select count(*)::int as n from live.mart_users'))[0]?.['n']
  const build = (marts: number) =>
    pg.query(`create schema if not exists candidate; drop table if exists candidate.mart_users;
      create table candidate.mart_users as select generate_series(1, ${marts}) as id`)

  test.each([
    ['before COMMIT arrives', 'the server never gets it', 3],
    ['before the answer to COMMIT arrives', 'its answer is lost', 5],
  ] as const)('that is cut %s shows all of the old marts or all of the new ones', async (_when, and, seen) => {
    await build(3)
    await pg.use((warehouse) => warehouse.publish(publication(3)))
    await build(5)
    proxy.cutAt({ sends: 'COMMIT', nth: 1, and })

    await expect(pg.use((warehouse) => warehouse.publish(publication(5)), throughProxy())).rejects.toMatchObject({
      type: 'WarehouseUnreachable',
    })

    await sessionsEnded()
    expect(await live()).toBe(seen)
    await pg.use((warehouse) => warehouse.publish(publication(5)), throughProxy())
    expect(await live()).toBe(5)
  })
})

test('a query whose worker is gone ends by itself', async () => {
  await pg.query('create schema slow; create view slow.mart as select 1 as id from pg_sleep(60)')
  const relation = { database: pg.database.dbname, schema: 'slow', name: 'mart' }
  const check = { mart: identifier('mart'), relation, key: [], unique: false, maxNullShare: 0 }
  const asked = pg.use((warehouse) => warehouse.measureMart(check), throughProxy())
  asked.catch(() => undefined)
  const sleeping = `select 1 from pg_stat_activity where application_name = 'millrace ${RUN.runId}' and wait_event = 'PgSleep'`
  await vi.waitFor(async () => expect(await pg.query(sleeping)).toHaveLength(1), 10_000)
  await proxy.stop()

  await expect(asked).rejects.toMatchObject({ type: 'WarehouseUnreachable' })
  await sessionsEnded()
})

test('a connection that went silent ends when the load is cancelled', async () => {
  await load('A')
  const abort = new AbortController()
  const reason = new Error('cancelled by somebody')
  const stuck = load('B', {}, { ...throughProxy(), place: { run: RUN, abort: abort.signal } })
  stuck.catch(() => undefined)
  await vi.waitFor(() => expect(proxy.sentBytes()).toBeGreaterThan(100_000), 20_000)
  proxy.freeze()
  abort.abort(reason)

  await expect(stuck).rejects.toBe(reason)
  // Its other attempt, from elsewhere, ends what it has left.
  await pg.use((warehouse) => warehouse.endLeftovers({ runId: RUN.runId, dbt: [] }), { place: { run: RUN } })
  await sessionsEnded()
  expect(await rows()).toEqual({ A: ROWS })
})
