// What a load does to what was loaded before: batches, modes, several files, files that come, change and vanish. On a real DuckDB file.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contractOf, ingestEntry } from '../../tests/support/ingest-entry.ts'
import { change as changeWarehouse, query as queryWarehouse } from '../../tests/support/warehouse.ts'
import { inspectFile } from '../ingest/inspect.ts'
import { DEFAULT_DIALECT } from '../pipeline/dialect.ts'
import { openEngine } from '../platform/duckdb.ts'
import { openLocalFile } from '../sources/local.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { IngestEntry } from '../pipeline/plan.ts'
import type { LoadReport } from '../pipeline/report.ts'
import { workspaceAt, type Workspace } from '../platform/workspace.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { createIngestTable } from './ingest-table.ts'

const DEPT = { name: identifier('dept'), type: { kind: 'string' }, value: { kind: 'text', text: 'x' } } as const
const RENAMED = contractOf({ id: 'int', note: 'string' }).map((column) => ({
  ...column,
  header: column.header === 'id' ? 'Id' : column.header,
}))

let workspace: Workspace
beforeEach(async () => {
  workspace = workspaceAt(await mkdtemp(path.join(tmpdir(), 'millrace-ingest-')))
  await put('dbt/dbt_project.yml', 'name: p\nprofile: p\n')
  await put(
    'dbt/profiles.yml',
    'p: { target: dev, outputs: { dev: { type: duckdb, path: ../.millrace/warehouse.duckdb, schema: dev } } }\n',
  )
  await mkdir(path.join(workspace.root, 'in'))
})
afterEach(() => rm(workspace.root, { recursive: true }))

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(path.join(workspace.root, file)), { recursive: true })
  await writeFile(path.join(workspace.root, file), text)
}

/** A CSV file of id and note. */
const putRows = (name: string, ...lines: string[]) => put(`in/${name}`, ['id,note', ...lines, ''].join('\n'))
const remove = (name: string) => rm(path.join(workspace.root, 'in', name))

async function load(change: Partial<IngestEntry> = {}, logicalDate = '2026-11-18', runId = 'run'): Promise<LoadReport> {
  const deps: ActivityDeps = {
    workspace,
    python: 'none',
    searchAttributes: false,
    serveWarehouse: async () => 'queue',
  }
  const plan: RunContext = {
    pipeline: 'daily',
    target: 'dev',
    logicalDate,
    params: {},
    warehouse: { kind: 'duckdb', label: 'w', schema: identifier('dev'), taskQueue: 'queue' },
    dbt: { projectDir: 'dbt', profilesDir: 'dbt', executable: null, digest: '', nodeBars: false, marts: [] },
    bigquery: { stagingBucket: null, maxBytesBilled: null },
  }
  const entry = ingestEntry({
    files: 'in/*.csv',
    inbox: 'in',
    contract: contractOf({ id: 'int', note: 'string' }),
    ...change,
  })
  const environment = new MockActivityEnvironment(
    { workflowExecution: { workflowId: 'w', runId } },
    { logger: new DefaultLogger('ERROR', () => undefined) },
  )
  return await environment.run(createIngestTable(deps), { plan, entry })
}

/** Id and note of each raw row. */
async function rows(columns = 'id, note'): Promise<string[]> {
  const found = await queryWarehouse(workspace, `SELECT ${columns} FROM raw.logs ORDER BY ALL`)
  return found.map((row) => Object.values(row).join(' '))
}

describe('an entry of several files', () => {
  test('is one load: they are committed together, each row knows its file', async () => {
    await putRows('b.csv', '3,c')
    await putRows('a.csv', '1,a', '2,b')

    expect(await load()).toMatchObject({ status: 'loaded', files: 2, read: 3, loaded: 3, removed: 0 })
    expect(await rows('id, _source_file, _source_record')).toEqual(['1 in/a.csv 1', '2 in/a.csv 2', '3 in/b.csv 1'])
  })

  test('loses the rows of a file that vanished, and gets them back with it', async () => {
    await putRows('a.csv', '1,a')
    await putRows('b.csv', '2,b')
    await load()
    await remove('b.csv')

    expect(await load({}, '2026-11-18', 'run 2')).toMatchObject({ status: 'loaded', loaded: 1, removed: 2 })
    expect(await rows()).toEqual(['1 a'])

    await putRows('b.csv', '2,b')
    expect(await load({}, '2026-11-18', 'run 3')).toMatchObject({ status: 'loaded', loaded: 2, removed: 1 })
  })

  test('with one that is refused loads none of them', async () => {
    await putRows('a.csv', '1,a')
    await put('in/b.csv', 'id,title\n2,b\n')

    await expect(load()).rejects.toMatchObject({ type: 'HeaderMismatch', message: expect.stringContaining('in/b.csv') })
    await expect(rows()).rejects.toThrow('logs')
  })

  test('refuses a link and a folder without opening what is behind', async () => {
    await putRows('a.csv', '1,a')
    await symlink('/etc/passwd', path.join(workspace.root, 'in', 'b.csv'))
    await expect(load()).rejects.toMatchObject({ type: 'FileRefused' })

    await remove('b.csv')
    await mkdir(path.join(workspace.root, 'in', 'c.csv'))
    await expect(load()).rejects.toMatchObject({ type: 'FileRefused' })
  })
})

