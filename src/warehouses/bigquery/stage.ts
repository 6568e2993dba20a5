// Rows of the engine on their way into BigQuery: Parquet, a load job into a table of our own, and that table's end.
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import type { Field } from '../../platform/bigquery/rest.ts'
import { loadFile } from '../../platform/bigquery/load.ts'
import { createTable, describeTable, dropTable, expireTable, type TablePath } from '../../platform/bigquery/tables.ts'
import { quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import type { LoadCommit, RawColumn, WarehousePlace } from '../warehouse.ts'
import { labelText, type Connection } from './connection.ts'
import { exported, rawType } from './types.ts'

export type Purpose = 'rows' | 'rejects' | 'kept_rejects' | 'commit' | 'keep'

/** Where staging tables are left by whoever died, BigQuery clears them. */
const STAGING_LIVES_MS = 24 * 3600 * 1000

/** Rows of a load as files of the scratch folder, one for each part that the stream hands over. */
export class ParquetRows {
  readonly #engine: Engine
  readonly #stem: string
  readonly #columns: readonly Pick<RawColumn, 'name' | 'duckdbType'>[]
  readonly #files: string[] = []
  #rows = 0

  constructor(engine: Engine, scratchDir: string, name: Purpose, columns: ParquetRows['fields']) {
    this.#engine = engine
    this.#stem = path.join(scratchDir, `bigquery-${name}`)
    this.#columns = columns
  }

  get fields(): readonly Pick<RawColumn, 'name' | 'duckdbType'>[] {
    return this.#columns
  }

  get rows(): number {
    return this.#rows
  }

  /** Writes a query's rows, which have these columns in any order; returns how many there were. */
  async take(query: string): Promise<number> {
    const file = `${this.#stem}-${this.#files.length}.parquet`
    const list = this.#columns.map(
      ({ name, duckdbType }) => `${exported(quoteName(name), duckdbType)} AS ${quoteName(name)}`,
    )
    const rows = await this.#engine.run(
      `COPY (SELECT ${list.join(', ')} FROM (${query})) TO ${quoteText(file)} (FORMAT parquet)`,
    )
    this.#files.push(file)
    this.#rows += rows
    return rows
  }

  /** All of them in one file: a load job that is sent to BigQuery takes one. */
  async file(): Promise<string> {
    const [only] = this.#files
    if (only !== undefined && this.#files.length === 1) return only
    const all = `${this.#stem}.parquet`
    const list = this.#files.map(quoteText).join(', ')
    await this.#engine.run(`COPY (FROM read_parquet([${list}])) TO ${quoteText(all)} (FORMAT parquet)`)
    await this.remove()
    this.#files.push(all)
    return all
  }

  async remove(): Promise<void> {
    for (const file of this.#files.splice(0)) await rm(file, { force: true })
  }
}

/** The same work of the same run has the same id, whichever attempt asks for it. */
export function jobId(load: Pick<LoadCommit, 'runId' | 'loadId'>, purpose: Purpose): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([load.runId, load.loadId, purpose]))
    .digest('hex')
  return `millrace_${purpose}_${digest.slice(0, 32)}`
}

export function workLabels({ loadId }: Pick<LoadCommit, 'loadId'>, purpose: Purpose): Readonly<Record<string, string>> {
  return { millrace_load: labelText(loadId), millrace_purpose: purpose }
}

/** A name that only this load's rows of this run have. */
export function stagingTable({ settings }: Connection, load: LoadCommit, purpose: Purpose): TablePath {
  const id = jobId(load, purpose).slice(-16)
  return {
    project: settings.project,
    dataset: load.table.schema,
    table: `_millrace_${labelText(load.loadId).slice(0, 32)}_${id}_${purpose}`,
  }
}

/** Brings the rows into the staging table. Fails with CountsDisagree when others came there. */
export async function stageRows(
  { api }: Connection,
  place: Pick<WarehousePlace, 'stagingBucket'>,
  load: LoadCommit,
  purpose: Purpose,
  parquet: ParquetRows,
  into: TablePath,
): Promise<void> {
  const columns: Field[] = parquet.fields.map(({ name, duckdbType }) => ({
    name,
    type: rawType(duckdbType),
    mode: 'NULLABLE',
  }))
  const expiresAt = new Date(Date.now() + STAGING_LIVES_MS)
  await createTable(api, into, { columns, expiresAt })
  const { rows = (await describeTable(api, into))?.rows } = await loadFile(api, {
    id: jobId(load, purpose),
    file: await parquet.file(),
    format: 'PARQUET',
    into,
    columns,
    labels: workLabels(load, purpose),
    stagingBucket: place.stagingBucket ?? undefined,
    stillThere: async () => (await describeTable(api, into))?.rows === parquet.rows,
  })
  // Once more: a load job that replaces a table's rows may not keep what else was said of it.
  await expireTable(api, into, expiresAt)
  if (rows === parquet.rows) return
  throw failure(
    'CountsDisagree',
    `${into.dataset}.${into.table}: ${parquet.rows} rows were sent to BigQuery, ${rows ?? 'no'} rows arrived; nothing was kept. ` +
      `Please report this as a bug of Millrace`,
  )
}

/** A table that cannot be dropped now expires by itself: no reason to fail what has succeeded. */
export async function dropStaging({ api }: Connection, tables: readonly TablePath[]): Promise<void> {
  await Promise.allSettled(tables.map((table) => dropTable(api, table)))
}
