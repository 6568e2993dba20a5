// Files of any bytes through a load's whole stream, into tables of an engine without a warehouse.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openLoadStream, type LoadStream, type StreamCounts } from '../../src/ingest/load-stream.ts'
import { REJECT_COLUMNS } from '../../src/ingest/rejects.ts'
import { loadFiles, matchFiles, rawColumns } from '../../src/ingest/shape.ts'
import type { IngestEntry } from '../../src/pipeline/plan.ts'
import { asCount, openEngine, quoteName, type Engine } from '../../src/platform/duckdb.ts'
import { openLocalFile } from '../../src/sources/local.ts'
import { ingestEntry } from './ingest-entry.ts'

export type Files = Readonly<Record<string, string | Buffer>>

export interface Loaded {
  readonly counts: StreamCounts
  /** In the order of files and records, each value as text. */
  readonly rows: readonly Readonly<Record<string, string | null>>[]
  readonly rejects: readonly SeenReject[]
}

interface SeenReject {
  readonly file: string
  readonly record: number
  readonly line: number
  readonly byteOffset: number
  readonly code: string
  readonly column: string | null
  readonly message: string
  readonly rawText: string
}

interface StreamTest {
  readonly folder: string
  readonly stream: LoadStream
  readonly engine: Engine
  readonly abort: AbortController
}

const VALUES = { loadId: 'A', loadedAt: '2026-11-19T02:00:00Z', logicalDate: '2026-11-18' }

/** The stream in the test's own hands; its table `accepted` is there. */
export async function withStream<T>(
  files: Files,
  change: Partial<IngestEntry>,
  work: (test: StreamTest) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-stream-'))
  const entry = ingestEntry(change)
  const engine = await openEngine({ scratchDir: folder })
  const abort = new AbortController()
  const opened = await Promise.all(
    Object.entries(files).map(async ([name, content]) => {
      await mkdir(path.dirname(path.join(folder, 'in', name)), { recursive: true })
      await writeFile(path.join(folder, 'in', name), content)
      return { name, file: await openLocalFile(path.join(folder, 'in'), name) }
    }),
  )
  try {
    const matched = await matchFiles(entry, opened, undefined)
    const streamed = loadFiles(entry, matched, VALUES)
    const place = { engine, scratchDir: folder, abort: abort.signal, onProgress: () => undefined }
    const stream = openLoadStream(streamed, entry, place)
    const columns = streamed[0] === undefined ? [] : rawColumns(streamed[0].shape, false)
    const list = columns.map(({ name, duckdbType }) => `${quoteName(name)} ${duckdbType}`)
    await engine.run(`CREATE TABLE accepted (${list.join(', ')})`)
    return await work({ folder, stream, engine, abort })
  } finally {
    await Promise.all(opened.map(({ file }) => file.handle.close()))
    engine.close()
    await rm(folder, { recursive: true })
  }
}

/** Everything that a load makes of the files. */
export async function load(files: Files, change: Partial<IngestEntry>): Promise<Loaded> {
  return await withStream(files, change, async ({ stream, engine }) => {
    const counts = await stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))
    const texts = stream.columns.map((name) => `${quoteName(name)}::VARCHAR AS ${quoteName(name)}`)
    const order = '_source_file, _source_record'
    const rows = await engine.rows(
      `SELECT ${texts.join(', ')} FROM (SELECT * FROM accepted ORDER BY ${order}) AS accepted`,
    )
    const columns = [...REJECT_COLUMNS.map((column) => column.join(' ')), '_source_file VARCHAR']
    await engine.run(`CREATE TABLE rejected (${columns.join(', ')})`)
    await stream.rejects((query) => engine.run(`INSERT INTO rejected ${query}`))
    const rejects = await engine.rows(`SELECT * FROM rejected ORDER BY ${order}`)
    return {
      counts,
      rows: rows as Loaded['rows'], // every value was made a text
      rejects: rejects.map((row) => ({
        file: String(row['_source_file']),
        record: asCount(row['_source_record']),
        line: asCount(row['line']),
        byteOffset: asCount(row['byte_offset']),
        code: String(row['code']),
        column: typeof row['column_name'] === 'string' ? row['column_name'] : null,
        message: String(row['message']),
        rawText: String(row['raw_text']),
      })),
    }
  })
}
