// Publishing: marts come before their readers together, and only as they were checked.
import { expect } from 'vitest'
import { identifier } from '../../../src/pipeline/identifier.ts'
import type { Publication } from '../../../src/warehouses/warehouse.ts'
import type { PromiseOf, WarehouseHarness } from '../harness.ts'
import type { PlainRow } from '../../support/rows/plain.ts'
import { lists } from './look.ts'

const LIVE = identifier('live')

export function publishing(promise: PromiseOf): void {
  promise('makes the live schema and its tables, and says where each came from', async (warehouse) => {
    await build(warehouse, 'users', [
      { id: 1, name: 'a' },
      { id: 2, name: null },
    ])
    await build(warehouse, 'days', [{ day: 'x' }])

    const published = await publish(warehouse, ['users', 'days'], { expectedRows: { users: 2, days: null } })

    expect(published).toEqual([
      { mart: 'users', rows: 2 },
      { mart: 'days', rows: 1 },
    ])
    expect(await warehouse.read('SELECT id, name FROM live.users ORDER BY id')).toEqual([
      { id: 1, name: 'a' },
      { id: 2, name: null },
    ])
    expect(await warehouse.read('SELECT day FROM live.days')).toEqual([{ day: 'x' }])
    const columns = 'mart, candidate, pipeline, target, logical_date, mart_rows, run_id, published_at'
    expect(await warehouse.read(`SELECT ${columns} FROM live.millrace_published ORDER BY mart DESC`)).toEqual(
      published.map(({ mart, rows }) => ({
        mart,
        candidate: `${warehouse.database}.dev.${mart}`,
        pipeline: 'daily',
        target: 'dev',
        logical_date: '2026-11-18',
        mart_rows: rows,
        run_id: 'run 1',
        published_at: '2026-11-19 02:00:00',
      })),
    )
  })

  promise('replaces all rows of a mart, and leaves the other marts of the live schema', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }, { id: 2 }])
    await build(warehouse, 'days', [{ day: 'x' }])
    await publish(warehouse, ['users', 'days'])
    await build(warehouse, 'users', [{ id: 3 }])
    await build(warehouse, 'days', [{ day: 'y' }])

    await publish(warehouse, ['users'])

    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 3 }])
    expect(await warehouse.read('SELECT day FROM live.days')).toEqual([{ day: 'x' }])
    expect(await lists(warehouse, 'SELECT mart, mart_rows FROM live.millrace_published ORDER BY mart')).toEqual([
      ['days', 1],
      ['users', 1],
    ])
  })

  promise('publishes a mart without rows', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])
    await publish(warehouse, ['users'])
    await warehouse.execute('DELETE FROM dev.users WHERE true')

    expect(await publish(warehouse, ['users'], { expectedRows: { users: 0 } })).toEqual([{ mart: 'users', rows: 0 }])
    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([])
  })

  promise('publishes a candidate that is a view', async (warehouse) => {
    await build(warehouse, 'source', [{ id: 1 }])
    await warehouse.execute('CREATE VIEW dev.users AS SELECT id FROM dev.source')

    await publish(warehouse, ['users'])

    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 1 }])
  })

  promise('follows the columns of the candidate: added, dropped, in another order', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1, gone: 'x', size: 5 }])
    await publish(warehouse, ['users'])
    await build(warehouse, 'users', [{ size: 6, id: 2, added: 'y' }])

    await publish(warehouse, ['users'])

    expect(await warehouse.read('SELECT * FROM live.users')).toEqual([{ id: 2, size: 6, added: 'y' }])
    await build(warehouse, 'users', [{ added: 'z', id: 3, size: 7 }])
    await publish(warehouse, ['users'])
    expect(await warehouse.read('SELECT id, size, added FROM live.users')).toEqual([{ id: 3, size: 7, added: 'z' }])
  })

  promise('follows a column of the candidate that is of another type', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1, size: 5 }])
    await publish(warehouse, ['users'])
    await build(warehouse, 'users', [{ id: 2, size: 'large' }])

    await publish(warehouse, ['users'])

    expect(await warehouse.read('SELECT id, size FROM live.users')).toEqual([{ id: 2, size: 'large' }])
  })

  promise('keeps what the owner of a live table gave it', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1, gone: 'x' }])
    await publish(warehouse, ['users'])
    const bare = await warehouse.furniture('live', 'users')
    await warehouse.furnish('live', 'users')
    const furnished = await warehouse.furniture('live', 'users')
    expect(furnished).not.toEqual(bare)

    await build(warehouse, 'users', [{ id: 2, gone: 'x' }])
    await publish(warehouse, ['users'])
    expect(await warehouse.furniture('live', 'users')).toEqual(furnished)

    await build(warehouse, 'users', [{ id: 3, added: 'y' }])
    await publish(warehouse, ['users'])
    expect(await warehouse.furniture('live', 'users')).toEqual(furnished)
    expect(await warehouse.read('SELECT id, added FROM live.users')).toEqual([{ id: 3, added: 'y' }])
  })

  promise('refuses all marts where candidates are missing, and names each of them', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])
    await publish(warehouse, ['users'])
    await build(warehouse, 'users', [{ id: 2 }])

    await expect(publish(warehouse, ['users', 'days', 'weeks'])).rejects.toMatchObject({
      type: 'MartUnknown',
      message: 'dev.days, dev.weeks: not in the warehouse; run the step that builds it first',
    })

    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 1 }])
    expect(await warehouse.tables('live')).toEqual(['millrace_published', 'users'])
  })

  promise('refuses all marts where one would take the place of a view', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])
    await build(warehouse, 'days', [{ id: 1 }])
    await warehouse.execute('CREATE SCHEMA live', 'CREATE VIEW live.days AS SELECT id FROM dev.users')

    await expect(publish(warehouse, ['users', 'days'])).rejects.toMatchObject({
      type: 'PublishRefused',
      message: expect.stringContaining('live.days is a view; drop it, then start the run again: DROP VIEW live.days'),
    })
    expect((await warehouse.tables('live')).filter((name) => name === 'users')).toEqual([])
    await warehouse.execute('DROP VIEW live.days')
    await publish(warehouse, ['users', 'days'])
    expect(await warehouse.read('SELECT id FROM live.days')).toEqual([{ id: 1 }])
  })

  promise('refuses the marts of another candidate schema until they are handed over', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }], 'prod')
    await build(warehouse, 'users', [{ id: 2 }])
    await publish(warehouse, ['users'], { candidates: 'prod', target: 'prod' })

    const refused = publish(warehouse, ['users'])

    await expect(refused).rejects.toMatchObject({ type: 'PublishRefused' })
    const message = await refused.then(String, String)
    expect(message).toContain(`live.users comes from ${warehouse.database}.prod.users (pipeline daily, target prod)`)
    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 1 }])
    // As the message says.
    const [command = ''] = /DELETE FROM .*/.exec(message) ?? []
    await warehouse.execute(command.replace(/\. Nothing was published$/, ''))
    await publish(warehouse, ['users'])
    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 2 }])
  })

  promise('publishes nothing where a mart has other rows than its check counted', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])
    await build(warehouse, 'days', [{ day: 'x' }])
    await publish(warehouse, ['users', 'days'])
    await build(warehouse, 'users', [{ id: 2, added: 'y' }])
    await build(warehouse, 'days', [{ day: 'y' }, { day: 'z' }])

    await expect(publish(warehouse, ['users', 'days'], { expectedRows: { users: 1, days: 1 } })).rejects.toMatchObject({
      type: 'PublishRefused',
      message: expect.stringContaining('dev.days has 2 rows now, but had 1 when it was checked'),
    })

    expect(await warehouse.read('SELECT id FROM live.users')).toEqual([{ id: 1 }])
    expect(await warehouse.read('SELECT day FROM live.days')).toEqual([{ day: 'x' }])
    expect(await lists(warehouse, 'SELECT mart, mart_rows FROM live.millrace_published ORDER BY mart')).toEqual([
      ['days', 1],
      ['users', 1],
    ])
  })

  promise('shows no mart where the first publication is refused', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])

    await expect(publish(warehouse, ['users'], { expectedRows: { users: 5 } })).rejects.toMatchObject({
      type: 'PublishRefused',
    })

    expect((await warehouse.tables('live')).filter((name) => name === 'users')).toEqual([])
  })

  promise('shows a reader all old rows or all new ones', async (warehouse) => {
    const generation = async (value: number) => {
      await build(warehouse, 'users', [{ g: value }, { g: value }])
      await build(warehouse, 'days', [{ g: value }])
    }
    await generation(0)
    await publish(warehouse, ['users', 'days'])
    const state = { over: false }
    const seen: PlainRow[] = []
    const reader = (async () => {
      while (!state.over) seen.push(...(await warehouse.read(GENERATIONS)))
    })()

    for (let value = 1; value <= 5; value++) {
      await generation(value)
      await publish(warehouse, ['users', 'days'])
      const before = seen.length
      while (seen.length < before + 2) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    state.over = true
    await reader

    const whole = ({ low }: PlainRow) => ({ low, high: low, n: 2, day: low, days: 1 })
    expect(seen).toEqual(seen.map(whole))
    expect(new Set(seen.map(({ low }) => low))).toEqual(new Set([0, 1, 2, 3, 4, 5]))
  })

  promise('lets readers in while the warehouse is written to', async (warehouse) => {
    await build(warehouse, 'users', [{ id: 1 }])
    await publish(warehouse, ['users'])

    const read = warehouse.withLoad(['1,a'], {}, async (opened, load) => {
      const found: unknown[] = []
      await opened.commitLoad(load, () => undefined)
      found.push(...(await warehouse.read('SELECT id FROM live.users')))
      return found
    })

    expect(await read).toEqual([{ id: 1 }])
  })
}