describe('replace', () => {
  test('the same content is already loaded, a corrected one takes its place, and the first may come back', async () => {
    await putRows('a.csv', '1,a', '2,a')
    await load()
    expect(await load({}, '2026-11-18', 'run 2')).toMatchObject({ status: 'already loaded', loaded: 2 })

    await putRows('a.csv', '1,b')
    expect(await load({}, '2026-11-18', 'run 3')).toMatchObject({ status: 'loaded', loaded: 1, removed: 2 })

    await putRows('a.csv', '1,a', '2,a')
    expect(await load({}, '2026-11-18', 'run 4')).toMatchObject({ status: 'loaded', loaded: 2, removed: 1 })
    expect(await rows()).toEqual(['1 a', '2 a'])
  })

  test("days and departments leave each other's rows", async () => {
    await putRows('a.csv', '1,a')
    await load({ params: { dept: '09' } })
    await putRows('a.csv', '2,b')
    await load({ params: { dept: '2A' } })
    await load({ params: { dept: '09' } }, '2026-11-19')

    expect(await rows('id, _logical_date::VARCHAR AS day')).toEqual(['1 2026-11-18', '2 2026-11-18', '2 2026-11-19'])
  })

  test('what this very run loaded before its worker died counts as loaded, not as found', async () => {
    await putRows('a.csv', '1,a')
    await load()
    expect(await load()).toMatchObject({ status: 'loaded', loaded: 1 })
    expect(await rows()).toEqual(['1 a'])
  })

  test('a header alone empties the day, and says how many rows went', async () => {
    await putRows('a.csv', '1,a', '2,b')
    await load()
    await putRows('a.csv')

    expect(await load()).toMatchObject({ status: 'loaded', read: 0, loaded: 0, removed: 2 })
  })
})

describe('append', () => {
  const append: Partial<IngestEntry> = { mode: 'append' }

  test('of identical bytes under two names is one load, and says so', async () => {
    await putRows('a.csv', '1,a')
    await putRows('b.csv', '1,a')

    expect(await load(append)).toMatchObject({ loaded: 1, identicalFiles: ['in/b.csv = in/a.csv'] })
    expect(await rows()).toEqual(['1 a'])
  })

  test('adds what was never loaded, whatever the date', async () => {
    await putRows('a.csv', '1,a')
    await load(append)
    await putRows('b.csv', '2,b')

    expect(await load(append, '2026-11-19', 'run 2')).toMatchObject({
      status: 'loaded',
      read: 1,
      loaded: 1,
      removed: 0,
    })
    expect(await load(append, '2026-11-20', 'run 3')).toMatchObject({ status: 'already loaded' })
    expect(await rows()).toEqual(['1 a', '2 b'])
  })

  test('does not load a file again of which somebody deleted some rows, but does when all are gone', async () => {
    await putRows('a.csv', '1,a', '2,b')
    await load(append)
    await changeWarehouse(workspace, 'DELETE FROM raw.logs WHERE id = 2')
    expect(await load(append, '2026-11-19', 'run 2')).toMatchObject({ status: 'already loaded' })
    expect(await rows()).toEqual(['1 a'])

    await changeWarehouse(workspace, 'DELETE FROM raw.logs')
    expect(await load(append, '2026-11-19', 'run 3')).toMatchObject({ status: 'loaded', loaded: 2 })
    expect(await load(append, '2026-11-19', 'run 4')).toMatchObject({ status: 'already loaded' })
    expect(await rows()).toEqual(['1 a', '2 b'])
  })

  test('takes the same bytes for another department as another file', async () => {
    await putRows('a.csv', '1,a')
    await load({ ...append, params: { dept: '09' } })

    expect(await load({ ...append, params: { dept: '2A' } })).toMatchObject({ status: 'loaded', loaded: 1 })
  })

  test('forgets the rejects of a file that was corrected', async () => {
    await putRows('a.csv', '1,a', 'x,b')
    await load({ ...append, maxRejectShare: 1 })
    await putRows('a.csv', '1,a', '2,b')
    await load({ ...append, maxRejectShare: 1 })
    await putRows('a.csv', '1,a', '2,b', 'y,c')
    await load({ ...append, maxRejectShare: 1 })

    // Of the first contents one row is loaded, so its reject still explains why the other is not.
    expect(await queryWarehouse(workspace, 'SELECT raw_text FROM raw.logs__rejects ORDER BY 1')).toEqual([
      { raw_text: 'x,b' },
      { raw_text: 'y,c' },
    ])
  })

  test('keeps the rows of a file that vanished', async () => {
    await putRows('a.csv', '1,a')
    await load(append)
    await remove('a.csv')
    await putRows('b.csv', '2,b')
    await load(append)

    expect(await rows()).toEqual(['1 a', '2 b'])
  })
})

