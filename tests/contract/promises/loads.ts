// A load's rows, and its row of the ledger, come and go together.
import { expect } from 'vitest'
import type { PromiseOf } from '../harness.ts'
import { current, ledger, rows } from './look.ts'

export function loads(promise: PromiseOf): void {
  promise('brings its rows, each with where it came from, and its row of the ledger', async (warehouse) => {
    expect(await current(warehouse, 'day 1')).toBeUndefined()

    await warehouse.commit(['7,"a"', '8,', '9,""'])

    const origin = {
      _load_id: 'A',
      _source_file: 'in.csv',
      _loaded_at: '2026-11-19 02:00:00.123',
      _logical_date: '2026-11-18',
    }
    const columns = ['id', 'note', '_source_record', ...Object.keys(origin)]
    expect(await warehouse.query(`SELECT ${columns.join(', ')} FROM raw.logs ORDER BY id`)).toEqual([
      { id: 7, note: 'a', _source_record: 1, ...origin },
      { id: 8, note: null, _source_record: 2, ...origin },
      { id: 9, note: '', _source_record: 3, ...origin },
    ])
    expect(await current(warehouse, 'day 1')).toEqual({
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

  promise('committed twice is there once', async (warehouse) => {
    await warehouse.commit(['1,a', '2,b'])
    await warehouse.commit(['1,a', '2,b'])

    expect(await rows(warehouse)).toEqual(['A1', 'A2'])
    expect((await ledger(warehouse)).filter(([, replacedBy]) => replacedBy === null)).toEqual([['A', null]])
  })

  promise('whose rows are gone from the raw table counts as not there', async (warehouse) => {
    await warehouse.commit(['1,a', '2,b'])
    await warehouse.execute('DELETE FROM raw.logs WHERE id = 2')

    expect(await current(warehouse, 'day 1')).toBeUndefined()
    await warehouse.commit(['1,a', '2,b'])
    expect(await rows(warehouse)).toEqual(['A1', 'A2'])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', loaded: 2 })
  })

  promise("of another batch leaves the first batch's rows", async (warehouse) => {
    await warehouse.commit(['1,a'])
    await warehouse.commit(['2,b'], { loadId: 'B', batchId: 'day 2' })

    expect(await rows(warehouse)).toEqual(['A1', 'B2'])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A' })
    expect(await current(warehouse, 'day 2')).toMatchObject({ loadId: 'B' })
  })

  promise('of a corrected file replaces its batch, and the first one may come back', async (warehouse) => {
    await warehouse.commit(['1,a', '2,a'])
    await warehouse.commit(['1,b'], { loadId: 'B', loadedAt: '2026-11-19T03:00:00Z' })
    expect(await rows(warehouse)).toEqual(['B1'])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'B' })

    await warehouse.commit(['1,a', '2,a'], { loadedAt: '2026-11-19T04:00:00Z' })

    expect(await rows(warehouse)).toEqual(['A1', 'A2'])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', loaded: 2 })
    expect(await ledger(warehouse)).toEqual([
      ['A', 'B'],
      ['B', 'A'],
      ['A', null],
    ])
  })

  promise('of a file without a record empties its batch', async (warehouse) => {
    await warehouse.commit(['1,a'])
    await warehouse.commit([], { loadId: 'B' })

    expect(await rows(warehouse)).toEqual([])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'B', read: 0, loaded: 0 })
  })

  promise('and another one of the same table at the same time are both whole', async (warehouse) => {
    const day = (name: string) => Array.from({ length: 300 }, (_, index) => `${index},${name}`)
    const both = [
      warehouse.commit(['x,a', ...day('a')]),
      warehouse.commit(['x,b', 'y,b', ...day('b')], { loadId: 'B', batchId: 'day 2' }),
    ]

    expect(await Promise.all(both)).toMatchObject([
      { loaded: 300, rejected: 1 },
      { loaded: 300, rejected: 2 },
    ])
    expect(
      await warehouse.query(
        'SELECT _load_id, note, count(*) AS n, count(DISTINCT id) AS ids FROM raw.logs GROUP BY _load_id, note ORDER BY note',
      ),
    ).toEqual([
      { _load_id: 'A', note: 'a', n: 300, ids: 300 },
      { _load_id: 'B', note: 'b', n: 300, ids: 300 },
    ])
    expect(await ledger(warehouse)).toEqual([
      ['A', null],
      ['B', null],
    ])
    expect(
      await warehouse.query('SELECT _load_id, count(*) AS n FROM raw.logs__rejects GROUP BY _load_id ORDER BY n'),
    ).toEqual([
      { _load_id: 'A', n: 1 },
      { _load_id: 'B', n: 2 },
    ])
  })

  promise('and the correction of its batch at the same time leave one of the two', async (warehouse) => {
    await warehouse.commit(['1,a'])

    await Promise.all([
      warehouse.commit(['2,b', '3,b'], { loadId: 'B' }),
      warehouse.commit(['4,c', '5,c', '6,c'], { loadId: 'C' }),
    ])

    const left = await rows(warehouse)
    expect([
      ['B2', 'B3'],
      ['C4', 'C5', 'C6'],
    ]).toContainEqual(left)
    expect((await ledger(warehouse)).filter(([, replacedBy]) => replacedBy === null)).toEqual([
      [left[0]?.charAt(0), null],
    ])
  })

  promise('finds nothing to end where nothing was left', async (warehouse) => {
    await warehouse.commit(['1,a'])

    const left = {
      runId: 'run 1',
      dbt: [{ invocationId: 'i', nodes: ['model.p.m'], startedAt: '2026-11-19T02:00:00Z' }],
    }
    expect(await warehouse.use((opened) => opened.endLeftovers(left))).toBe(0)
    expect(await rows(warehouse)).toEqual(['A1'])
  })
}