/** One statement over both marts. */
const GENERATIONS = `SELECT (SELECT min(g) FROM live.users) AS low, (SELECT max(g) FROM live.users) AS high,
  (SELECT count(*) FROM live.users) AS n, (SELECT min(g) FROM live.days) AS day, (SELECT count(*) FROM live.days) AS days`

interface PublicationPart {
  readonly candidates?: string
  readonly target?: string
  readonly expectedRows?: Readonly<Record<string, number | null>>
}

async function publish(warehouse: WarehouseHarness, martNames: readonly string[], part: PublicationPart = {}) {
  const { candidates = 'dev', target = 'dev', expectedRows = {} } = part
  const publication: Publication = {
    pipeline: 'daily',
    target,
    runId: 'run 1',
    logicalDate: '2026-11-18',
    publishedAt: '2026-11-19T02:00:00Z',
    to: LIVE,
    marts: martNames.map((name) => ({
      mart: identifier(name),
      relation: { database: warehouse.database, schema: candidates, name },
      expectedRows: expectedRows[name] ?? null,
    })),
    copyTo: warehouse.copyTo,
  }
  return await warehouse.use((opened) => opened.publish(publication))
}

/** What dbt does: the candidate anew, with these rows. */
async function build(warehouse: WarehouseHarness, name: string, rows: readonly PlainRow[], schema = 'dev') {
  const literal = (value: PlainRow[string] | undefined) =>
    typeof value === 'string' ? `'${value}'` : String(value ?? null)
  const selects = rows.map(
    (row) =>
      `SELECT ${Object.entries(row)
        .map(([column, value]) => `${literal(value)} AS ${column}`)
        .join(', ')}`,
  )
  await warehouse.execute(
    `CREATE SCHEMA IF NOT EXISTS ${schema}`,
    `DROP TABLE IF EXISTS ${schema}.${name}`,
    `CREATE TABLE ${schema}.${name} AS ${selects.join(' UNION ALL ')}`,
  )
}
