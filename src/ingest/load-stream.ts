// One load's records on their way from its files into a warehouse: scanned, typed and counted as they pass.
import path from 'node:path'
import type { IngestEntry } from '../pipeline/plan.ts'
import type { ColumnType } from '../pipeline/column-type.ts'
import { failure } from '../pipeline/failure.ts'
import { asCount, quoteName, quoteText, type Engine } from '../platform/duckdb.ts'
import { makePipe } from '../platform/subprocess.ts'
import type { OpenFile } from '../sources/local.ts'
import { ScanRefusal, type ScanSummary } from './csv/scan.ts'
import { feed, type FeedProgress } from './feed.ts'
import type { FeedJob } from './read-thread.ts'
import { compressionOf } from './text-chunks.ts'
import { textReader, valueOf, type ReadingRules } from './types.ts'
import { rawType, rejectsQuery, rowNames, rowsQuery, ruleValues, type PipedFile, type RowShape } from './typing.ts'

/** A file of the load and how its records become rows. */
export interface LoadFile {
  readonly file: OpenFile
  /** Path relative to the workspace: what `_source_file` says. */
  readonly name: string
  /** Fields of each record. */
  readonly fields: number
  readonly shape: RowShape
}

/** Of records. read = rows + superseded + rejected. */
export interface StreamCounts {
  readonly read: number
  /** Good rows: those that the statement got. */
  readonly rows: number
  /** Older versions of a key, left out. */
  readonly superseded: number
  readonly rejected: number
  /** Lines that are no records. */
  readonly blankLines: number
  readonly commentLines: number
}

export interface LoadStream {
  readonly engine: Engine
  /** Names of the row's columns, in order. */
  readonly columns: readonly string[]
  /** The column that says how new a row is; undefined where the later record is the newer one. */
  readonly newestBy: NewestBy | undefined
  /**
   * Takes the good rows of all files: `take` gets a query of the engine for each part of them, runs it to its end and
   * returns how many rows it took. Fails with FileRefused, FileChanged or CountsDisagree; `take` may have seen a part of
   * the rows then.
   */
  rows(take: Take): Promise<StreamCounts>
  /** The same over REJECT_COLUMNS and `_source_file` of the rejects; `rows` must have been there before. */
  rejects(take: Take): Promise<number>
}

export type Take = (query: string) => Promise<number>

export interface NewestBy {
  readonly name: string
  readonly type: ColumnType
  /** Where the raw table keeps the texts: how one is read. */
  readonly asText: ReadingRules | null
}

export interface StreamPlace {
  readonly engine: Engine
  readonly scratchDir: string
  readonly abort: AbortSignal
  readonly onProgress: (progress: FeedProgress) => void
}

export type KeyRules = Pick<IngestEntry, 'key' | 'duplicates' | 'newestBy' | 'mode' | 'rawAsText' | 'dialect'>

