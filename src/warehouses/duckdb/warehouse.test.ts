// What only a DuckDB file needs promised (the rest: tests/contract): one open at a time, and a copy for its readers.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identifier } from '../../pipeline/identifier.ts'
import { openEngine, quoteText, type Engine } from '../../platform/duckdb.ts'
import type { Publication, Warehouse, WarehouseAccess } from '../warehouse.ts'
import type { DuckdbAddress } from './address.ts'
import { openDuckdb } from './warehouse.ts'

let folder: string
let address: DuckdbAddress
let copyTo: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-duckdb-'))
  const file = path.join(folder, 'made on demand', 'w.duckdb')
  copyTo = path.join(folder, 'for readers', 'published.duckdb')
  const schema = identifier('dev')
  address = { kind: 'duckdb', label: file, schema, identity: file, concurrency: 1, file, database: 'w' }
})
afterEach(() => rm(folder, { recursive: true }))

async function withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openEngine({ scratchDir: folder })
  try {
    return await work(engine)
  } finally {
    engine.close()
  }
}

function use<T>(work: (warehouse: Warehouse, engine: Engine) => Promise<T>, access?: WarehouseAccess): Promise<T> {
  return withEngine(async (engine) => {
    const warehouse = await openDuckdb(address, engine, access)
    try {
      return await work(warehouse, engine)
    } finally {
      await warehouse.close()
    }
  })
}

describe('one process opens a file once at a time:', () => {
  test('a second open waits until the first has closed, and finds what it wrote', async () => {
    const [one, two] = [await openEngine({ scratchDir: folder }), await openEngine({ scratchDir: folder })]
    const attached = () => two.rows("SELECT 1 FROM duckdb_databases() WHERE database_name = 'w'")
    const first = await openDuckdb(address, one)

    const opening = openDuckdb(address, two)
    // Far more round trips than an open takes that does not wait.
    for (let times = 0; times < 100; times++) expect(await attached()).toEqual([])
    await one.run('CREATE TABLE w.main.written AS SELECT 1 AS n')
    await first.close()
    const second = await opening

    expect(await attached()).toHaveLength(1)
    expect(await two.rows('SELECT n FROM w.main.written')).toEqual([{ n: 1 }])
    await second.close()
    one.close()
    two.close()
  })

  test('an open that fails does not block the next one', async () => {
    await mkdir(path.dirname(address.file))
    await writeFile(address.file, 'not a database '.repeat(1000))
    const open = () => use(() => Promise.resolve())

    await expect(open()).rejects.toMatchObject({ type: 'ProfileInvalid' })
    await expect(open()).rejects.toMatchObject({ type: 'ProfileInvalid' })
  })
})

test('who only looks makes no file', async () => {
  await expect(use(() => Promise.resolve(), 'look')).rejects.toMatchObject({
    type: 'WarehouseFailed',
    message: `${address.file} is not there yet: nothing was loaded into this warehouse so far`,
  })
  expect(await readdir(folder)).toEqual([])
})

describe('the copy for readers', () => {
  const publish = (warehouse: Warehouse, expectedRows: number | null = null) => {
    const relation = { database: 'w', schema: 'dev', name: 'users' }
    const publication: Publication = {
      pipeline: 'daily',
      target: 'dev',
      runId: 'run 1',
      logicalDate: '2026-11-18',
      publishedAt: '2026-11-19T02:00:00Z',
      to: identifier('live'),
      marts: [{ mart: identifier('users'), relation, expectedRows }],
      copyTo,
    }
    return warehouse.publish(publication)
  }
  const build = async (engine: Engine, id: number) => {
    await engine.run('CREATE SCHEMA IF NOT EXISTS w.dev')
    await engine.run(`CREATE OR REPLACE TABLE w.dev.users AS SELECT ${id} AS id`)
  }
  const opened = async (reader: Engine) => {
    await reader.run(`ATTACH ${quoteText(copyTo)} AS copy (READ_ONLY)`)
    return () => reader.rows('SELECT id FROM copy.live.users')
  }

  test('holds the live schema and nothing else, and can be read while the warehouse is written to', async () => {
    await use(async (warehouse, engine) => {
      await build(engine, 1)
      await publish(warehouse)

      await withEngine(async (reader) => {
        const read = await opened(reader)
        await engine.run('BEGIN')
        await engine.run('DELETE FROM w.live.users')
        expect(await read()).toEqual([{ id: 1 }])
        expect(
          await reader.rows(
            "SELECT schema_name AS s, table_name AS t FROM duckdb_tables() WHERE database_name = 'copy' ORDER BY t",
          ),
        ).toEqual([
          { s: 'live', t: 'millrace_published' },
          { s: 'live', t: 'users' },
        ])
        await engine.run('ROLLBACK')
      })
    })
  })

  test('is another file after each publication: who has the old one open reads on in it', async () => {
    await withEngine(async (early) => {
      const read = await use(async (warehouse, engine) => {
        await build(engine, 1)
        await publish(warehouse)
        const read = await opened(early)
        await build(engine, 2)
        await publish(warehouse)
        return read
      })

      expect(await read()).toEqual([{ id: 1 }])
      await withEngine(async (late) => expect(await (await opened(late))()).toEqual([{ id: 2 }]))
    })
    expect(await readdir(path.dirname(copyTo))).toEqual(['published.duckdb'])
  })

  test('stays as it was when nothing is published, and when another one cannot be written', async () => {
    await use(async (warehouse, engine) => {
      await build(engine, 1)
      await publish(warehouse)
      await build(engine, 2)
      await expect(publish(warehouse, 5)).rejects.toMatchObject({ type: 'PublishRefused' })
      // Where the new one would be written there is a folder with something in it.
      await mkdir(path.join(`${copyTo}.new`, 'in the way'), { recursive: true })
      await expect(publish(warehouse)).rejects.toMatchObject({ type: 'WarehouseFailed' })
    })

    await withEngine(async (reader) => expect(await (await opened(reader))()).toEqual([{ id: 1 }]))
  })
})
