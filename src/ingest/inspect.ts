// What a load would make of a file, without a warehouse: the same scan, typing and rules, into tables of the engine.
import type { IngestEntry } from '../pipeline/plan.ts'
import { asCount, quoteName, type Engine } from '../platform/duckdb.ts'
import type { FeedProgress } from './feed.ts'
import { openLoadStream, type StreamCounts } from './load-stream.ts'
import { REJECT_COLUMNS } from './rejects.ts'
import { loadFiles, matchFiles, type NamedFile } from './shape.ts'

export interface Inspection {
  readonly counts: StreamCounts
  /** Names of the rows' columns. */
  readonly columns: readonly string[]
  readonly reasons: readonly InspectedReason[]
}

export interface InspectedReason {
  readonly code: string
  readonly column: string | null
  readonly count: number
  /** The first three. */
  readonly examples: readonly RejectExample[]
}

export interface RejectExample {
  readonly record: number
  readonly line: number
  readonly byteOffset: number
  readonly message: string
  readonly rawText: string
}

const ACCEPTED = 'temp.main.accepted_rows'
const REJECTS = 'temp.main.rejected_records'
const EXAMPLES = 3

/** Fails with FileRefused or HeaderMismatch, as the load would. The entry must have a contract. */
export async function inspectFile(
  entry: IngestEntry,
  file: NamedFile,
  place: { engine: Engine; scratchDir: string; abort: AbortSignal; onProgress: (progress: FeedProgress) => void },
): Promise<Inspection> {
  const { engine } = place
  const matched = await matchFiles(entry, [file], undefined)
  const files = loadFiles(entry, matched, { loadId: '', loadedAt: '1970-01-01', logicalDate: '1970-01-01' })
  const stream = openLoadStream(files, entry, place)
  const columns = matched.contract.map(({ name }) => name)
  const texts = columns.map((column) => `${quoteName(column)}::VARCHAR AS ${quoteName(column)}`)
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE ${ACCEPTED} (${columns.map((name) => `${quoteName(name)} VARCHAR`).join(', ')})`,
  )
  const counts = await stream.rows((query) =>
    engine.run(`INSERT INTO ${ACCEPTED} SELECT ${texts.join(', ')} FROM (${query})`),
  )
  const rejectColumns = [...REJECT_COLUMNS, ['_source_file', 'VARCHAR']]
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE ${REJECTS} (${rejectColumns.map((column) => column.join(' ')).join(', ')})`,
  )
  await stream.rejects((query) => engine.run(`INSERT INTO ${REJECTS} ${query}`))
  return { counts, columns, reasons: await readReasons(engine) }
}

/** The rows that inspectFile accepted, in the file's order, each value as the warehouse would show it. */
export async function* acceptedRows(engine: Engine, columns: readonly string[]): AsyncGenerator<(string | null)[]> {
  // As bytes: the driver drops a U+FEFF at the beginning of a text.
  const bytes = columns.map((name) => `encode(${quoteName(name)}) AS ${quoteName(name)}`).join(', ')
  for await (const row of engine.stream(`SELECT ${bytes} FROM ${ACCEPTED} ORDER BY rowid`)) {
    yield columns.map((name) => (row[name] instanceof Uint8Array ? Buffer.from(row[name]).toString() : null))
  }
}

async function readReasons(engine: Engine): Promise<InspectedReason[]> {
  const groups = await engine.rows(
    `SELECT code, column_name, count(*) AS n FROM ${REJECTS} GROUP BY ALL ORDER BY n DESC, min(_source_record)`,
  )
  return await Promise.all(
    groups.map(async ({ code, column_name: column, n }) => {
      const examples = await engine.rows(
        `SELECT * FROM ${REJECTS} WHERE code = ? AND column_name IS NOT DISTINCT FROM ? ORDER BY _source_record LIMIT ${EXAMPLES}`,
        [String(code), typeof column === 'string' ? column : null],
      )
      return {
        code: String(code),
        column: typeof column === 'string' ? column : null,
        count: asCount(n),
        examples: examples.map((row) => ({
          record: asCount(row['_source_record']),
          line: asCount(row['line']),
          byteOffset: asCount(row['byte_offset']),
          message: String(row['message']),
          rawText: String(row['raw_text']),
        })),
      }
    }),
  )
}
