// The refresh log and the ledger, and what becomes of those that an older version of Millrace made.
import { expect } from 'vitest'
import { identifier } from '../../../src/pipeline/identifier.ts'
import type { RunReport } from '../../../src/pipeline/report.ts'
import {
  LEDGER_COLUMNS,
  REFRESH_LOG_COLUMNS,
  REJECTS_COLUMNS,
  type OwnColumn,
} from '../../../src/warehouses/sql/tables.ts'
import type { RefreshRow } from '../../../src/warehouses/warehouse.ts'
import type { PromiseOf, WarehouseHarness } from '../harness.ts'
import { current, ledger, lists, rows } from './look.ts'

const LOG = { schema: identifier('dev'), table: identifier('dbt_refresh_log') }

const REPORT = {
  pipeline: 'daily',
  target: 'dev',
  logicalDate: '2026-11-18',
  outcome: 'failed',
  failure: { type: 'FileMissing', message: 'x' },
  workflowId: 'daily-1',
  runId: 'r',
  startedAt: '2026-11-19T02:00:00Z',
  finishedAt: '2026-11-19T02:00:41Z',
} as RunReport // without its steps, which the row does not hold

const AFTER_THE_SEVENTH = REFRESH_LOG_COLUMNS.slice(7).map(({ name }) => name)

const ROW: RefreshRow = {
  refreshId: 'r',
  runDate: REPORT.startedAt,
  success: false,
  modelsUpdated: 6,
  rowsInserted: 8921,
  executionTimeSeconds: 41.25,
  notes: "it's done; 100 %?",
  marts: { mart_users: { rows: 1132, verdict: 'VALID' } },
  bytesBilled: 5_000_000_000,
  bytesEstimated: 6_000_000_000,
  report: REPORT,
}

const LOGGED = {
  startedAt: '2026-11-19T02:00:00Z',
  pipeline: 'daily',
  target: 'dev',
  logicalDate: '2026-11-18',
  outcome: 'failed',
  failureType: 'FileMissing',
  modelsUpdated: 6,
  rowsInserted: 8921,
  executionTimeSeconds: 41.25,
  bytesBilled: 5_000_000_000,
  bytesEstimated: 6_000_000_000,
  notes: "it's done; 100 %?",
  marts: { mart_users: { rows: 1132, verdict: 'VALID' } },
  workflowId: 'daily-1',
  runId: 'r',
}

function record(warehouse: WarehouseHarness, ...rowsToWrite: readonly RefreshRow[]): Promise<void> {
  return warehouse.use(async (opened) => {
    for (const row of rowsToWrite) await opened.recordRefresh(LOG, row)
  })
}

function read(warehouse: WarehouseHarness, range = { since: '2026-01-01T00:00:00Z', limit: 10 }) {
  return warehouse.use((opened) => opened.readRefreshLog(LOG, range))
}

