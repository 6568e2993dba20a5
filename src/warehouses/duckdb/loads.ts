// Loads in DuckDB: raw tables, their rejects, and the ledger of what is in them.
import type { ContractColumn } from '../../pipeline/plan.ts'
import type { RejectReason } from '../../pipeline/report.ts'
import type { StreamCounts } from '../../ingest/load-stream.ts'
import { failure } from '../../pipeline/failure.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import { REJECT_COLUMNS } from '../../ingest/rejects.ts'
import { asCount, quoteName, quoteText } from '../../platform/duckdb.ts'
import { faultPoint } from '../../platform/fault.ts'
import {
  LEDGER_TABLE,
  rejectsTable,
  type CurrentLoad,
  type EntryOwner,
  type LedgerFile,
  type LoadCommit,
  type LoadCounts,
  type RejectsOwner,
  type StoredReject,
} from '../warehouse.ts'
import { createTable, tableExists, tableName, type Database } from './statements.ts'
import { LEDGER_COLUMNS, REJECTS_COLUMNS } from './tables.ts'

const MOST_REASONS = 10

export async function currentLoad(
  database: Database,
  table: TableName,
  batchId: string,
): Promise<CurrentLoad | undefined> {
  const [load] = await intactLoads(database, table, 'batch_id = ? AND replaced_by IS NULL', [batchId])
  return load
}

export async function loadedFiles(
  database: Database,
  table: TableName,
  { pipeline, entry, params }: EntryOwner,
): Promise<ReadonlyMap<string, CurrentLoad>> {
  const condition = 'raw_table = ? AND pipeline = ? AND entry = ? AND params::VARCHAR = ? AND replaced_by IS NULL'
  const loads = await intactLoads(database, table, condition, [
    tableText(table),
    pipeline,
    entry,
    JSON.stringify(params),
  ])
  return new Map(loads.flatMap((load) => load.files.map(({ sha256 }) => [sha256, load] as const)))
}

export async function rememberedContract(
  database: Database,
  table: TableName,
  { pipeline, entry }: EntryOwner,
): Promise<readonly ContractColumn[] | undefined> {
  if (!(await tableExists(database, ledgerOf(table))) || !(await tableExists(database, table))) return undefined
  const [row] = await database.engine.rows(
    `SELECT contract FROM ${tableName(database, ledgerOf(table))} WHERE raw_table = ? AND pipeline = ? AND entry = ?
     ORDER BY loaded_at DESC LIMIT 1`,
    [tableText(table), pipeline, entry],
  )
  // Written by commitLoad.
  return row === undefined ? undefined : (JSON.parse(String(row['contract'])) as ContractColumn[])
}

/**
 * Loads of the ledger whose rows are all in the raw table. An upserted row may since belong to a later load; of an
 * appended load, which nothing takes out again, rows that somebody deleted stay deleted while others are there.
 */
async function intactLoads(
  database: Database,
  table: TableName,
  condition: string,
  values: readonly string[],
): Promise<CurrentLoad[]> {
  if (!(await tableExists(database, ledgerOf(table))) || !(await tableExists(database, table))) return []
  const rows = await database.engine.rows(
    `SELECT load_id, run_id, files, records_read, records_loaded, records_superseded, records_rejected,
       strftime(loaded_at, '%Y-%m-%dT%H:%M:%SZ') AS loaded_at, logical_date::VARCHAR AS logical_date
     FROM ${tableName(database, ledgerOf(table))} AS ledger
     WHERE ${condition} AND CASE mode
       WHEN 'upsert' THEN records_loaded = 0 OR EXISTS (FROM ${tableName(database, table)})
       WHEN 'append' THEN records_loaded = 0
         OR EXISTS (FROM ${tableName(database, table)} AS raw WHERE raw._load_id = ledger.load_id)
       ELSE records_loaded = (SELECT count(*) FROM ${tableName(database, table)} AS raw WHERE raw._load_id = ledger.load_id) END
     ORDER BY loaded_at`,
    values,
  )
  return await Promise.all(
    rows.map(async (row) => ({
      loadId: String(row['load_id']),
      runId: String(row['run_id']),
      logicalDate: String(row['logical_date']),
      files: JSON.parse(String(row['files'])) as LedgerFile[], // written by commitLoad
      read: asCount(row['records_read']),
      loaded: asCount(row['records_loaded']),
      superseded: asCount(row['records_superseded']),
      rejected: asCount(row['records_rejected']),
      rejectReasons: await rejectReasons(database, table, String(row['load_id'])),
      loadedAt: String(row['loaded_at']),
    })),
  )
}

