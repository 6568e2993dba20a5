// What the DuckDB adapter promises of tables and connections: contracts held, marts measured, one open at a time.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeDuckdbFile, RAW, type DuckdbFile, type LoadPart, OWNER } from '../../../tests/fixtures/duckdb/file.ts'
import { identifier } from '../../pipeline/identifier.ts'
import type { MartCheck } from '../../pipeline/plan.ts'
import type { RunReport } from '../../pipeline/report.ts'
import { openEngine } from '../../platform/duckdb.ts'
import type { RefreshRow } from '../warehouse.ts'
import { openDuckdb } from './warehouse.ts'

let file: DuckdbFile
beforeEach(async () => {
  file = await makeDuckdbFile()
})
afterEach(() => file.remove())

describe('a raw table', () => {
  test('of every type takes a second load', async () => {
    const types = [
      ['smallint', '1'],
      ['int', '2'],
      ['bigint', '3'],
      ['real', '0.5'],
      ['double', '0.25'],
      ['numeric(10,2)', '1.10'],
      ['numeric', '1.000000000'],
      ['boolean', 'true'],
      ['date', '2026-01-05'],
      ['timestamp', '2026-01-05 10:00:00'],
      ['timestamptz', '2026-01-05 10:00:00+00'],
      ['time', '10:00:00'],
      ['json', '{}'],
      ['string', 'x'],
    ] as const
    const named = Object.fromEntries(types.map(([type], index) => [`c${index}`, type]))
    const record = types.map(([, value]) => value).join(',')
    await file.commit([record], { types: named })

    await file.commit([record], { types: named, loadId: 'B', batchId: 'day 2' })

    const texts = Object.keys(named)
      .map((name) => `${name}::TEXT AS ${name}`)
      .join(', ')
    const values = Object.fromEntries(types.map(([, value], index) => [`c${index}`, value]))
    expect(await file.query(`SELECT ${texts} FROM w.raw.logs`)).toEqual([values, values])
  })

  test('takes the same contract in another order', async () => {
    await file.commit(['1,a'])

    await file.commit(['b,2'], { types: { note: 'text', id: 'int' }, loadId: 'B', batchId: 'day 2' })

    expect(await file.query('SELECT id, note FROM w.raw.logs ORDER BY id')).toEqual([
      { id: 1, note: 'a' },
      { id: 2, note: 'b' },
    ])
  })

  test.each([
    ['a column more', { id: 'int', note: 'text', day: 'date' }, '1,a,2026-01-05', 'day'],
    ['a column less', { id: 'int' }, '1', 'note'],
    ['another type', { id: 'bigint', note: 'text' }, '1,a', 'id'],
    ['another precision', { id: 'numeric(10,2)', note: 'text' }, '1,a', 'id'],
  ])('refuses a contract with %s, and stays as it was', async (_what, types, record, different) => {
    await file.commit(['1,a'])

    await expect(file.commit([record], { types, loadId: 'B' })).rejects.toMatchObject({
      type: 'ContractChanged',
      message: expect.stringContaining(`raw.logs has other columns than its contract (${different}); change the table`),
    })

    expect(await file.query('SELECT _load_id, id, note FROM w.raw.logs')).toEqual([{ _load_id: 'A', id: 1, note: 'a' }])
  })
})

describe('a raw table that may evolve', () => {
  const evolve: LoadPart = { rules: { extraColumns: 'evolve' } }
  const rows = () =>
    file.query(
      'SELECT * EXCLUDE (_load_id, _source_file, _source_record, _loaded_at, _logical_date) FROM w.raw.logs ORDER BY id',
    )

  test('gets the columns that a later file brings, NULL in the rows before', async () => {
    await file.commit(['1,a'], evolve)

    await file.commit(['x,2,b,y'], {
      ...evolve,
      header: ['device', 'id', 'note', 'app_version'],
      loadId: 'B',
      batchId: 'day 2',
    })

    expect(await rows()).toEqual([
      { id: 1, note: 'a', device: null, app_version: null },
      { id: 2, note: 'b', device: 'x', app_version: 'y' },
    ])
  })

  test('takes a later file without the column that it once got, and remembers it', async () => {
    await file.commit(['1,a,x'], { ...evolve, header: ['id', 'note', 'device'] })
    await file.commit(['2,b'], { ...evolve, loadId: 'B', batchId: 'day 2', loadedAt: '2026-11-20T02:00:00Z' })
    await file.commit(['3,c,z'], {
      ...evolve,
      header: ['id', 'note', 'device'],
      loadId: 'C',
      batchId: 'day 3',
      loadedAt: '2026-11-21T02:00:00Z',
    })

    expect(await rows()).toEqual([
      { id: 1, note: 'a', device: 'x' },
      { id: 2, note: 'b', device: null },
      { id: 3, note: 'c', device: 'z' },
    ])
    const remembered = await file.use((warehouse) => warehouse.rememberedContract(RAW, OWNER))
    expect(remembered?.map(({ name, origin, optional }) => [name, origin, optional])).toEqual([
      ['id', 'pipeline', false],
      ['note', 'pipeline', false],
      ['device', 'first header', true],
    ])
  })

  test('still holds the declared columns to their types', async () => {
    await file.commit(['1,a'], evolve)

    await expect(
      file.commit(['1,a'], { ...evolve, types: { id: 'bigint', note: 'text' }, loadId: 'B' }),
    ).rejects.toMatchObject({ type: 'ContractChanged', message: expect.stringContaining('(id)') })
    await expect(
      file.commit(['1,a,2026-01-05'], { ...evolve, types: { id: 'int', note: 'text', day: 'date' }, loadId: 'B' }),
    ).rejects.toMatchObject({ type: 'ContractChanged', message: expect.stringContaining('(day)') })
  })

  test('stays as it was when the load that brings a column fails', async () => {
    await file.commit(['1,a'], evolve)

    const broken = file.withLoad(['2,b,x'], { ...evolve, header: ['id', 'note', 'device'] }, (warehouse, load) =>
      warehouse.commitLoad(load, () => {
        throw new Error('not this one')
      }),
    )

    await expect(broken).rejects.toThrow('not this one')
    expect(await rows()).toEqual([{ id: 1, note: 'a' }])
  })
})