/** Nothing is read before `rows` is called. */
export function openLoadStream(files: readonly LoadFile[], rules: KeyRules, place: StreamPlace): LoadStream {
  const { engine } = place
  const columns = files[0] === undefined ? [] : rowNames(files[0].shape)
  const newestBy = newestColumn(files[0]?.shape, rules.newestBy)
  /** Structure of each file, and how many good rows came out of it: what `rejects` must explain. */
  const seen: { readonly summary: ScanSummary; readonly good: number }[] = []
  const run = new PipedStatements(rules.dialect, place)
  const rejectsKeys = rules.key.length > 0 && rules.mode !== 'upsert' && rules.duplicates === 'reject'

  async function eachFile(take: Take): Promise<StreamCounts> {
    if (files[0] !== undefined) await requireReadableRules(engine, files[0].shape)
    seen.length = 0
    let doneBytes = 0
    for (const loadFile of files) {
      const { summary, result } = await run.over(loadFile, { kind: 'rows' }, doneBytes, (piped) =>
        take(rowsQuery(loadFile.shape, piped)),
      )
      seen.push({ summary, good: result })
      doneBytes += loadFile.file.sizeBytes
      requireCounts(result <= summary.records - summary.faulty, loadFile.name, summary.records - summary.faulty, result)
    }
    const sum = (of: (file: (typeof seen)[number]) => number) => seen.reduce((total, file) => total + of(file), 0)
    const read = sum(({ summary }) => summary.records)
    const rows = sum(({ good }) => good)
    const blankLines = sum(({ summary }) => summary.blankLines)
    const commentLines = sum(({ summary }) => summary.commentLines)
    return { read, rows, superseded: 0, rejected: read - rows, blankLines, commentLines }
  }

  /** Good rows of all files into the stage, and which of them another one with the same key puts aside. */
  async function stage(): Promise<{ readonly counts: StreamCounts; readonly outvoted: number }> {
    await createStage(engine, files[0])
    const counts = await eachFile((query) => engine.run(`INSERT INTO ${STAGE} ${query}`))
    const outvoted = await markDuplicates(engine, rules, newestBy && newestSql(newestBy, 'staged'))
    return { counts, outvoted }
  }

  return {
    engine,
    columns,
    newestBy,
    async rows(take) {
      if (rules.key.length === 0) return await eachFile(take)
      const { counts, outvoted } = await stage()
      const rows = await take(`SELECT * FROM ${STAGE} ${ANTI_JOIN_DUPLICATES}`)
      // A row of the table may be newer than the one that would take its place.
      const agree = rules.mode === 'upsert' ? rows + outvoted <= counts.rows : rows + outvoted === counts.rows
      requireCounts(agree, 'the load', counts.rows - outvoted, rows)
      return rejectsKeys
        ? { ...counts, rows, rejected: counts.rejected + outvoted }
        : { ...counts, rows, superseded: counts.rows - rows }
    },
    async rejects(take) {
      // A transaction that was undone took the staged rows with it.
      if (rejectsKeys && !(await isStaged(engine))) await stage()
      let written = 0
      for (const [index, loadFile] of files.entries()) {
        const before = seen[index]
        if (before === undefined) throw new Error('rejects are known after the rows only')
        const expected = before.summary.records - before.good
        // Only where good bytes made bad rows must every record be looked at again.
        const soundToo = rejectsKeys || expected > before.summary.faulty
        if (expected === 0 && !rejectsKeys) continue
        const isKeyFault = rejectsKeys ? isDuplicate(loadFile.name) : 'false'
        const { result } = await run.over(loadFile, { kind: 'origins', soundToo }, 0, (piped) =>
          take(rejectsQuery(loadFile.shape, piped, rules.key, isKeyFault)),
        )
        requireCounts(rejectsKeys ? result >= expected : result === expected, loadFile.name, expected, result)
        written += result
      }
      return written
    },
  }
}

/** Work on queries that read the pipe, each beside the thread that fills it. */
class PipedStatements {
  readonly #dialect: FeedJob['dialect']
  readonly #place: StreamPlace
  #pipe: Promise<string> | undefined

  constructor(dialect: FeedJob['dialect'], place: StreamPlace) {
    this.#dialect = dialect
    this.#place = place
  }

  async over<T>(
    { file, name, fields }: LoadFile,
    content: FeedJob['content'],
    doneBytesBefore: number,
    statement: (piped: PipedFile) => Promise<T>,
  ): Promise<{ readonly summary: ScanSummary; readonly result: T }> {
    const { scratchDir, onProgress, abort } = this.#place
    const pipe = await (this.#pipe ??= makePipe(path.join(scratchDir, 'records.pipe')))
    const dialect = this.#dialect
    const compression = compressionOf(file.path)
    const source = { fd: file.handle.fd, sizeBytes: file.sizeBytes, compression, encoding: dialect.encoding }
    try {
      return await feed(
        { source, dialect, fields, pipe, content },
        () => this.#withoutPushDown(() => statement({ pipe, fields, dialect, name })),
        ({ doneBytes, records }) => onProgress({ doneBytes: doneBytesBefore + doneBytes, records }),
        abort,
      )
    } catch (error) {
      if (!(error instanceof ScanRefusal)) throw error
      throw failure(
        'FileRefused',
        `${name}: ${error.message}. Nothing was loaded; correct the file and start the run again`,
      )
    } finally {
      // Whatever came of a file that changed under the reader: the change is the reason.
      await file.assertUnchanged()
    }
  }

  /** A condition that is pushed below the casts makes DuckDB cast every value twice: half the speed. */
  async #withoutPushDown<T>(work: () => Promise<T>): Promise<T> {
    const { engine } = this.#place
    await engine.run("SET disabled_optimizers = 'filter_pushdown'")
    try {
      return await work()
    } finally {
      // Refused in a transaction that an error has ended; that error is the one to tell.
      await engine.run('RESET disabled_optimizers').catch(() => undefined)
    }
  }
}

