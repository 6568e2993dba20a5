// Loads into a real DuckDB file: a batch's rows, rejects and ledger row come and go together.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeDuckdbFile, RAW, type DuckdbFile, type LoadPart, OWNER } from '../../../tests/fixtures/duckdb/file.ts'
import { contractOf } from '../../../tests/support/ingest-entry.ts'
import type { LoadStream } from '../../ingest/load-stream.ts'
import { identifier } from '../../pipeline/identifier.ts'
import type { LoadCommit } from '../warehouse.ts'

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

const KEY = [identifier('id')]

/** Names of the tables that there are. */
async function tables(): Promise<unknown[]> {
  const found = await file.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'w' ORDER BY ALL")
  return found.map((row) => row['table_name'])
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
    logicalDate: '2026-11-18',
    files: [{ name: 'in.csv', sha256: '7,"a"|8,|9,""', sizeBytes: 22 }],
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
  /** The stream with something else in it than it says. */
  function commit(records: readonly string[], part: LoadPart, change: (stream: LoadStream) => Partial<LoadStream>) {
    return file.withLoad(records, part, (warehouse, load) =>
      warehouse.commitLoad({ ...load, stream: { ...load.stream, ...change(load.stream) } }, () => undefined),
    )
  }
  /** More rejects than come. */
  const missesRejects = (stream: LoadStream): Partial<LoadStream> => ({
    rows: async (statement) => {
      const counts = await stream.rows(statement)
      return { ...counts, read: counts.read + 1, rejected: counts.rejected + 1 }
    },
  })
  const disagrees = {
    type: 'CountsDisagree',
    message: expect.stringMatching(/^raw\.logs: 2 records were rejected, but 1 came; nothing was kept/),
  }

  test('leaves nothing where nothing was before, not even a table', async () => {
    await expect(commit(['1,a', 'x,b'], {}, missesRejects)).rejects.toMatchObject(disagrees)

    expect(await tables()).toEqual([])
    expect(await current('day 1')).toBeUndefined()
  })

  test('leaves the load that it was to replace, and its rejects', async () => {
    await file.commit(['1,a', 'y,a'])

    await expect(commit(['1,b', 'x,b'], { loadId: 'B' }, missesRejects)).rejects.toMatchObject(disagrees)

    expect(await rows()).toEqual(['A1'])
    expect(await ledger()).toEqual([['A', null]])
    expect(await file.query('SELECT raw_text FROM w.raw.logs__rejects')).toEqual([{ raw_text: 'y,a' }])
  })

  test('is found by the stream itself where a statement swallows rows', async () => {
    const swallowing = commit(['1,a', 'x,b', '2,c'], {}, (stream) => ({
      rows: (statement) => stream.rows((query) => statement(`SELECT * FROM (${query}) LIMIT 1`)),
    }))

    await expect(swallowing).rejects.toMatchObject({ type: 'CountsDisagree' })
    expect(await tables()).toEqual([])
  })
})

test('a load that is not accepted leaves nothing, not even tables', async () => {
  const seen: unknown[] = []

  const refused = file.withLoad(['1,a', 'x,b'], {}, (warehouse, load) =>
    warehouse.commitLoad(load, (counts) => {
      seen.push(counts)
      throw new Error('too many rejects')
    }),
  )

  await expect(refused).rejects.toThrow('too many rejects')
  expect(seen).toMatchObject([{ read: 2, rows: 1, superseded: 0, rejected: 1 }])
  expect(await tables()).toEqual([])
})

test('an error of the engine in the middle of a load is told as it was', async () => {
  await file.commit(['1,a'])
  const failing = (query: string) => `INSERT INTO w.raw.logs (note) SELECT error('disk on fire') FROM (${query})`
  const broken = file.withLoad(['2,b'], { loadId: 'B' }, (warehouse, load) => {
    const stream = { ...load.stream, rows: () => load.stream.rows(failing) }
    return warehouse.commitLoad({ ...load, stream }, () => undefined)
  })

  await expect(broken).rejects.toMatchObject({
    type: 'WarehouseFailed',
    message: expect.stringContaining('disk on fire'),
  })
  expect(await rows()).toEqual(['A1'])
})

