// What the contract's promises are tried with: a warehouse of their own, through its adapter and past it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openLoadStream } from '../../src/ingest/load-stream.ts'
import { loadFiles, matchFiles, rawColumns } from '../../src/ingest/shape.ts'
import { identifier, type Identifier } from '../../src/pipeline/identifier.ts'
import type { IngestEntry } from '../../src/pipeline/plan.ts'
import { openEngine } from '../../src/platform/duckdb.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'
import { openLocalFile } from '../../src/sources/local.ts'
import type {
  LoadCommit,
  LoadCounts,
  Warehouse,
  WarehouseAccess,
  WarehousePlace,
} from '../../src/warehouses/warehouse.ts'
import { contractOf, ingestEntry } from '../support/ingest-entry.ts'
import type { PlainRow } from '../support/rows/plain.ts'

// Each file of a load is read by a thread of its own, which starts in half the time where its code is compiled already.
process.env['NODE_COMPILE_CACHE'] ??= path.join(INSTALLATION.root, '.millrace', 'cache', 'compiled')

/** What each warehouse brings for one test. */
export interface WarehouseSite {
  /** What dbt calls the database in the relations of its manifest. */
  readonly database: string
  /** The adapter. */
  open(place: WarehousePlace, access: WarehouseAccess): Promise<Warehouse>
  /** Rows of a query in words that all warehouses understand, by the driver itself. */
  query(sql: string): Promise<readonly PlainRow[]>
  /** As the readers of the live schema look, while the warehouse is in use, too. */
  read(sql: string): Promise<readonly PlainRow[]>
  /** Statements in words that all warehouses understand, by the driver itself. */
  execute(...statements: readonly string[]): Promise<void>
  /** Names of a schema's tables; none where there is no such schema. */
  tables(schema: string): Promise<readonly string[]>
  /** Gives a table what only its owner knows of: comments, grants, indexes, labels. */
  furnish(schema: string, table: string): Promise<void>
  /** All of that which the table has. */
  furniture(schema: string, table: string): Promise<unknown>
  /** Absolute path for the copy of the live schema; null where readers need none. */
  readonly copyTo: string | null
  remove(): Promise<void>
}

export const RAW = { schema: identifier('raw'), table: identifier('logs') }

/** What every load of the contract has; a test gives what it is about. */
export const LOAD = {
  table: RAW,
  loadId: 'A',
  batchId: 'day 1',
  pipeline: 'daily',
  runId: 'run 1',
  entry: 'raw.logs',
  logicalDate: '2026-11-18',
  params: { date: '2026-11-18' },
  loadedAt: '2026-11-19T02:00:00.123Z',
} as const satisfies Partial<LoadCommit>

/** Of these loads, for what asks whose they are. */
export const OWNER = { pipeline: LOAD.pipeline, entry: LOAD.entry, params: LOAD.params }

export interface LoadPart extends Partial<LoadCommit> {
  /** Column → type; `id: int, note: text` when left out. */
  readonly types?: Readonly<Record<string, string>>
  /** Of the file, where it is not that of the types. */
  readonly header?: readonly string[]
  /** Of the entry: mode, key, dialect, contract … */
  readonly rules?: Partial<IngestEntry>
  /** Ends the load where it is. */
  readonly abort?: AbortController
}

export interface WarehouseHarness extends Omit<WarehouseSite, 'open' | 'remove'> {
  /** Opens the warehouse through its adapter, and closes it. */
  use<T>(work: (warehouse: Warehouse) => Promise<T>, access?: WarehouseAccess): Promise<T>
  /** Loads lines of a CSV file, and returns what was counted. */
  commit(records: readonly string[], part?: LoadPart): Promise<LoadCounts & { readonly removed: number }>
  /** The same, with the warehouse and the load in the test's own hands. */
  withLoad<T>(
    records: readonly string[],
    part: LoadPart,
    work: (warehouse: Warehouse, load: LoadCommit) => Promise<T>,
  ): Promise<T>
}

/** Names a promise and tries it. */
export type PromiseOf = (name: string, keep: (warehouse: WarehouseHarness) => Promise<void>) => void

/** Work with a warehouse that is gone afterwards. */
export async function withHarness<T>(
  makeSite: (folder: string) => Promise<WarehouseSite>,
  work: (harness: WarehouseHarness) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-contract-'))
  try {
    const site = await makeSite(folder)
    try {
      return await work(harness(site, folder))
    } finally {
      await site.remove()
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function harness(site: WarehouseSite, folder: string): WarehouseHarness {
  /** As an activity opens it (activities/with-warehouse.ts). */
  async function opened<T>(
    work: (warehouse: Warehouse, place: WarehousePlace) => Promise<T>,
    abort: AbortSignal,
    access: WarehouseAccess,
  ): Promise<T> {
    const scratchDir = await mkdtemp(path.join(folder, 'scratch-'))
    const engine = await openEngine({ scratchDir, abort })
    abort.addEventListener('abort', () => engine.interrupt(), { once: true })
    const run = { pipeline: LOAD.pipeline, runId: LOAD.runId, attempt: 1 }
    const place = { engine, scratchDir, abort, run, stagingBucket: null }
    try {
      const warehouse = await site.open(place, access)
      try {
        return await work(warehouse, place)
      } finally {
        await warehouse.close()
      }
    } finally {
      engine.close()
    }
  }

  const withLoad: WarehouseHarness['withLoad'] = async (records, part, work) => {
    const { types = { id: 'int', note: 'text' }, header = Object.keys(types), rules, abort, ...change } = part
    const { signal } = abort ?? new AbortController()
    const entry = ingestEntry({ contract: contractOf(types), ...rules })
    const evolves = entry.extraColumns === 'evolve'
    const inbox = await mkdtemp(path.join(folder, 'inbox-'))
    await writeFile(path.join(inbox, 'in.csv'), [header.join(','), ...records, ''].join('\n'))
    const file = await openLocalFile(inbox, 'in.csv')
    const load = async (warehouse: Warehouse, place: WarehousePlace) => {
      const remembered = evolves ? await warehouse.rememberedContract(RAW, OWNER) : undefined
      const matched = await matchFiles(entry, [{ name: 'in.csv', file }], remembered)
      const files = loadFiles(entry, matched, { ...LOAD, ...change })
      return await work(warehouse, {
        ...LOAD,
        mode: entry.mode,
        key: entry.key,
        mayHaveMore: evolves,
        stream: openLoadStream(files, entry, { ...place, onProgress: () => undefined }),
        columns: files.flatMap(({ shape }) => rawColumns(shape, evolves)),
        contract: matched.contract,
        files: [{ name: 'in.csv', sha256: records.join('|').slice(0, 64), sizeBytes: file.sizeBytes }],
        ...change,
      })
    }
    try {
      return await opened(load, signal, 'write')
    } finally {
      await file.handle.close()
    }
  }

  return {
    ...site,
    use: (work, access = 'write') => opened(work, new AbortController().signal, access),
    withLoad,
    commit: (records, part = {}) =>
      withLoad(records, part, (warehouse, load) => warehouse.commitLoad(load, () => undefined)),
  }
}

/** For keys and other lists of names. */
export function names(...texts: readonly string[]): Identifier[] {
  return texts.map((text) => identifier(text))
}