test('upsert keeps one row per key, the newest, and counts the others', async () => {
  const upsert: Partial<IngestEntry> = {
    mode: 'upsert',
    contract: contractOf({ id: 'int', note: 'string' }, { notNull: false }),
    key: [identifier('id')],
    newestBy: identifier('note'),
  }
  await putRows('a.csv', '1,2026-01', '1,2026-03', '2,2026-01')
  expect(await load(upsert)).toMatchObject({ read: 3, loaded: 2, superseded: 1, rejected: 0 })
  await putRows('a.csv', '1,2026-02', '2,2026-02', '3,2026-02')

  expect(await load(upsert, '2026-11-19')).toMatchObject({ read: 3, loaded: 2, superseded: 1 })
  expect(await rows()).toEqual(['1 2026-03', '2 2026-02', '3 2026-02'])
})

test('a snapshot takes the place of all earlier ones; one of an older day is left out', async () => {
  const snapshot: Partial<IngestEntry> = { mode: 'snapshot' }
  await putRows('a.csv', '1,a', '2,a')
  await load(snapshot, '2026-11-18')
  await putRows('a.csv', '1,b')
  expect(await load(snapshot, '2026-11-19')).toMatchObject({ status: 'loaded', loaded: 1, removed: 2 })
  await putRows('a.csv', '9,x')

  expect(await load(snapshot, '2026-11-17')).toMatchObject({ status: 'newer snapshot', read: 0 })
  expect(await rows()).toEqual(['1 b'])
})

test('a snapshot that is the same on a later day is of that day from then on', async () => {
  const snapshot: Partial<IngestEntry> = { mode: 'snapshot' }
  await putRows('a.csv', '1,a')
  await load(snapshot, '2026-11-17')
  await load(snapshot, '2026-11-19')
  await putRows('a.csv', '9,x')

  expect(await load(snapshot, '2026-11-18')).toMatchObject({ status: 'newer snapshot' })
  expect(await rows('id, _logical_date::VARCHAR AS day')).toEqual(['1 2026-11-19'])
})

test('another mode than that of the rows that are there is refused, because they would be there twice', async () => {
  await putRows('a.csv', '1,a')
  await load({ mode: 'append' })

  await expect(load({ mode: 'replace' })).rejects.toMatchObject({
    type: 'ContractChanged',
    message: expect.stringContaining('raw.logs holds rows of this entry from mode append; with mode replace'),
  })
  expect(await rows()).toEqual(['1 a'])
})

test('an empty file without a header is refused, and takes nothing along', async () => {
  const headerless: Partial<IngestEntry> = { dialect: { ...DEFAULT_DIALECT, header: false } }
  await put('in/a.csv', '1,a\n')
  await load(headerless)
  await put('in/a.csv', '')

  await expect(load(headerless)).rejects.toMatchObject({ type: 'FileRefused' })
  expect(await rows()).toEqual(['1 a'])
})

describe('columns that would be there twice are refused:', () => {
  test.each<[string, string, Partial<IngestEntry>]>([
    ['a renamed and an evolved one', 'Id,id,note\n1,2,a\n', { contract: RENAMED, extraColumns: 'evolve' }],
    ['an added one of a table that nobody declared', 'id,note,dept\n1,a,x\n', { contract: null, added: [DEPT] }],
  ])('%s', async (_what, text, entry) => {
    await put('in/a.csv', text)
    await expect(load(entry)).rejects.toMatchObject({
      type: 'HeaderMismatch',
      message: expect.stringContaining('would have two columns'),
    })
  })
})

test('an added text that is not of its type is refused, not bent', async () => {
  await putRows('a.csv', '1,a')
  const price = contractOf({ price: 'numeric(10,2)' })[0]?.type
  const added = [
    { name: identifier('price'), type: price ?? DEPT.type, value: { kind: 'text', text: '1.005' } },
  ] as const

  await expect(load({ added })).rejects.toMatchObject({
    type: 'ContractUnknown',
    message: expect.stringContaining("added column 'price': '1.005' is not a numeric(10,2)"),
  })
})