test('the contract of a table is remembered from its latest load, and not before the first', async () => {
  const remembered = () => file.use((warehouse) => warehouse.rememberedContract(RAW, OWNER))
  expect(await remembered()).toBeUndefined()

  await file.commit(['1,a'], { rules: { contract: null } })

  expect(await remembered()).toEqual(
    ['id', 'note'].map((name) => ({
      name,
      header: name,
      type: { kind: 'string' },
      origin: 'first header',
      optional: false,
      notNull: false,
    })),
  )
  await file.use((_warehouse, engine) => engine.run('ALTER TABLE w.raw.logs RENAME TO logs_old'))
  expect(await remembered()).toBeUndefined()
})

test('nothing is loaded into a view', async () => {
  await file.use(async (_warehouse, engine) => {
    await engine.run('CREATE SCHEMA w.raw')
    await engine.run('CREATE VIEW w.raw.logs AS SELECT 1 AS id')
  })

  await expect(file.commit(['1,a'])).rejects.toMatchObject({
    type: 'ContractChanged',
    message: 'raw.logs is a view, nothing can be loaded into it; drop or rename it',
  })
})

describe('a mart', () => {
  const check: MartCheck = {
    mart: identifier('logs'),
    relation: { database: 'w', schema: 'raw', name: 'logs' },
    key: [identifier('id'), identifier('note')],
    unique: true,
    maxNullShare: 0,
  }
  const measure = (part: Partial<MartCheck> = {}) =>
    file.use((warehouse) => warehouse.measureMart({ ...check, ...part }))

  test('is measured: rows, NULLs per key column, rows beyond the first of a key', async () => {
    await file.commit(['1,a', '1,a', '1,a', '1,b', ',a', ',', ','])

    // Seven rows, of which (1,a), (1,b), (NULL,a) and (NULL,NULL) are different.
    expect(await measure()).toEqual({ rows: 7, nulls: { id: 3, note: 2 }, duplicates: 3 })
    expect(await measure({ unique: false })).toMatchObject({ rows: 7, duplicates: null })
  })

  test('that is empty is measured, too', async () => {
    await file.commit([])

    expect(await measure()).toEqual({ rows: 0, nulls: { id: 0, note: 0 }, duplicates: 0 })
  })

  test('that is not there is named', async () => {
    await expect(measure()).rejects.toMatchObject({
      type: 'MartUnknown',
      message: 'raw.logs does not exist in the warehouse; run the step that builds it first',
    })
  })
})

test('a run has one row of the refresh log, however often it is written', async () => {
  const report = {
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
  const counts = { modelsUpdated: 6, rowsInserted: 8921, executionTimeSeconds: 41.25 }
  const row: RefreshRow = { refreshId: 'r', runDate: report.startedAt, success: false, ...counts, notes: 'n', report }
  const log = { schema: identifier('dev'), table: identifier('dbt_refresh_log') }

  await file.use((warehouse) => warehouse.recordRefresh(log, { ...row, notes: 'first' }))
  await file.use((warehouse) => warehouse.recordRefresh(log, row))
  await file.use((warehouse) => warehouse.recordRefresh(log, { ...row, refreshId: 'other' }))

  expect(
    await file.query(
      `SELECT refresh_id, run_date::TEXT AS run_date, success, models_updated, rows_inserted, execution_time_seconds AS seconds,
         notes, outcome, failure_type FROM w.dev.dbt_refresh_log WHERE refresh_id = 'r'`,
    ),
  ).toEqual([
    {
      refresh_id: 'r',
      run_date: '2026-11-19 02:00:00',
      success: false,
      models_updated: 6,
      rows_inserted: 8921n,
      seconds: 41.25,
      notes: 'n',
      outcome: 'failed',
      failure_type: 'FileMissing',
    },
  ])
})

describe('one process opens a file once at a time:', () => {
  test('a second open waits until the first has closed, and finds what it wrote', async () => {
    const scratchDir = path.dirname(path.dirname(file.address.file))
    const [one, two] = [await openEngine({ scratchDir }), await openEngine({ scratchDir })]
    const attached = () => two.rows("SELECT 1 FROM duckdb_databases() WHERE database_name = 'w'")
    const first = await openDuckdb(file.address, one)

    const opening = openDuckdb(file.address, two)
    // Far more round trips than an open takes that does not wait.
    for (let times = 0; times < 100; times++) expect(await attached()).toEqual([])
    await one.run('CREATE TABLE w.main.written AS SELECT 1 AS n')
    await first.close()
    const second = await opening

    expect(await attached()).toHaveLength(1)
    expect(await two.rows('SELECT n FROM w.main.written')).toEqual([{ n: 1 }])
    await second.close()
    one.close()
    two.close()
  })

  test('an open that fails does not block the next one', async () => {
    await mkdir(path.dirname(file.address.file))
    await writeFile(file.address.file, 'not a database '.repeat(1000))
    const open = () => file.use(() => Promise.resolve())

    await expect(open()).rejects.toMatchObject({ type: 'ProfileInvalid' })
    await expect(open()).rejects.toMatchObject({ type: 'ProfileInvalid' })
  })
})
