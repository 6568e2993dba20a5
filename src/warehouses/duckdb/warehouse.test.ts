// Loads into a real DuckDB file: a batch's rows, rejects and ledger row come and go together.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LOAD, makeDuckdbFile, RAW, type DuckdbFile } from '../../../tests/fixtures/duckdb/file.ts'
import type { Reject } from '../../ingest/rejects.ts'

let file: DuckdbFile
beforeEach(async () => {
  file = await makeDuckdbFile()
})
afterEach(() => file.remove())

const current = (batchId: string) => file.use((warehouse) => warehouse.currentLoad(RAW, batchId))

/** Load and id of each raw row, `A1`. */
async function rows(): Promise<unknown[]> {
  const found = await file.query('SELECT _load_id || id AS row FROM w.raw.logs ORDER BY ALL')
  return found.map(({ row }) => row)
}

/** Load, and by which it was replaced, in the order they were committed. */
async function ledger(): Promise<unknown[][]> {
  const found = await file.query('SELECT load_id, replaced_by FROM w.raw.millrace_loads ORDER BY rowid')
  return found.map((row) => Object.values(row))
}

test('a load brings its rows, each with where it came from, and its row of the ledger', async () => {
  expect(await current('day 1')).toBeUndefined()

  await file.commit(['7,"a"', '8,', '9,""'])

  const origin = {
    _load_id: 'A',
    _source_file: 'in.csv',
    _loaded_at: '2026-11-19 02:00:00.123',
    _logical_date: '2026-11-18',
  }
  expect(
    await file.query(
      'SELECT * REPLACE (_loaded_at::TEXT AS _loaded_at, _logical_date::TEXT AS _logical_date) FROM w.raw.logs ORDER BY id',
    ),
  ).toEqual([
    { id: 7, note: 'a', _source_record: 1n, ...origin },
    { id: 8, note: null, _source_record: 2n, ...origin },
    { id: 9, note: '', _source_record: 3n, ...origin },
  ])
  expect(await current('day 1')).toEqual({
    loadId: 'A',
    read: 3,
    loaded: 3,
    superseded: 0,
    rejected: 0,
    rejectReasons: [],
    runId: 'run 1',
    loadedAt: '2026-11-19T02:00:00Z',
  })
})

test('the same load committed twice is there once', async () => {
  await file.commit(['1,a', '2,b'])
  await file.commit(['1,a', '2,b'])

  expect(await rows()).toEqual(['A1', 'A2'])
  expect((await ledger()).filter(([, replacedBy]) => replacedBy === null)).toEqual([['A', null]])
})

test('a load whose rows are gone from the raw table counts as not there', async () => {
  await file.commit(['1,a', '2,b'])
  await file.use((_warehouse, engine) => engine.run('DELETE FROM w.raw.logs WHERE id = 2'))

  expect(await current('day 1')).toBeUndefined()
  await file.commit(['1,a', '2,b'])
  expect(await rows()).toEqual(['A1', 'A2'])
  expect(await current('day 1')).toMatchObject({ loadId: 'A', loaded: 2 })
})

test("another batch's load leaves the first batch's rows", async () => {
  await file.commit(['1,a'])
  await file.commit(['2,b'], { loadId: 'B', batchId: 'day 2' })

  expect(await rows()).toEqual(['A1', 'B2'])
  expect(await current('day 1')).toMatchObject({ loadId: 'A' })
  expect(await current('day 2')).toMatchObject({ loadId: 'B' })
})

test('a corrected file replaces its batch, and the first one may come back', async () => {
  await file.commit(['1,a', '2,a'])
  await file.commit(['1,b'], { loadId: 'B' })
  expect(await rows()).toEqual(['B1'])
  expect(await current('day 1')).toMatchObject({ loadId: 'B' })

  await file.commit(['1,a', '2,a'])

  expect(await rows()).toEqual(['A1', 'A2'])
  expect(await current('day 1')).toMatchObject({ loadId: 'A', loaded: 2 })
  expect(await ledger()).toEqual([
    ['A', 'B'],
    ['B', 'A'],
    ['A', null],
  ])
})

test('a file without a record empties its batch', async () => {
  await file.commit(['1,a'])
  await file.commit([], { loadId: 'B' })

  expect(await rows()).toEqual([])
  expect(await current('day 1')).toMatchObject({ loadId: 'B', read: 0, loaded: 0 })
})

describe('a load whose counts disagree', () => {
  const disagrees = {
    type: 'CountsDisagree',
    message: expect.stringMatching(/^in\.csv: 3 rows were to be loaded into raw\.logs, but 2 came; nothing was kept/),
  }

  test('leaves nothing where nothing was before, not even a table', async () => {
    await expect(file.commit(['1,a', '2,b'], { loaded: 3 })).rejects.toMatchObject(disagrees)

    expect(await file.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'w'")).toEqual([])
    expect(await current('day 1')).toBeUndefined()
  })

  test('leaves the load that it was to replace', async () => {
    await file.commit(['1,a'])

    await expect(file.commit(['1,b', '2,b'], { loadId: 'B', loaded: 3 })).rejects.toMatchObject(disagrees)

    expect(await rows()).toEqual(['A1'])
    expect(await ledger()).toEqual([['A', null]])
  })
})

describe('rejects', () => {
  const reject: Reject = {
    recordNumber: 2,
    line: 3,
    byteOffset: 17,
    code: 'not int',
    column: 'id',
    message: "'x' is not an int",
    rawText: 'x,"é',
  }
  const row = {
    _load_id: 'A',
    _source_record: 2n,
    line: 3n,
    byte_offset: 17n,
    code: 'not int',
    column_name: 'id',
    message: "'x' is not an int",
    raw_text: 'x,"é',
  }
  const rejects = () => file.query(`SELECT ${Object.keys(row).join(', ')} FROM w.raw.logs__rejects`)

  test('stand beside the raw table, once however often their load is committed', async () => {
    await file.commit(['1,a', 'x,b'], { loaded: 1, rejects: [reject] })
    await file.commit(['1,a', 'x,b'], { loaded: 1, rejects: [reject] })

    expect(await rows()).toEqual(['A1'])
    expect(await rejects()).toEqual([row])
    expect(await current('day 1')).toMatchObject({ read: 2, loaded: 1, rejected: 1 })
  })

  test('of a load that is not committed are kept, without any row of it', async () => {
    const load = { ...LOAD, read: 2, loaded: 1, rejects: [reject] }

    await file.use((warehouse) => warehouse.keepRejects(load))
    await file.use((warehouse) => warehouse.keepRejects(load))

    expect(await rejects()).toEqual([row])
    expect(await current('day 1')).toBeUndefined()
  })
})