export async function commitLoad(
  database: Database,
  load: LoadCommit,
  accept: (counts: StreamCounts) => void,
): Promise<LoadCounts & { readonly removed: number }> {
  const { engine } = database
  const ledger = tableName(database, ledgerOf(load.table))
  await createTable(database, ledgerOf(load.table), LEDGER_COLUMNS)
  await ensureRawTable(database, load)
  await requireSameMode(database, load)
  let removed = 0
  if (load.mode === 'replace' || load.mode === 'snapshot') {
    removed = await engine.run(
      `DELETE FROM ${tableName(database, load.table)} WHERE _load_id IN
         (SELECT load_id FROM ${ledger} WHERE batch_id = ? AND replaced_by IS NULL)`,
      [load.batchId],
    )
  }
  const counts = await load.stream.rows((query) => insertion(database, load, query))
  faultPoint('ingest:in-transaction')
  accept(counts)
  await removeRejects(database, load, 'all')
  await writeRejects(database, load, counts.rejected)
  await engine.run(`UPDATE ${ledger} SET replaced_by = ? WHERE batch_id = ? AND replaced_by IS NULL`, [
    load.loadId,
    load.batchId,
  ])
  await engine.run(`INSERT INTO ${ledger} VALUES (${LEDGER_COLUMNS.map(() => '?').join(', ')})`, [
    load.loadId,
    load.batchId,
    load.pipeline,
    load.entry,
    tableText(load.table),
    load.mode,
    load.logicalDate,
    JSON.stringify(load.params),
    JSON.stringify(load.files),
    JSON.stringify(load.contract),
    BigInt(counts.read),
    BigInt(counts.rows),
    BigInt(counts.superseded),
    BigInt(counts.rejected),
    load.loadedAt,
    load.runId,
    null,
  ])
  return {
    read: counts.read,
    loaded: counts.rows,
    superseded: counts.superseded,
    rejected: counts.rejected,
    removed,
    rejectReasons: await rejectReasons(database, load.table, load.loadId),
  }
}

export async function keepRejects(database: Database, load: LoadCommit): Promise<readonly RejectReason[]> {
  await removeRejects(database, load, 'of loads that are not current')
  await writeRejects(database, load, undefined)
  return await rejectReasons(database, load.table, load.loadId)
}

function insertion(database: Database, load: LoadCommit, query: string): string {
  const names = load.stream.columns.map((column) => quoteName(column))
  const list = names.join(', ')
  const table = tableName(database, load.table)
  if (load.mode !== 'upsert') return `INSERT INTO ${table} (${list}) ${query}`
  const sameKey = load.key.map((column) => `stored.${quoteName(column)} = incoming.${quoteName(column)}`)
  const stored = load.stream.newest('stored')
  const incoming = load.stream.newest('incoming')
  const isNewer =
    stored === undefined || incoming === undefined ? '' : `AND (${stored} IS NULL OR ${incoming} >= ${stored})`
  return `MERGE INTO ${table} AS stored USING (${query}) AS incoming ON ${sameKey.join(' AND ')}
    WHEN MATCHED ${isNewer} THEN UPDATE SET ${names.map((name) => `${name} = incoming.${name}`).join(', ')}
    WHEN NOT MATCHED THEN INSERT (${list}) VALUES (${names.map((name) => `incoming.${name}`).join(', ')})`
}

/** Creates the raw table, or holds an existing one to the load's columns. */
async function ensureRawTable(database: Database, { table, columns, mayHaveMore }: LoadCommit): Promise<void> {
  const { engine, name } = database
  const views = await engine.rows(
    'SELECT 1 FROM duckdb_views() WHERE database_name = ? AND schema_name = ? AND view_name = ?',
    [name, table.schema, table.table],
  )
  if (views.length > 0) {
    throw failure('ContractChanged', `${tableText(table)} is a view, nothing can be loaded into it; drop or rename it`)
  }
  if (!(await tableExists(database, table))) {
    await createTable(
      database,
      table,
      columns.map((column) => [column.name, column.duckdbType]),
    )
    return
  }
  const existing = await engine.rows(
    'SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? AND table_name = ?',
    [name, table.schema, table.table],
  )
  const present = new Map(existing.map((row) => [String(row['column_name']), sameType(String(row['data_type']))]))
  const added = columns.filter((column) => column.mayBeAdded && !present.has(column.name))
  const different = [
    ...columns
      .filter((column) => !added.includes(column) && present.get(column.name) !== sameType(column.duckdbType))
      .map((column) => column.name),
    ...(mayHaveMore ? [] : [...present.keys()].filter((known) => !columns.some((column) => column.name === known))),
  ]
  if (different.length > 0) {
    throw failure(
      'ContractChanged',
      `${tableText(table)} has other columns than its contract (${different.slice(0, 5).join(', ')}); ` +
        `change the table by hand (ALTER TABLE), or move it aside so that it is made anew: ` +
        `ALTER TABLE ${tableText(table)} RENAME TO ${table.table}_old (then run the days that were in it again)`,
    )
  }
  for (const column of added) {
    await engine.run(
      `ALTER TABLE ${tableName(database, table)} ADD COLUMN ${quoteName(column.name)} ${column.duckdbType}`,
    )
  }
}