test('a load over its limit leaves the rejects of the load that is there', async () => {
  await putRows('a.csv', '1,a', 'x,b')
  await load({ maxRejectShare: 0.5 })
  await putRows('a.csv', 'y,a', 'z,b')
  await expect(load({ maxRejectShare: 0.5 })).rejects.toMatchObject({ type: 'RejectsOverLimit' })
  const texts = () => queryWarehouse(workspace, 'SELECT raw_text AS t FROM raw.logs__rejects ORDER BY 1')
  expect(await texts()).toEqual([{ t: 'x,b' }, { t: 'y,a' }, { t: 'z,b' }])

  await putRows('a.csv', '1,a', 'x,b')
  expect(await load({ maxRejectShare: 0.5 }, '2026-11-18', 'run 2')).toMatchObject({
    status: 'already loaded',
    rejectReasons: [{ code: 'not int', count: 1 }],
  })
})

test('more packed files at once than Node has threads for are all loaded', async () => {
  const text = gzipSync(`id,note\n${Array.from({ length: 200_000 }, (_, id) => `${id},note ${id}`).join('\n')}\n`)
  const places = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'millrace-many-'))
      await writeFile(path.join(folder, 'in.csv.gz'), text)
      const engine = await openEngine({ scratchDir: folder })
      return { folder, engine, file: await openLocalFile(folder, 'in.csv.gz') }
    }),
  )
  const entry = ingestEntry({ contract: contractOf({ id: 'int', note: 'string' }) })
  const inspections = await Promise.all(
    places.map(({ folder, engine, file }) =>
      inspectFile(
        entry,
        { name: 'in.csv.gz', file },
        {
          engine,
          scratchDir: folder,
          abort: new AbortController().signal,
          onProgress: () => undefined,
        },
      ),
    ),
  )
  for (const { folder, engine, file } of places) {
    engine.close()
    await file.handle.close()
    await rm(folder, { recursive: true })
  }

  expect(inspections.map(({ counts }) => counts.rows)).toEqual(Array.from({ length: 6 }, () => 200_000))
})

describe('without a file', () => {
  test('the load is skipped where none has to be there', async () => {
    expect(await load({ missing: 'skip' })).toMatchObject({ status: 'skipped', files: 0, read: 0 })
  })

  test('it fails otherwise, naming the pattern', async () => {
    await expect(load()).rejects.toMatchObject({
      type: 'FileMissing',
      message: expect.stringContaining('no file matches in/*.csv'),
    })
  })
})

describe('more rejects than allowed', () => {
  test('load nothing and stay to be looked at; a corrected file loads the lot', async () => {
    await putRows('a.csv', '1,a', 'x,b')
    await expect(load({ maxRejectShare: 0.4 })).rejects.toMatchObject({
      type: 'RejectsOverLimit',
      message: expect.stringMatching(
        /1 of 2 records were rejected, 50 % where 40 % are allowed \(1 × not int \(id\)\).*npx millrace rejects daily --date 2026-11-18/s,
      ),
    })
    expect(await queryWarehouse(workspace, 'SELECT raw_text FROM raw.logs__rejects')).toEqual([{ raw_text: 'x,b' }])

    await putRows('a.csv', '1,a', '2,b')
    expect(await load({ maxRejectShare: 0.4 })).toMatchObject({ loaded: 2, rejected: 0 })
    expect(await queryWarehouse(workspace, 'SELECT raw_text FROM raw.logs__rejects')).toEqual([])
  })

  test('are counted, too', async () => {
    await putRows('a.csv', '1,a', 'x,b', 'y,c', '4,d')
    const allowed = { maxRejectShare: 0.5 }
    await expect(load({ ...allowed, maxRejects: 1 })).rejects.toMatchObject({ type: 'RejectsOverLimit' })
    expect(await load({ ...allowed, maxRejects: 2 })).toMatchObject({ read: 4, loaded: 2, rejected: 2 })
  })
})

describe('a table that nobody declared', () => {
  const undeclared: Partial<IngestEntry> = { contract: null }

  test('is held to the header of its first load', async () => {
    await putRows('a.csv', '007,a')
    await load(undeclared)
    expect(await rows()).toEqual(['007 a'])
    await put('in/a.csv', 'id,title\n1,a\n')

    await expect(load(undeclared, '2026-11-19')).rejects.toMatchObject({
      type: 'HeaderMismatch',
      message: expect.stringContaining("column 'note' is missing"),
    })
  })

  test('may evolve: a new column is added, and stays when a later file has it no more', async () => {
    const evolving: Partial<IngestEntry> = { ...undeclared, extraColumns: 'evolve' }
    await putRows('a.csv', '1,a')
    await load(evolving, '2026-11-17')
    await put('in/a.csv', 'id,note,age\n2,b,7\n')
    await load(evolving, '2026-11-18')
    await putRows('a.csv', '3,c')
    await load(evolving, '2026-11-19')

    expect(await rows('id, note, age')).toEqual(['1 a ', '2 b 7', '3 c '])
  })
})