/** Good rows of a load with a key wait here until all are known. TEMP: beside a transaction of the warehouse. */
const STAGE = 'temp.main.staged_rows'
const DUPLICATES = 'temp.main.duplicate_rows'
const ANTI_JOIN_DUPLICATES = `ANTI JOIN ${DUPLICATES} USING (_source_file, _source_record)`

async function createStage(engine: Engine, first: LoadFile | undefined): Promise<void> {
  if (first === undefined) return
  const { columns, constants, rawAsText } = first.shape
  const list = [
    ...columns.map((column) => `${quoteName(column.name)} ${rawType(column, rawAsText)}`),
    ...constants.map(({ name, duckdbType }) => `${quoteName(name)} ${duckdbType}`),
  ]
  await engine.run(`CREATE OR REPLACE TEMP TABLE ${STAGE} (${list.join(', ')})`)
}

async function isStaged(engine: Engine): Promise<boolean> {
  const tables = await engine.rows(
    "SELECT 1 FROM duckdb_tables() WHERE database_name = 'temp' AND table_name = 'duplicate_rows'",
  )
  return tables.length > 0
}

/** Finds the staged rows whose key another one has, all of them or all but one, and returns how many they are. */
async function markDuplicates(engine: Engine, rules: KeyRules, newest: string | undefined): Promise<number> {
  const { key, duplicates, mode } = rules
  const names = key.map((column) => quoteName(column)).join(', ')
  const repeated = `${STAGE} SEMI JOIN (SELECT ${names} FROM ${STAGE} GROUP BY ALL HAVING count(*) > 1) USING (${names})`
  const order = mode !== 'upsert' && duplicates === 'keep_first' ? 'ASC' : 'DESC'
  const byAge = newest === undefined || order === 'ASC' ? '' : `${newest} DESC NULLS LAST, `
  const keepsOne = `QUALIFY row_number() OVER (
    PARTITION BY ${names} ORDER BY ${byAge} _source_file ${order}, _source_record ${order}) > 1`
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE ${DUPLICATES} AS SELECT _source_file, _source_record FROM (SELECT * FROM ${repeated}) AS staged
     ${mode !== 'upsert' && duplicates === 'reject' ? '' : keepsOne}`,
  )
  const [row] = await engine.rows(`SELECT count(*) AS n FROM ${DUPLICATES}`)
  return asCount(row?.['n'])
}

async function requireReadableRules(engine: Engine, shape: RowShape): Promise<void> {
  const values = ruleValues(shape)
  if (values.length === 0) return
  const [row] = await engine.rows(`SELECT [${values.map(({ sql }) => `(${sql}) IS NULL`).join(', ')}] AS unread`)
  const unread = row?.['unread']
  const problems = values.filter((_, index) => Array.isArray(unread) && unread[index] === true)
  if (problems.length === 0) return
  throw failure('ContractUnknown', `${problems.map(({ problem }) => problem).join('\n')}; correct the pipeline file`)
}

function newestColumn(shape: RowShape | undefined, name: string | null): NewestBy | undefined {
  const column = shape?.columns.find((known) => known.name === name)
  if (shape === undefined || column === undefined) return undefined
  return { name: column.name, type: column.type, asText: shape.rawAsText ? shape.rules : null }
}

/** How new a row is, as SQL of the engine. */
function newestSql({ name, type, asText }: NewestBy, alias: string): string {
  const stored = `${alias}.${quoteName(name)}`
  return asText === null ? stored : valueOf(stored, textReader(type, asText))
}

function isDuplicate(sourceFile: string): string {
  return `n IN (SELECT _source_record FROM ${DUPLICATES} WHERE _source_file = ${quoteText(sourceFile)})`
}

function requireCounts(agree: boolean, name: string, expected: number, found: number): void {
  if (agree) return
  throw failure(
    'CountsDisagree',
    `${name}: our scan expected ${expected} rows, the engine found ${found}; nothing was loaded. ` +
      `Please report this file as a bug of Millrace`,
  )
}
