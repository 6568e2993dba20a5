// Loads that do not replace their batch: those that append, and those that replace the loads of all dates.
import { expect } from 'vitest'
import { OWNER, RAW, type LoadPart, type PromiseOf } from '../harness.ts'
import { current, ledger, rows } from './look.ts'

const APPEND: LoadPart = { rules: { mode: 'append' } }
const SNAPSHOT: LoadPart = { rules: { mode: 'snapshot' }, batchId: 'whole' }

export function modes(promise: PromiseOf): void {
  promise('an appending load keeps the rows of earlier ones', async (warehouse) => {
    await warehouse.commit(['1,a'], { ...APPEND, batchId: 'one' })
    const counts = await warehouse.commit(['1,a', '2,b'], { ...APPEND, batchId: 'two', loadId: 'B' })

    expect(counts).toMatchObject({ loaded: 2, removed: 0 })
    expect(await rows(warehouse)).toEqual(['A1', 'B1', 'B2'])
    expect(await ledger(warehouse)).toEqual([
      ['A', null],
      ['B', null],
    ])
  })

  promise(
    'files that are appended are known by content, of this entry, while their rows are there',
    async (warehouse) => {
      const files = (sha256: string) => [{ name: `${sha256}.csv`, sha256, sizeBytes: 1 }]
      const known = async (entry = 'raw.logs', pipeline = 'daily') => {
        const loaded = await warehouse.use((opened) => opened.loadedFiles(RAW, { ...OWNER, pipeline, entry }))
        return [...loaded].map(([sha256, { loadId }]) => [sha256, loadId])
      }
      expect(await known()).toEqual([])

      await warehouse.commit(['1,a'], { ...APPEND, batchId: 'one', files: [...files('aa'), ...files('bb')] })
      const later = { loadId: 'B', loadedAt: '2026-11-20T02:00:00Z' }
      await warehouse.commit(['2,b'], { ...APPEND, ...later, batchId: 'two', files: files('cc') })

      expect(await known()).toEqual([
        ['aa', 'A'],
        ['bb', 'A'],
        ['cc', 'B'],
      ])
      expect(await known('other')).toEqual([])
      expect(await known('raw.logs', 'hourly')).toEqual([])
      await warehouse.execute("DELETE FROM raw.logs WHERE _load_id = 'A'")
      expect(await known()).toEqual([['cc', 'B']])
    },
  )

  promise('a snapshot takes the place of the loads of all dates', async (warehouse) => {
    await warehouse.commit(['1,a', '2,a'], SNAPSHOT)
    await warehouse.commit(['9,z'], { loadId: 'X', batchId: 'another entry', entry: 'raw.logs#other' })

    const counts = await warehouse.commit(['1,b'], { ...SNAPSHOT, loadId: 'B', logicalDate: '2026-11-19' })

    expect(counts).toMatchObject({ loaded: 1, removed: 2 })
    expect(await rows(warehouse)).toEqual(['B1', 'X9'])
    expect(await current(warehouse, 'whole')).toMatchObject({ loadId: 'B', logicalDate: '2026-11-19' })
  })

  promise('an entry that changes its mode is refused while its rows are there', async (warehouse) => {
    await warehouse.commit(['1,a'])

    await expect(warehouse.commit(['1,a', '2,b'], { ...APPEND, loadId: 'B' })).rejects.toMatchObject({
      type: 'ContractChanged',
      message: expect.stringContaining('raw.logs holds rows of this entry from mode replace; with mode append'),
    })

    expect(await rows(warehouse)).toEqual(['A1'])
    await warehouse.execute('DELETE FROM raw.logs WHERE true')
    await warehouse.commit(['1,a', '2,b'], { ...APPEND, loadId: 'B' })
    expect(await rows(warehouse)).toEqual(['B1', 'B2'])
  })
}