/** DuckDB reports its own spelling. */
function sameType(type: string): string {
  return type === 'TIMESTAMPTZ' ? 'TIMESTAMP WITH TIME ZONE' : type === 'REAL' ? 'FLOAT' : type
}

/** Another mode would not find what the one before has loaded, and load it once more. */
async function requireSameMode(database: Database, { table, pipeline, entry, mode }: LoadCommit): Promise<void> {
  const [other] = await database.engine.rows(
    `SELECT mode FROM ${tableName(database, ledgerOf(table))} AS ledger
     WHERE raw_table = ? AND pipeline = ? AND entry = ? AND mode <> ? AND replaced_by IS NULL
       AND EXISTS (FROM ${tableName(database, table)} AS raw WHERE raw._load_id = ledger.load_id) LIMIT 1`,
    [tableText(table), pipeline, entry, mode],
  )
  if (other === undefined) return
  throw failure(
    'ContractChanged',
    `${tableText(table)} holds rows of this entry from mode ${String(other['mode'])}; with mode ${mode} they would be there ` +
      `twice. Move the table aside (ALTER TABLE ${tableText(table)} RENAME TO ${table.table}_old) and run the days again, ` +
      `or give the entry a name of its own`,
  )
}

/** Those of the batch, and those of earlier contents of the same files: they are read again, and told again. */
async function removeRejects(
  database: Database,
  load: LoadCommit,
  which: 'all' | 'of loads that are not current',
): Promise<void> {
  const table = rejectsTable(load.table)
  await createTable(database, table, REJECTS_COLUMNS)
  const ledger = ledgerOf(load.table)
  const isCurrent = (await tableExists(database, ledger))
    ? `_load_id IN (SELECT load_id FROM ${tableName(database, ledger)} WHERE replaced_by IS NULL)`
    : 'false'
  const spared = which === 'all' ? 'false' : isCurrent
  const names = load.files.map(({ name }) => quoteText(name)).join(', ')
  await database.engine.run(
    `DELETE FROM ${tableName(database, table)} WHERE (_batch_id = ? AND NOT ${spared}) OR (_pipeline = ? AND _entry = ?
       AND _logical_date = ?::DATE AND _source_file IN (${names}) AND NOT ${isCurrent})`,
    [load.batchId, load.pipeline, load.entry, load.logicalDate],
  )
}

/** Fails with CountsDisagree when they are not as many as expected. */
async function writeRejects(database: Database, load: LoadCommit, expected: number | undefined): Promise<void> {
  const table = rejectsTable(load.table)
  const owner = [load.loadId, load.batchId, load.pipeline, load.entry].map(quoteText).join(', ')
  const names = REJECT_COLUMNS.map(([name]) => name).join(', ')
  const written = await load.stream.rejects(
    (query) =>
      `INSERT INTO ${tableName(database, table)} SELECT ${owner}, _source_file, ${names},
         DATE ${quoteText(load.logicalDate)}, ${quoteText(load.loadedAt)}::TIMESTAMP FROM (${query})`,
  )
  if (expected === undefined || written === expected) return
  throw failure(
    'CountsDisagree',
    `${tableText(load.table)}: ${expected} records were rejected, but ${written} came; nothing was kept. ` +
      `Please report these files as a bug of Millrace`,
  )
}

async function rejectReasons(database: Database, table: TableName, loadId: string): Promise<RejectReason[]> {
  const reasons = await database.engine.rows(
    `SELECT code, column_name, count(*) AS n FROM ${tableName(database, rejectsTable(table))} WHERE _load_id = ?
     GROUP BY ALL ORDER BY n DESC, code LIMIT ${MOST_REASONS}`,
    [loadId],
  )
  return reasons.map(({ code, column_name: column, n }) => ({
    code: String(code),
    column: typeof column === 'string' ? column : null,
    count: asCount(n),
  }))
}

export async function* readRejects(
  database: Database,
  table: TableName,
  owner: RejectsOwner,
): AsyncGenerator<StoredReject> {
  if (!(await tableExists(database, rejectsTable(table)))) return
  const rows = database.engine.stream(
    `SELECT *, strftime(_rejected_at, '%Y-%m-%dT%H:%M:%SZ') AS rejected_at
     FROM ${tableName(database, rejectsTable(table))}
     WHERE _pipeline = ? AND _entry = ? AND _logical_date = ?::DATE ORDER BY _source_file, _source_record`,
    [owner.pipeline, owner.entry, owner.logicalDate],
  )
  for await (const row of rows) {
    yield {
      file: String(row['_source_file']),
      record: asCount(row['_source_record']),
      line: asCount(row['line']),
      byteOffset: asCount(row['byte_offset']),
      code: String(row['code']),
      column: typeof row['column_name'] === 'string' ? row['column_name'] : null,
      message: String(row['message']),
      rawText: String(row['raw_text']),
      rejectedAt: String(row['rejected_at']),
    }
  }
}

function ledgerOf(table: TableName): TableName {
  return { schema: table.schema, table: LEDGER_TABLE as TableName['table'] }
}