describe('rejects', () => {
  const row = {
    _load_id: 'A',
    _source_file: 'in.csv',
    _source_record: 2n,
    line: 3n,
    byte_offset: 12n,
    code: 'not int',
    column_name: 'id',
    message: "'x' is not an int",
    raw_text: 'x,"é"',
  }
  const RECORDS = ['1,a', 'x,"é"']
  const rejects = () =>
    file.query(`SELECT ${Object.keys(row).join(', ')} FROM w.raw.logs__rejects ORDER BY _source_record`)
  const stored = {
    file: 'in.csv',
    record: 2,
    line: 3,
    byteOffset: 12,
    code: 'not int',
    column: 'id',
    message: "'x' is not an int",
    rawText: 'x,"é"',
    rejectedAt: '2026-11-19T02:00:00Z',
  }

  test('stand beside the raw table, once however often their load is committed', async () => {
    await file.commit(RECORDS)
    const counts = await file.commit(RECORDS)

    const reasons = [{ code: 'not int', column: 'id', count: 1 }]
    expect(counts).toEqual({ read: 2, loaded: 1, superseded: 0, rejected: 1, removed: 1, rejectReasons: reasons })
    expect(await rows()).toEqual(['A1'])
    expect(await rejects()).toEqual([row])
    expect(await current('day 1')).toMatchObject({ read: 2, loaded: 1, rejected: 1, rejectReasons: reasons })
  })

  test('of a load that is not committed are kept, without any row of it', async () => {
    const reasons = [{ code: 'not int', column: 'id', count: 1 }]
    expect(await file.withLoad(RECORDS, {}, afterRefusal)).toEqual(reasons)
    expect(await file.withLoad(RECORDS, {}, afterRefusal)).toEqual(reasons)

    expect(await rejects()).toEqual([row])
    expect(await tables()).toEqual(['logs__rejects'])
    expect(await current('day 1')).toBeUndefined()
  })

  test('are kept of a load that rejects every record of a key that is there twice', async () => {
    const reasons = await file.withLoad(['1,a', '2,b', 'x,c', '1,d'], { rules: { key: KEY } }, afterRefusal)

    expect(reasons).toEqual([
      { code: 'duplicate key', column: 'id', count: 2 },
      { code: 'not int', column: 'id', count: 1 },
    ])
    expect((await rejects()).map(({ _source_record: record, code }) => [record, code])).toEqual([
      [1n, 'duplicate key'],
      [3n, 'not int'],
      [4n, 'duplicate key'],
    ])
    expect(await tables()).toEqual(['logs__rejects'])
  })

  test('go with the load that is replaced', async () => {
    await file.commit(RECORDS)
    await file.commit(['1,a', '2,b', '"3,c'], { loadId: 'B' })

    expect(await rejects()).toMatchObject([
      { _load_id: 'B', _source_record: 3n, code: 'unclosed quote', column_name: null },
    ])
    expect(await rows()).toEqual(['B1', 'B2'])
  })

  test('are counted by code and column, the commonest first, at most ten', async () => {
    const names = Array.from({ length: 11 }, (_, index) => `c${String(index).padStart(2, '0')}`)
    const bad = (index: number) => names.map((_, at) => (at === index ? 'x' : '1')).join(',')
    const types = Object.fromEntries(names.map((name) => [name, 'int']))

    const { rejectReasons } = await file.commit([...names.map((_, index) => bad(index)), '1', '1', '1', bad(7)], {
      types,
    })

    expect(rejectReasons).toHaveLength(10)
    expect(rejectReasons.slice(0, 2)).toEqual([
      { code: 'too few fields', column: null, count: 3 },
      { code: 'not int', column: 'c07', count: 2 },
    ])
  })

  test('are read back by pipeline, entry and logical date, and none where nothing was loaded', async () => {
    const owner = { pipeline: 'daily', entry: 'raw.logs', logicalDate: '2026-11-18' }
    const read = (change: Partial<typeof owner> = {}) =>
      file.use((warehouse) => Array.fromAsync(warehouse.readRejects(RAW, { ...owner, ...change })))
    expect(await read()).toEqual([])

    await file.commit(RECORDS)

    expect(await read()).toEqual([stored])
    expect(await read({ logicalDate: '2026-11-19' })).toEqual([])
    expect(await read({ pipeline: 'hourly' })).toEqual([])
    expect(await read({ entry: 'other' })).toEqual([])
  })

  /** What happens to a load over its limit. */
  async function afterRefusal(warehouse: Parameters<Parameters<DuckdbFile['withLoad']>[2]>[0], load: LoadCommit) {
    const refused = warehouse.commitLoad(load, () => {
      throw new Error('too many rejects')
    })
    await expect(refused).rejects.toThrow('too many rejects')
    return await warehouse.keepRejects(load)
  }
})

