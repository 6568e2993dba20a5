// A load that does not come to its end leaves the warehouse as it was.
import { expect } from 'vitest'
import type { LoadStream, Take } from '../../../src/ingest/load-stream.ts'
import type { LoadPart, PromiseOf, WarehouseHarness } from '../harness.ts'
import { current, NOTHING, remains } from './look.ts'

export function unfinishedLoads(promise: PromiseOf): void {
  const disagrees = {
    type: 'CountsDisagree',
    message: expect.stringMatching(/^raw\.logs: 2 records were rejected, but 1 came; nothing was kept/),
  }

  promise('because its counts disagree leaves nothing where nothing was before', async (warehouse) => {
    await expect(commitWith(warehouse, ['1,a', 'x,b'], {}, missesRejects)).rejects.toMatchObject(disagrees)

    expect(await remains(warehouse)).toEqual(NOTHING)
    expect(await current(warehouse, 'day 1')).toBeUndefined()
  })

  promise('because its counts disagree leaves the load that it was to replace, and its rejects', async (warehouse) => {
    await warehouse.commit(['1,a', 'y,a'])
    const before = await remains(warehouse)

    await expect(commitWith(warehouse, ['1,b', 'x,b'], { loadId: 'B' }, missesRejects)).rejects.toMatchObject(disagrees)

    expect(await remains(warehouse)).toEqual(before)
    expect(await warehouse.query('SELECT raw_text FROM raw.logs__rejects')).toEqual([{ raw_text: 'y,a' }])
    expect(await current(warehouse, 'day 1')).toMatchObject({ loadId: 'A', loaded: 1, rejected: 1 })
  })

  promise('because rows got lost on their way leaves nothing', async (warehouse) => {
    const swallowing = commitWith(warehouse, ['1,a', 'x,b', '2,c'], {}, (stream) => ({
      rows: (take) => stream.rows((query) => take(`SELECT * FROM (${query}) LIMIT 1`)),
    }))

    await expect(swallowing).rejects.toMatchObject({ type: 'CountsDisagree' })
    expect(await remains(warehouse)).toEqual(NOTHING)
  })

  promise('because it was not accepted leaves nothing', async (warehouse) => {
    const seen: unknown[] = []

    const refused = warehouse.withLoad(['1,a', 'x,b'], {}, (opened, load) =>
      opened.commitLoad(load, (counts) => {
        seen.push(counts)
        throw new Error('too many rejects')
      }),
    )

    await expect(refused).rejects.toThrow('too many rejects')
    expect(seen).toMatchObject([{ read: 2, rows: 1, superseded: 0, rejected: 1 }])
    expect(await remains(warehouse)).toEqual(NOTHING)
  })

  promise('leaves not even an empty raw table where there was none', async (warehouse) => {
    const refused = warehouse.withLoad(['1,a', 'x,b'], {}, (opened, load) =>
      opened.commitLoad(load, () => {
        throw new Error('too many rejects')
      }),
    )

    await expect(refused).rejects.toThrow('too many rejects')
    expect((await warehouse.tables('raw')).filter((name) => name.startsWith('logs'))).toEqual([])
  })

  promise('because its records cannot be read on leaves what was there, and tells why', async (warehouse) => {
    await warehouse.commit(['1,a'])
    const burning = (query: string) =>
      `SELECT * FROM (${query}) WHERE CASE WHEN id = 3 THEN error('disk on fire') ELSE true END`

    const broken = commitWith(warehouse, ['2,b', '3,c'], { loadId: 'B' }, (stream) => ({
      rows: (take) => stream.rows((query) => take(burning(query))),
    }))

    await expect(broken).rejects.toMatchObject({
      type: 'WarehouseFailed',
      message: expect.stringContaining('disk on fire'),
    })
    expect(await remains(warehouse)).toEqual({ rows: ['A1'], ledger: [['A', null]], rejects: [] })
  })

  promise('because it was ended from outside leaves what was there, and the next one is whole', async (warehouse) => {
    await warehouse.commit(['1,a', 'x,a'])
    const before = await remains(warehouse)
    const abort = new AbortController()

    const ended = commitWith(warehouse, ['2,b', 'y,b'], { loadId: 'B', abort }, (stream) => ({
      rows: async (take) => {
        const counts = await stream.rows(take)
        abort.abort(new Error('the run was cancelled'))
        return counts
      },
    }))

    await expect(ended).rejects.toThrow(/cancelled|interrupt|abort/i)
    expect(await remains(warehouse)).toEqual(before)
    await warehouse.commit(['2,b', 'y,b'], { loadId: 'B' })
    expect(await remains(warehouse)).toMatchObject({ rows: ['B2'], rejects: ['not int'] })
  })

  promise('because it was ended while its records came leaves nothing', async (warehouse) => {
    const abort = new AbortController()
    const abortWithin =
      (take: Take): Take =>
      async (query) => {
        const taken = take(query)
        abort.abort(new Error('the run was cancelled'))
        return await taken
      }

    const ended = commitWith(warehouse, ['2,b', 'y,b'], { abort }, (stream) => ({
      rows: (take) => stream.rows(abortWithin(take)),
    }))

    await expect(ended).rejects.toThrow(/cancelled|interrupt|abort/i)
    expect(await remains(warehouse)).toEqual(NOTHING)
  })
}

/** Loads the stream with something else in it than it says. */
async function commitWith(
  warehouse: WarehouseHarness,
  records: readonly string[],
  part: LoadPart,
  change: (stream: LoadStream) => Partial<LoadStream>,
) {
  return await warehouse.withLoad(records, part, (opened, load) =>
    opened.commitLoad({ ...load, stream: { ...load.stream, ...change(load.stream) } }, () => undefined),
  )
}

/** More rejects than come. */
function missesRejects(stream: LoadStream): Partial<LoadStream> {
  return {
    rows: async (statement) => {
      const counts = await stream.rows(statement)
      return { ...counts, read: counts.read + 1, rejected: counts.rejected + 1 }
    },
  }
}
