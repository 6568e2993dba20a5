// Raw tables are held to their contract, or grow as it allows.
import { expect } from 'vitest'
import { OWNER, RAW, type LoadPart, type WarehouseHarness, type PromiseOf } from '../harness.ts'
import { ledger, lists, rows } from './look.ts'

const EVOLVE: LoadPart = { rules: { extraColumns: 'evolve' } }
const SECOND = { loadId: 'B', batchId: 'day 2', loadedAt: '2026-11-20T02:00:00Z' }
const THIRD = { loadId: 'C', batchId: 'day 3', loadedAt: '2026-11-21T02:00:00Z' }

/** A column more, a column less, another type, another precision; with a record, and the column to name. */
const OTHER_CONTRACTS = [
  [{ id: 'int', note: 'text', day: 'date' }, '1,a,2026-01-05', 'day'],
  [{ id: 'int' }, '1', 'note'],
  [{ id: 'date', note: 'text' }, '2026-01-05,a', 'id'],
  [{ id: 'numeric(10,2)', note: 'text' }, '1,a', 'id'],
] as const

export function rawTables(promise: PromiseOf): void {
  promise('takes the same contract in another order', async (warehouse) => {
    await warehouse.commit(['1,a'])

    await warehouse.commit(['b,2'], { types: { note: 'text', id: 'int' }, ...SECOND })

    expect(await lists(warehouse, 'SELECT id, note FROM raw.logs ORDER BY id')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ])
  })

  promise('refuses a contract with more, fewer or other columns, and stays as it was', async (warehouse) => {
    await warehouse.commit(['1,a'])

    for (const [types, record, different] of OTHER_CONTRACTS) {
      await expect(warehouse.commit([record], { types, loadId: 'B' })).rejects.toMatchObject({
        type: 'ContractChanged',
        message: expect.stringContaining(
          `raw.logs has other columns than its contract (${different}); change the table`,
        ),
      })
    }

    expect(await lists(warehouse, 'SELECT _load_id, id, note FROM raw.logs')).toEqual([['A', 1, 'a']])
  })

  promise('that may evolve gets the columns that a later file brings, NULL in the rows before', async (warehouse) => {
    await warehouse.commit(['1,a'], EVOLVE)

    const header = ['device', 'id', 'note', 'app_version']
    await warehouse.commit(['x,2,b,y'], { ...EVOLVE, ...SECOND, header })

    expect(await warehouse.query('SELECT id, note, device, app_version FROM raw.logs ORDER BY id')).toEqual([
      { id: 1, note: 'a', device: null, app_version: null },
      { id: 2, note: 'b', device: 'x', app_version: 'y' },
    ])
  })

  promise(
    'that may evolve takes a later file without the column that it once got, and remembers it',
    async (warehouse) => {
      const header = ['id', 'note', 'device']
      await warehouse.commit(['1,a,x'], { ...EVOLVE, header })
      await warehouse.commit(['2,b'], { ...EVOLVE, ...SECOND })
      await warehouse.commit(['3,c,z'], { ...EVOLVE, ...THIRD, header })

      expect(await lists(warehouse, 'SELECT id, note, device FROM raw.logs ORDER BY id')).toEqual([
        [1, 'a', 'x'],
        [2, 'b', null],
        [3, 'c', 'z'],
      ])
      expect((await remembered(warehouse))?.map(({ name, origin, optional }) => [name, origin, optional])).toEqual([
        ['id', 'pipeline', false],
        ['note', 'pipeline', false],
        ['device', 'first header', true],
      ])
    },
  )

  promise('that may evolve still holds the declared columns to their types', async (warehouse) => {
    await warehouse.commit(['1,a'], EVOLVE)
    const refusal = (name: string) => ({
      type: 'ContractChanged',
      message: expect.stringContaining(`(${name})`),
    })

    const retyped = { id: 'date', note: 'text' }
    await expect(warehouse.commit(['2026-01-05,a'], { ...EVOLVE, types: retyped, loadId: 'B' })).rejects.toMatchObject(
      refusal('id'),
    )
    const longer = { id: 'int', note: 'text', day: 'date' }
    await expect(warehouse.commit(['1,a,2026-01-05'], { ...EVOLVE, types: longer, loadId: 'B' })).rejects.toMatchObject(
      refusal('day'),
    )
    expect(await rows(warehouse)).toEqual(['A1'])
  })

  promise('whose new column came with a load that failed can be loaded as before', async (warehouse) => {
    await warehouse.commit(['1,a'], EVOLVE)

    const broken = warehouse.withLoad(['2,b,x'], { ...EVOLVE, header: ['id', 'note', 'device'] }, (opened, load) =>
      opened.commitLoad(load, () => {
        throw new Error('not this one')
      }),
    )

    await expect(broken).rejects.toThrow('not this one')
    expect(await rows(warehouse)).toEqual(['A1'])
    await warehouse.commit(['2,b'], { ...EVOLVE, ...SECOND })
    expect(await lists(warehouse, 'SELECT id, note FROM raw.logs ORDER BY id')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ])
  })

  promise('remembers the contract of its latest load, and none before the first', async (warehouse) => {
    expect(await remembered(warehouse)).toBeUndefined()

    await warehouse.commit(['1,a'], { rules: { contract: null } })

    expect(await remembered(warehouse)).toEqual(
      ['id', 'note'].map((name) => ({
        name,
        header: name,
        type: { kind: 'string' },
        origin: 'first header',
        optional: false,
        notNull: false,
      })),
    )
  })

  promise('that was moved aside is made anew, with nothing remembered of the old one', async (warehouse) => {
    await warehouse.commit(['1,a'])
    await warehouse.execute('CREATE TABLE raw.logs_old AS SELECT * FROM raw.logs', 'DROP TABLE raw.logs')

    expect(await remembered(warehouse)).toBeUndefined()
    await warehouse.commit(['1.5,a'], { types: { id: 'numeric(10,2)', note: 'text' } })

    expect(await lists(warehouse, 'SELECT id FROM raw.logs')).toEqual([['1.5']])
    expect(await lists(warehouse, 'SELECT id FROM raw.logs_old')).toEqual([[1]])
    expect((await ledger(warehouse)).filter(([, replacedBy]) => replacedBy === null)).toEqual([['A', null]])
  })

  promise('takes columns that are named like words of SQL', async (warehouse) => {
    const types = { order: 'int', group: 'text', select: 'date', user: 'text', end: 'text', hash: 'text' }

    await warehouse.commit(['1,a,2026-01-05,u,e,h'], { types })
    await warehouse.commit(['2,a,2026-01-05,u,e,h'], { types, ...SECOND })

    expect(await lists(warehouse, 'SELECT _load_id, logs.order FROM raw.logs AS logs ORDER BY _load_id')).toEqual([
      ['A', 1],
      ['B', 2],
    ])
  })

  promise('is no view', async (warehouse) => {
    await warehouse.execute('CREATE SCHEMA raw', 'CREATE VIEW raw.logs AS SELECT 1 AS id')

    await expect(warehouse.commit(['1,a'])).rejects.toMatchObject({
      type: 'ContractChanged',
      message: 'raw.logs is a view, nothing can be loaded into it; drop or rename it',
    })
  })
}

function remembered(warehouse: WarehouseHarness) {
  return warehouse.use((opened) => opened.rememberedContract(RAW, OWNER))
}