describe('append', () => {
  const append: LoadPart = { rules: { mode: 'append' } }

  test('keeps the rows of earlier loads', async () => {
    await file.commit(['1,a'], { ...append, batchId: 'one' })
    const counts = await file.commit(['1,a', '2,b'], { ...append, batchId: 'two', loadId: 'B' })

    expect(counts).toMatchObject({ loaded: 2, removed: 0 })
    expect(await rows()).toEqual(['A1', 'B1', 'B2'])
    expect(await ledger()).toEqual([
      ['A', null],
      ['B', null],
    ])
  })

  test('knows the files that are loaded, by content, of this entry only, and only while their rows are there', async () => {
    const files = (sha256: string) => [{ name: `${sha256}.csv`, sha256, sizeBytes: 1 }]
    const known = async (entry = 'raw.logs', pipeline = 'daily') => {
      const loaded = await file.use((warehouse) => warehouse.loadedFiles(RAW, { ...OWNER, pipeline, entry }))
      return [...loaded].map(([sha256, { loadId }]) => [sha256, loadId])
    }
    expect(await known()).toEqual([])

    await file.commit(['1,a'], { ...append, batchId: 'one', files: [...files('aa'), ...files('bb')] })
    await file.commit(['2,b'], {
      ...append,
      batchId: 'two',
      loadId: 'B',
      files: files('cc'),
      loadedAt: '2026-11-20T02:00:00Z',
    })

    expect(await known()).toEqual([
      ['aa', 'A'],
      ['bb', 'A'],
      ['cc', 'B'],
    ])
    expect(await known('other')).toEqual([])
    expect(await known('raw.logs', 'hourly')).toEqual([])
    await file.use((_warehouse, engine) => engine.run("DELETE FROM w.raw.logs WHERE _load_id = 'A'"))
    expect(await known()).toEqual([['cc', 'B']])
  })
})

describe('snapshot', () => {
  test('takes the place of the loads of all dates', async () => {
    const snapshot: LoadPart = { rules: { mode: 'snapshot' }, batchId: 'whole' }
    await file.commit(['1,a', '2,a'], snapshot)
    await file.commit(['9,z'], { loadId: 'X', batchId: 'another entry', entry: 'raw.logs#other' })

    const counts = await file.commit(['1,b'], { ...snapshot, loadId: 'B', logicalDate: '2026-11-19' })

    expect(counts).toMatchObject({ loaded: 1, removed: 2 })
    expect(await rows()).toEqual(['B1', 'X9'])
    expect(await current('whole')).toMatchObject({ loadId: 'B', logicalDate: '2026-11-19' })
  })
})

