// Marts are measured where dbt built them.
import { expect } from 'vitest'
import { identifier } from '../../../src/pipeline/identifier.ts'
import type { MartCheck } from '../../../src/pipeline/plan.ts'
import { names, type WarehouseHarness, type PromiseOf } from '../harness.ts'

function measure(warehouse: WarehouseHarness, part: Partial<MartCheck> = {}) {
  const check: MartCheck = {
    mart: identifier('logs'),
    relation: { database: warehouse.database, schema: 'raw', name: 'logs' },
    key: names('id', 'note'),
    unique: true,
    maxNullShare: 0,
  }
  return warehouse.use((opened) => opened.measureMart({ ...check, ...part }))
}

export function marts(promise: PromiseOf): void {
  promise('is measured: rows, NULLs per key column, rows beyond the first of a key', async (warehouse) => {
    await warehouse.commit(['1,a', '1,a', '1,a', '1,b', ',a', ',', ','])

    // Seven rows, of which (1,a), (1,b), (NULL,a) and (NULL,NULL) are different.
    expect(await measure(warehouse)).toEqual({ rows: 7, nulls: { id: 3, note: 2 }, duplicates: 3, newest: null })
    expect(await measure(warehouse, { unique: false })).toMatchObject({ rows: 7, duplicates: null })
  })

  promise('that is empty is measured, too', async (warehouse) => {
    await warehouse.commit([])

    expect(await measure(warehouse)).toEqual({ rows: 0, nulls: { id: 0, note: 0 }, duplicates: 0, newest: null })
  })

  promise('that is a view is measured, too', async (warehouse) => {
    await warehouse.commit(['1,a', '1,a'])
    await warehouse.execute('CREATE VIEW raw.seen AS SELECT id, note FROM raw.logs')

    const relation = { database: warehouse.database, schema: 'raw', name: 'seen' }
    expect(await measure(warehouse, { relation })).toEqual({
      rows: 2,
      nulls: { id: 0, note: 0 },
      duplicates: 1,
      newest: null,
    })
  })

  promise('that is not there is named', async (warehouse) => {
    await expect(measure(warehouse)).rejects.toMatchObject({
      type: 'MartUnknown',
      message: 'raw.logs does not exist in the warehouse; run the step that builds it first',
    })
  })

  promise('without a column of its key is told so', async (warehouse) => {
    await warehouse.commit(['1,a'])

    await expect(measure(warehouse, { key: names('id', 'notes') })).rejects.toMatchObject({
      type: 'MartUnknown',
      message: expect.stringContaining("raw.logs has no column 'notes'"),
    })
  })

  promise('says its newest value, of dates and of timestamps with and without an offset', async (warehouse) => {
    await warehouse.commit(
      [
        '1,2026-11-17,2026-11-17 10:00:00,2026-11-17 10:00:00+01:00,x',
        '2,2026-11-18,2026-11-18 23:59:58.7,2026-11-19 01:30:00+01:00,y',
        '3,,,,z',
      ],
      { types: { id: 'int', day: 'date', local: 'timestamp', instant: 'timestamp', note: 'text' } },
    )
    const newest = async (column: string) => {
      const [name] = names(column)
      if (name === undefined) throw new Error('a name')
      return (await measure(warehouse, { key: names('id'), unique: false, maxAge: { column: name, failMs: 1 } })).newest
    }

    expect(await newest('day')).toBe('2026-11-18T00:00:00Z')
    expect(await newest('local')).toBe('2026-11-18T23:59:58Z')
    expect(await newest('instant')).toBe('2026-11-19T00:30:00Z')
    await expect(newest('note')).rejects.toMatchObject({
      type: 'MartUnknown',
      message: expect.stringMatching(/^raw\.logs: column 'note' is .*, which tells no age; name a date or timestamp/),
    })
    await expect(newest('days')).rejects.toMatchObject({
      type: 'MartUnknown',
      message: expect.stringContaining("raw.logs has no column 'days'"),
    })
  })

  promise('without a value has no newest one', async (warehouse) => {
    const maxAge = { column: identifier('day'), failMs: 1 }
    const types = { id: 'int', day: 'date' }
    await warehouse.commit(['1,'], { types })
    expect(await measure(warehouse, { key: names('id'), maxAge })).toMatchObject({ rows: 1, newest: null })
    await warehouse.commit([], { types, loadId: 'B' })
    expect(await measure(warehouse, { key: names('id'), maxAge })).toMatchObject({ rows: 0, newest: null })
  })
}