export function ownTables(promise: PromiseOf): void {
  promise('a run has one row of the refresh log, however often it is written', async (warehouse) => {
    await record(warehouse, { ...ROW, notes: 'first' }, ROW)
    await record(warehouse, { ...ROW, refreshId: 'other' }, ROW)

    const columns = ['refresh_id', 'run_date', 'success', 'models_updated', 'rows_inserted', 'execution_time_seconds']
    const later = [
      'notes',
      'outcome',
      'failure_type',
      'started_at',
      'finished_at',
      'logical_date',
      'bytes_billed',
      'bytes_estimated',
    ]
    expect(
      await warehouse.query(
        `SELECT ${[...columns, ...later].join(', ')} FROM dev.dbt_refresh_log WHERE refresh_id = 'r'`,
      ),
    ).toEqual([
      {
        refresh_id: 'r',
        run_date: '2026-11-19 02:00:00',
        success: false,
        models_updated: 6,
        rows_inserted: 8921,
        execution_time_seconds: 41.25,
        notes: "it's done; 100 %?",
        outcome: 'failed',
        failure_type: 'FileMissing',
        started_at: '2026-11-19 02:00:00',
        finished_at: '2026-11-19 02:00:41',
        logical_date: '2026-11-18',
        bytes_billed: 5_000_000_000,
        bytes_estimated: 6_000_000_000,
      },
    ])
    expect(await lists(warehouse, 'SELECT count(*) AS n FROM dev.dbt_refresh_log')).toEqual([[2]])
  })

  promise('the refresh log is read the newest first, within its range', async (warehouse) => {
    expect(await read(warehouse)).toEqual([])
    const day = (number: number): RefreshRow => ({
      ...ROW,
      refreshId: `r${number}`,
      runDate: `2026-11-${number}T02:00:00Z`,
      report: { ...REPORT, runId: `r${number}` },
    })
    await record(warehouse, day(18), day(20), { ...day(19), bytesBilled: null, report: succeeded('r19') })

    expect((await read(warehouse)).map(({ runId }) => runId)).toEqual(['r20', 'r19', 'r18'])
    expect((await read(warehouse, { since: '2026-11-19T02:00:00Z', limit: 10 })).map(({ runId }) => runId)).toEqual([
      'r20',
      'r19',
    ])
    expect((await read(warehouse, { since: '2026-11-01T00:00:00Z', limit: 1 })).map(({ runId }) => runId)).toEqual([
      'r20',
    ])
    const [newest, second] = await read(warehouse)
    expect(newest).toEqual({ ...LOGGED, startedAt: '2026-11-20T02:00:00Z', runId: 'r20' })
    expect(second).toMatchObject({ bytesBilled: null, failureType: null, outcome: 'succeeded' })
  })

  promise('who only looks can read the log, the ledger and the rejects', async (warehouse) => {
    await warehouse.commit(['1,a', 'x,b'])
    await record(warehouse, ROW)

    const seen = await warehouse.use(async (opened) => {
      const owner = { pipeline: 'daily', entry: 'raw.logs', logicalDate: '2026-11-18' }
      const table = { schema: identifier('raw'), table: identifier('logs') }
      return [
        await opened.readRefreshLog(LOG, { since: '2026-01-01T00:00:00Z', limit: 1 }),
        await opened.currentLoad(table, 'day 1'),
        await Array.fromAsync(opened.readRejects(table, owner)),
      ]
    }, 'look')

    expect(seen).toMatchObject([[LOGGED], { loadId: 'A' }, [{ rawText: 'x,b' }]])
  })

  promise(
    'a refresh log without what is billed can be read, and gets its columns with the next row',
    async (warehouse) => {
      await record(warehouse, ROW)
      await makeOlder(warehouse, 'dev.dbt_refresh_log', REFRESH_LOG_COLUMNS, ['bytes_billed', 'bytes_estimated'])

      expect(await read(warehouse)).toEqual([{ ...LOGGED, bytesBilled: null, bytesEstimated: null }])
      await record(warehouse, { ...ROW, refreshId: 's', runDate: '2026-11-20T02:00:00Z' })

      expect(
        await lists(warehouse, 'SELECT bytes_billed, bytes_estimated FROM dev.dbt_refresh_log ORDER BY run_date'),
      ).toEqual([
        [null, null],
        [5_000_000_000, 6_000_000_000],
      ])
    },
  )

  promise('a refresh log of seven columns, as scripts before Millrace wrote it, can be read', async (warehouse) => {
    await record(warehouse, ROW)
    await makeOlder(warehouse, 'dev.dbt_refresh_log', REFRESH_LOG_COLUMNS, AFTER_THE_SEVENTH)

    expect(await read(warehouse)).toEqual([
      {
        ...LOGGED,
        pipeline: '',
        target: '',
        logicalDate: '',
        workflowId: '',
        runId: '',
        failureType: null,
        bytesBilled: null,
        bytesEstimated: null,
        marts: null,
      },
    ])
    expect(await warehouse.use((opened) => opened.lastGoodMarts(LOG, REPORT))).toEqual(new Map())
  })

  promise(
    'rows of marts are those of the last good run of pipeline and target that checked them',
    async (warehouse) => {
      const ask = (of = { pipeline: 'daily', target: 'dev' }) =>
        warehouse.use((opened) => opened.lastGoodMarts(LOG, of))
      expect(await ask()).toEqual(new Map())
      const run = (day: number, marts: Record<string, number>, change: Partial<RunReport> = {}): RefreshRow => ({
        ...ROW,
        refreshId: `${day} ${change.target ?? ''}`,
        runDate: `2026-11-${day}T02:00:00Z`,
        success: change.outcome !== 'failed',
        marts: Object.fromEntries(Object.entries(marts).map(([mart, rows]) => [mart, { rows, verdict: 'VALID' }])),
        report: { ...succeeded('r'), ...change },
      })
      await record(
        warehouse,
        run(20, { users: 20 }),
        run(19, { users: 19, orders: 190 }),
        run(18, { users: 18, orders: 180, posts: 1800 }),
        run(21, {}),
        run(22, { users: 22 }, { outcome: 'failed' }),
        run(23, { users: 23 }, { target: 'prod' }),
        run(24, { users: 24 }, { pipeline: 'hourly' }),
      )

      const at = (day: number) => `2026-11-${day}T02:00:00Z`
      expect(await ask()).toEqual(
        new Map([
          ['users', { rows: 20, startedAt: at(20) }],
          ['orders', { rows: 190, startedAt: at(19) }],
          ['posts', { rows: 1800, startedAt: at(18) }],
        ]),
      )
      expect(await ask({ pipeline: 'daily', target: 'prod' })).toEqual(
        new Map([['users', { rows: 23, startedAt: at(23) }]]),
      )
    },
  )

  promise('a refresh log of seven columns is gone on with', async (warehouse) => {
    await record(warehouse, ROW)
    await makeOlder(warehouse, 'dev.dbt_refresh_log', REFRESH_LOG_COLUMNS, AFTER_THE_SEVENTH)
    await record(warehouse, { ...ROW, refreshId: 's', runDate: '2026-11-20T02:00:00Z' })

    const [newest, oldest, ...more] = await read(warehouse)
    expect(newest).toEqual({ ...LOGGED, startedAt: '2026-11-20T02:00:00Z' })
    expect(oldest).toMatchObject({ startedAt: LOGGED.startedAt, notes: ROW.notes, failureType: null })
    expect(more).toEqual([])
  })

  promise('a ledger of an older version gets its column, and what it knows still counts', async (warehouse) => {
    await warehouse.commit(['1,a'])
    await makeOlder(warehouse, 'raw.millrace_loads', LEDGER_COLUMNS, ['replaced_by'])

    await warehouse.commit(['2,b'], { loadId: 'B', batchId: 'day 2', loadedAt: '2026-11-20T02:00:00Z' })

    expect(await rows(warehouse)).toEqual(['A1', 'B2'])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', loaded: 1 })
    expect(await ledger(warehouse)).toEqual([
      ['A', null],
      ['B', null],
    ])
  })

  promise('a table of rejects of an older version gets its column', async (warehouse) => {
    await warehouse.commit(['1,a', 'x,b'])
    await makeOlder(warehouse, 'raw.logs__rejects', REJECTS_COLUMNS, ['_batch_id'])

    await warehouse.commit(['2,b', 'y,b'], { loadId: 'B', batchId: 'day 2', logicalDate: '2026-11-19' })

    expect(await lists(warehouse, 'SELECT _load_id, _batch_id FROM raw.logs__rejects ORDER BY _load_id')).toEqual([
      ['A', null],
      ['B', 'day 2'],
    ])
  })
}

function succeeded(runId: string): RunReport {
  return { ...REPORT, runId, outcome: 'succeeded', failure: null }
}

/** The table as it was before it had these columns. */
async function makeOlder(
  warehouse: WarehouseHarness,
  table: string,
  columns: readonly OwnColumn[],
  later: readonly string[],
): Promise<void> {
  const list = columns.map(({ name }) => name).filter((name) => !later.includes(name))
  await warehouse.execute(
    `CREATE TABLE ${table}_old AS SELECT ${list.join(', ')} FROM ${table}`,
    `DROP TABLE ${table}`,
    `CREATE TABLE ${table} AS SELECT * FROM ${table}_old`,
  )
}