describe('upsert', () => {
  const types = { id: 'int', version: 'int', note: 'text' }
  const contract = contractOf(types).map((column) => ({ ...column, notNull: column.name === 'id' }))
  const upsert = (change: LoadPart['rules'] = {}): LoadPart => ({
    types,
    rules: { mode: 'upsert', key: KEY, contract, ...change },
  })
  const newest = upsert({ newestBy: identifier('version') })
  const second = { loadId: 'B', batchId: 'day 2' }
  const table = async () => {
    const found = await file.query('SELECT _load_id, id, version, note FROM w.raw.logs ORDER BY id')
    return found.map((row) => Object.values(row))
  }

  test('keeps one row per key, the later one, and the rows whose key does not come', async () => {
    await file.commit(['1,1,a', '2,1,a', '3,1,a', '3,2,a2'], upsert())

    const counts = await file.commit(['2,0,b', '4,1,b'], { ...upsert(), ...second })

    expect(counts).toMatchObject({ read: 2, loaded: 2, superseded: 0, removed: 0 })
    expect(await table()).toEqual([
      ['A', 1, 1, 'a'],
      ['B', 2, 0, 'b'],
      ['A', 3, 2, 'a2'],
      ['B', 4, 1, 'b'],
    ])
  })

  test('keeps the newest by a column; of equals the later one; without a value a row is the oldest', async () => {
    await file.commit(['1,5,a', '2,5,a', '3,5,a', '4,,a', '5,,a', '6,5,a'], newest)

    const counts = await file.commit(['1,6,b', '2,5,b', '3,4,b', '4,1,b', '5,,b', '6,,b'], { ...newest, ...second })

    expect(counts).toMatchObject({ read: 6, loaded: 4, superseded: 2, rejected: 0 })
    expect(await table()).toEqual([
      ['B', 1, 6, 'b'],
      ['B', 2, 5, 'b'],
      ['A', 3, 5, 'a'],
      ['B', 4, 1, 'b'],
      ['B', 5, null, 'b'],
      ['A', 6, 5, 'a'],
    ])
    expect(await current('day 2')).toMatchObject({ loaded: 4, superseded: 2 })
  })

  test('does so within one file, too', async () => {
    const counts = await file.commit(['1,,a', '1,7,b', '1,6,c', '2,1,d', '2,1,e', ',1,f'], newest)

    expect(counts).toMatchObject({ read: 6, loaded: 2, superseded: 3, rejected: 1 })
    expect(await table()).toEqual([
      ['A', 1, 7, 'b'],
      ['A', 2, 1, 'e'],
    ])
  })

  test('compares by value where the raw table keeps the texts', async () => {
    const texts = upsert({ newestBy: identifier('version'), rawAsText: true })
    await file.commit(['1,10,a', '2,9,a'], texts)

    await file.commit(['1,9,b', '2,010,b'], { ...texts, ...second })

    expect(await table()).toEqual([
      ['A', '1', '10', 'a'],
      ['B', '2', '010', 'b'],
    ])
  })

  test('done again changes nothing', async () => {
    await file.commit(['1,5,a', '2,5,a'], newest)
    await file.commit(['1,4,b', '2,6,b', '3,1,b', '3,2,c'], { ...newest, ...second })
    const before = await table()

    const counts = await file.commit(['1,4,b', '2,6,b', '3,1,b', '3,2,c'], { ...newest, ...second })

    expect(await table()).toEqual(before)
    expect(counts).toMatchObject({ read: 4, loaded: 2, superseded: 2 })
    expect((await ledger()).filter(([, replacedBy]) => replacedBy === null)).toEqual([
      ['A', null],
      ['B', null],
    ])
  })

  test('goes by all columns of the key', async () => {
    const two = upsert({ key: [identifier('id'), identifier('version')] })
    await file.commit(['1,1,a', '1,2,a'], two)
    await file.commit(['1,2,b'], { ...two, ...second })

    expect(await table()).toEqual(
      expect.arrayContaining([
        ['A', 1, 1, 'a'],
        ['B', 1, 2, 'b'],
      ]),
    )
    expect(await table()).toHaveLength(2)
  })

  test('of an earlier load still counts as loaded when a later one took over its rows', async () => {
    await file.commit(['1,1,a'], upsert())
    await file.commit(['1,1,b'], { ...upsert(), ...second })

    expect(await current('day 1')).toMatchObject({ loadId: 'A', loaded: 1 })
  })
})
