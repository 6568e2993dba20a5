// Records that are not loaded are kept beside the raw table, with the reason.
import { expect } from 'vitest'
import type { LoadCommit, Warehouse } from '../../../src/warehouses/warehouse.ts'
import { names, RAW, type PromiseOf } from '../harness.ts'
import { current, lists, remains, rows } from './look.ts'

const RECORDS = ['1,a', 'x,"é"']
const ROW = {
  _load_id: 'A',
  _source_file: 'in.csv',
  _source_record: 2,
  line: 3,
  byte_offset: 12,
  code: 'not int',
  column_name: 'id',
  message: "'x' is not an int",
  raw_text: 'x,"é"',
}
const STORED = `SELECT ${Object.keys(ROW).join(', ')} FROM raw.logs__rejects ORDER BY _source_record`
const REASONS = [{ code: 'not int', column: 'id', count: 1 }]

export function rejects(promise: PromiseOf): void {
  promise('stand beside the raw table, once however often their load is committed', async (warehouse) => {
    await warehouse.commit(RECORDS)
    const counts = await warehouse.commit(RECORDS)

    const rejectReasons = REASONS
    expect(counts).toEqual({ read: 2, loaded: 1, superseded: 0, rejected: 1, removed: 1, rejectReasons })
    expect(await rows(warehouse)).toEqual(['A1'])
    expect(await warehouse.query(STORED)).toEqual([ROW])
    expect(await current(warehouse, 'day 1')).toMatchObject({ read: 2, loaded: 1, rejected: 1, rejectReasons })
  })

  promise('of a load that is not committed are kept, without any row of it', async (warehouse) => {
    expect(await warehouse.withLoad(RECORDS, {}, afterRefusal)).toEqual(REASONS)
    expect(await warehouse.withLoad(RECORDS, {}, afterRefusal)).toEqual(REASONS)

    expect(await warehouse.query(STORED)).toEqual([ROW])
    expect(await remains(warehouse)).toEqual({ rows: [], ledger: [], rejects: ['not int'] })
    expect(await current(warehouse, 'day 1')).toBeUndefined()
  })

  promise('of a load that is not committed stand beside those of the one that it was to replace', async (warehouse) => {
    await warehouse.commit(RECORDS)

    await warehouse.withLoad(['1,a', 'y,b'], { loadId: 'B' }, afterRefusal)

    expect(await lists(warehouse, 'SELECT _load_id, raw_text FROM raw.logs__rejects ORDER BY _load_id')).toEqual([
      ['A', 'x,"é"'],
      ['B', 'y,b'],
    ])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', rejected: 1, rejectReasons: REASONS })
  })

  promise('are kept of a load that rejects every record of a key that is there twice', async (warehouse) => {
    const twice = ['1,a', '2,b', 'x,c', '1,d']
    const reasons = await warehouse.withLoad(twice, { rules: { key: names('id') } }, afterRefusal)

    expect(reasons).toEqual([
      { code: 'duplicate key', column: 'id', count: 2 },
      { code: 'not int', column: 'id', count: 1 },
    ])
    expect(
      await lists(warehouse, 'SELECT _source_record, code FROM raw.logs__rejects ORDER BY _source_record'),
    ).toEqual([
      [1, 'duplicate key'],
      [3, 'not int'],
      [4, 'duplicate key'],
    ])
    expect(await rows(warehouse)).toEqual([])
  })

  promise('go with the load that is replaced', async (warehouse) => {
    await warehouse.commit(RECORDS)
    await warehouse.commit(['1,a', '2,b', '"3,c'], { loadId: 'B' })

    expect(await warehouse.query(STORED)).toMatchObject([
      { _load_id: 'B', _source_record: 3, code: 'unclosed quote', column_name: null },
    ])
    expect(await rows(warehouse)).toEqual(['B1', 'B2'])
  })

  promise('are counted by code and column, the commonest first, at most ten', async (warehouse) => {
    const columns = Array.from({ length: 11 }, (_, index) => `c${String(index).padStart(2, '0')}`)
    const bad = (index: number) => columns.map((_, at) => (at === index ? 'x' : '1')).join(',')
    const types = Object.fromEntries(columns.map((name) => [name, 'int']))

    const records = [...columns.map((_, index) => bad(index)), '1', '1', '1', bad(7)]
    const { rejectReasons } = await warehouse.commit(records, { types })

    expect(rejectReasons).toHaveLength(10)
    expect(rejectReasons.slice(0, 2)).toEqual([
      { code: 'too few fields', column: null, count: 3 },
      { code: 'not int', column: 'c07', count: 2 },
    ])
  })

  promise('are kept whatever is in them', async (warehouse) => {
    const notes = ["it's", String.raw`\.`, String.raw`back\slash`, 'tab\there', '𝄞 שלום', '$1 ? @p', ' blank ']

    await warehouse.commit(notes.map((note) => `x,${note}`))

    expect(await lists(warehouse, 'SELECT raw_text FROM raw.logs__rejects ORDER BY _source_record')).toEqual(
      notes.map((note) => [`x,${note}`]),
    )
  })

  promise('are read back by pipeline, entry and logical date, and none where nothing was loaded', async (warehouse) => {
    const owner = { pipeline: 'daily', entry: 'raw.logs', logicalDate: '2026-11-18' }
    const read = (change: Partial<typeof owner> = {}) =>
      warehouse.use((opened) => Array.fromAsync(opened.readRejects(RAW, { ...owner, ...change })))
    expect(await read()).toEqual([])

    await warehouse.commit(RECORDS)

    expect(await read()).toEqual([
      {
        file: 'in.csv',
        record: 2,
        line: 3,
        byteOffset: 12,
        code: 'not int',
        column: 'id',
        message: "'x' is not an int",
        rawText: 'x,"é"',
        rejectedAt: '2026-11-19T02:00:00Z',
      },
    ])
    expect(await read({ logicalDate: '2026-11-19' })).toEqual([])
    expect(await read({ pipeline: 'hourly' })).toEqual([])
    expect(await read({ entry: 'other' })).toEqual([])
  })

  promise('are read back in the order of their records, however many they are', async (warehouse) => {
    await warehouse.commit(Array.from({ length: 2500 }, (_, index) => `x${index},a`))

    const owner = { pipeline: 'daily', entry: 'raw.logs', logicalDate: '2026-11-18' }
    const read = await warehouse.use((opened) => Array.fromAsync(opened.readRejects(RAW, owner)))
    expect(read.map(({ record }) => record)).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1))
  })
}

/** What happens to a load over its limit. */
async function afterRefusal(warehouse: Warehouse, load: LoadCommit) {
  const refused = warehouse.commitLoad(load, () => {
    throw new Error('too many rejects')
  })
  await expect(refused).rejects.toThrow('too many rejects')
  return await warehouse.keepRejects(load)
}
