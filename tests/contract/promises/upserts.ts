// Loads that keep one row per key.
import { expect } from 'vitest'
import { DEFAULT_DIALECT } from '../../../src/pipeline/dialect.ts'
import { contractOf } from '../../support/ingest-entry.ts'
import { names, type LoadPart, type WarehouseHarness, type PromiseOf } from '../harness.ts'
import { current, ledger, lists } from './look.ts'

const TYPES = { id: 'int', version: 'int', note: 'text' }
const CONTRACT = contractOf(TYPES).map((column) => ({ ...column, notNull: column.name === 'id' }))
const [VERSION] = names('version')
const SECOND = { loadId: 'B', batchId: 'day 2', loadedAt: '2026-11-20T02:00:00Z' }

function upsert(change: LoadPart['rules'] = {}): LoadPart {
  return { types: TYPES, rules: { mode: 'upsert', key: names('id'), contract: CONTRACT, ...change } }
}

const NEWEST = upsert({ newestBy: VERSION ?? null })

function table(warehouse: WarehouseHarness) {
  return lists(warehouse, 'SELECT _load_id, id, version, note FROM raw.logs ORDER BY id, version')
}

export function upserts(promise: PromiseOf): void {
  promise('keeps one row per key, the later one, and the rows whose key does not come', async (warehouse) => {
    await warehouse.commit(['1,1,a', '2,1,a', '3,1,a', '3,2,a2'], upsert())

    const counts = await warehouse.commit(['2,0,b', '4,1,b'], { ...upsert(), ...SECOND })

    expect(counts).toMatchObject({ read: 2, loaded: 2, superseded: 0, removed: 0 })
    expect(await table(warehouse)).toEqual([
      ['A', 1, 1, 'a'],
      ['B', 2, 0, 'b'],
      ['A', 3, 2, 'a2'],
      ['B', 4, 1, 'b'],
    ])
  })

  promise(
    'keeps the newest by a column; of equals the later; without a value a row is the oldest',
    async (warehouse) => {
      await warehouse.commit(['1,5,a', '2,5,a', '3,5,a', '4,,a', '5,,a', '6,5,a'], NEWEST)

      const counts = await warehouse.commit(['1,6,b', '2,5,b', '3,4,b', '4,1,b', '5,,b', '6,,b'], {
        ...NEWEST,
        ...SECOND,
      })

      expect(counts).toMatchObject({ read: 6, loaded: 4, superseded: 2, rejected: 0 })
      expect(await table(warehouse)).toEqual([
        ['B', 1, 6, 'b'],
        ['B', 2, 5, 'b'],
        ['A', 3, 5, 'a'],
        ['B', 4, 1, 'b'],
        ['B', 5, null, 'b'],
        ['A', 6, 5, 'a'],
      ])
      expect(await current(warehouse, 'day 2')).toMatchObject({ loaded: 4, superseded: 2 })
    },
  )

  promise('does so within one file, too', async (warehouse) => {
    const counts = await warehouse.commit(['1,,a', '1,7,b', '1,6,c', '2,1,d', '2,1,e', ',1,f'], NEWEST)

    expect(counts).toMatchObject({ read: 6, loaded: 2, superseded: 3, rejected: 1 })
    expect(await table(warehouse)).toEqual([
      ['A', 1, 7, 'b'],
      ['A', 2, 1, 'e'],
    ])
  })

  for (const { type, older, newer, newest, rules: reading } of TEXT_VERSIONS) {
    const how = reading === undefined ? '' : ' and is read by rules'
    promise(`compares by value where the raw table keeps a ${type} as text${how}`, async (warehouse) => {
      const types = { ...TYPES, version: type }
      const rules = { ...NEWEST.rules, contract: contractOf(types), rawAsText: true, ...reading }
      await warehouse.commit([`1,"${newer}",a`, `2,"${newer}",a`, `3,"${older}",a`, '4,,a'], { types, rules })

      const records = [`1,"${older}",b`, `2,"${newest}",b`, `3,,b`, `4,"${older}",b`]
      const counts = await warehouse.commit(records, { types, rules, ...SECOND })

      expect(await table(warehouse)).toEqual([
        ['A', '1', newer, 'a'],
        ['B', '2', newest, 'b'],
        ['A', '3', older, 'a'],
        ['B', '4', older, 'b'],
      ])
      expect(counts).toMatchObject({ loaded: 2, superseded: 2 })
    })
  }

  promise('done again changes nothing', async (warehouse) => {
    await warehouse.commit(['1,5,a', '2,5,a'], NEWEST)
    await warehouse.commit(['1,4,b', '2,6,b', '3,1,b', '3,2,c'], { ...NEWEST, ...SECOND })
    const before = await table(warehouse)

    const counts = await warehouse.commit(['1,4,b', '2,6,b', '3,1,b', '3,2,c'], { ...NEWEST, ...SECOND })

    expect(await table(warehouse)).toEqual(before)
    expect(counts).toMatchObject({ read: 4, loaded: 2, superseded: 2 })
    expect((await ledger(warehouse)).filter(([, replacedBy]) => replacedBy === null)).toEqual([
      ['A', null],
      ['B', null],
    ])
  })

  promise('goes by all columns of the key', async (warehouse) => {
    const two = upsert({ key: names('id', 'version') })
    await warehouse.commit(['1,1,a', '1,2,a'], two)
    await warehouse.commit(['1,2,b'], { ...two, ...SECOND })

    expect(await table(warehouse)).toEqual([
      ['A', 1, 1, 'a'],
      ['B', 1, 2, 'b'],
    ])
  })

  promise('of an earlier load still counts as loaded when a later one took over its rows', async (warehouse) => {
    await warehouse.commit(['1,1,a'], upsert())
    await warehouse.commit(['1,1,b'], { ...upsert(), ...SECOND })

    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', loaded: 1 })
  })

  promise('that is not accepted leaves every row as it was', async (warehouse) => {
    await warehouse.commit(['1,5,a', '2,5,a'], NEWEST)
    const before = await table(warehouse)

    const refused = warehouse.withLoad(['1,6,b', '3,1,b'], { ...NEWEST, ...SECOND }, (opened, load) =>
      opened.commitLoad(load, () => {
        throw new Error('not this one')
      }),
    )

    await expect(refused).rejects.toThrow('not this one')
    expect(await table(warehouse)).toEqual(before)
    expect(await ledger(warehouse)).toEqual([['A', null]])
  })
}

/** Versions that compare otherwise as texts than as values. */
const TEXT_VERSIONS: readonly {
  readonly type: string
  readonly older: string
  readonly newer: string
  readonly newest: string
  readonly rules?: LoadPart['rules']
}[] = [
  { type: 'bigint', older: '+09', newer: '9007199254740992', newest: '9007199254740993' },
  { type: 'double', older: '.5', newer: '1e1', newest: '10.5' },
  {
    type: 'numeric(20,9)',
    older: '9,5',
    newer: '10,000000001',
    newest: '010,000000002',
    rules: { dialect: { ...DEFAULT_DIALECT, decimal: ',' } },
  },
  {
    type: 'timestamp',
    older: '2026-01-05 10:00:00+0500',
    newer: '2026-01-05T06:00:00Z',
    newest: '2026-01-05 00:00:00.0000010-06',
  },
  // Three in Paris in summer: one in UTC.
  {
    type: 'timestamp',
    older: '2026-07-05T02:30:00',
    newer: '2026-07-05 00:45:00Z',
    newest: '2026-07-05 03:00:00',
    rules: { timeZone: 'Europe/Paris' },
  },
]
