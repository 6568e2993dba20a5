// A load in BigQuery: rows and rejects are staged, then one script puts them into their tables, all of it or nothing.
import type { StreamCounts } from '../../ingest/load-stream.ts'
import type { RejectReason } from '../../pipeline/report.ts'
import { runStatement } from '../../platform/bigquery/query.ts'
import { createTable, type TableLayout, type TablePath } from '../../platform/bigquery/tables.ts'
import { faultPoint } from '../../platform/fault.ts'
import { countOf, newestSql, runAll, tableSql, type Row, type Session, type Statement } from '../sql/dialect.ts'
import { currentLoad, ledgerStatements, removeBatch, requireSameMode } from '../sql/ledger.ts'
import { rawTableChanges } from '../sql/raw-table.ts'
import { rejectReasons, removeRejects, writeRejects } from '../sql/rejects.ts'
import { LEDGER_COLUMNS, REJECTS_COLUMNS, tableChanges, type OwnColumn } from '../sql/tables.ts'
import { ledgerOf, rejectsTable, type LoadCommit, type LoadCounts, type WarehousePlace } from '../warehouse.ts'
import type { Connection } from './connection.ts'
import { quoteName } from './dialect.ts'
import { checked } from './failure.ts'
import { newJobId, transaction } from './session.ts'
import { dropStaging, jobId, ParquetRows, stageRows, stagingTable, workLabels } from './stage.ts'
import { rawType } from './types.ts'

export interface LoadPlace {
  readonly connection: Connection
  readonly session: Session
  readonly place: WarehousePlace
}

export async function commitLoad(
  { connection, session, place }: LoadPlace,
  load: LoadCommit,
  accept: (counts: StreamCounts) => void,
): Promise<LoadCounts & { readonly removed: number }> {
  await session.ensureSchema(load.table.schema)
  // A missing table is made when the load is known to be good, an older ledger is brought up to date before it is read.
  const [made, altered] = partition(await tableChanges(session, ledgerOf(load.table), LEDGER_COLUMNS))
  await runAll(session, altered)
  await rawTableChanges(session, load)
  await requireSameMode(session, load)
  const columns = load.columns.filter(({ name }) => load.stream.columns.includes(name))
  const rows = new ParquetRows(place.engine, place.scratchDir, 'rows', columns)
  const rejects = new ParquetRows(place.engine, place.scratchDir, 'rejects', REJECT_FIELDS)
  const staged = { rows: stagingTable(connection, load, 'rows'), rejects: stagingTable(connection, load, 'rejects') }
  try {
    const counts = await load.stream.rows((query) => rows.take(query))
    accept(counts)
    await writeRejects(load, counts.rejected, (query) => rejects.take(query))
    if (rows.rows > 0) await stageRows(connection, place, load, 'rows', rows, staged.rows)
    if (rejects.rows > 0) await stageRows(connection, place, load, 'rejects', rejects, staged.rejects)
    await runAll(session, made)
    await ensureRejectsTable(session, load)
    await ensureRawTable(connection, session, load)
    faultPoint('ingest:in-transaction')
    const { removed, changed } = await inTurn(connection, load, () =>
      runCommit(connection, session, load, counts, staged),
    )
    return {
      read: counts.read,
      loaded: changed,
      superseded: counts.superseded + counts.rows - changed,
      rejected: counts.rejected,
      removed,
      rejectReasons: counts.rejected === 0 ? [] : await reasonsOf(session, load),
    }
  } finally {
    await rows.remove()
    await rejects.remove()
    await dropStaging(connection, [staged.rows, staged.rejects])
  }
}

export async function keepRejects(
  { connection, session, place }: LoadPlace,
  load: LoadCommit,
): Promise<readonly RejectReason[]> {
  await session.ensureSchema(load.table.schema)
  await ensureRejectsTable(session, load)
  const rejects = new ParquetRows(place.engine, place.scratchDir, 'kept_rejects', REJECT_FIELDS)
  const staged = stagingTable(connection, load, 'kept_rejects')
  try {
    await writeRejects(load, undefined, (query) => rejects.take(query))
    if (rejects.rows > 0) await stageRows(connection, place, load, 'kept_rejects', rejects, staged)
    const script = transaction([
      await removeRejects(session, load, 'of loads that are not current'),
      ...insertRejects(session, load, rejects.rows, staged),
    ])
    await runStatement(connection.api, newJobId(), { sql: script, labels: workLabels(load, 'keep') })
    return await reasonsOf(session, load)
  } finally {
    await rejects.remove()
    await dropStaging(connection, [staged])
  }
}

/** The end of the line before each ledger. */
const lines = new Map<string, Promise<unknown>>()

/**
 * One commit after the other for a ledger: transactions that change one table at the same time abort each other. Those of
 * other processes are tried again (jobs.ts).
 */
async function inTurn<T>({ settings }: Connection, load: LoadCommit, work: () => Promise<T>): Promise<T> {
  const ledger = `${settings.apiEndpoint} ${settings.project}.${load.table.schema}`
  const turn = (lines.get(ledger) ?? Promise.resolve()).then(work)
  const over = turn.catch(() => undefined)
  lines.set(ledger, over)
  try {
    return await turn
  } finally {
    if (lines.get(ledger) === over) lines.delete(ledger)
  }
}

/** Variables of the script; no column is called so. */
const REMOVED = 'millrace_removed'
const CHANGED = 'millrace_changed'

/**
 * The transaction, as a job that this load of this run has once: an attempt that did not live to see it end finds it
 * again. Both numbers are its own result.
 */
async function runCommit(
  { api }: Connection,
  session: Session,
  load: LoadCommit,
  counts: StreamCounts,
  staged: { readonly rows: TablePath; readonly rejects: TablePath },
): Promise<{ readonly removed: number; readonly changed: number }> {
  const sql = transaction(
    [
      ...(counts.rows === 0 ? [] : [stillWhole(staged.rows, counts.rows)]),
      ...removal(session, load),
      ...(counts.rows === 0 ? [] : rowStatements(session, load, staged.rows)),
      await removeRejects(session, load, 'all'),
      ...insertRejects(session, load, counts.rejected, staged.rejects),
      ...ledgerStatements(session, load, counts),
      ...(counts.rows === 0 ? [] : correctedCounts(session, load, counts)),
    ],
    `SELECT ${REMOVED} AS removed, ${CHANGED} AS changed`,
    `DECLARE ${REMOVED} INT64 DEFAULT 0;\nDECLARE ${CHANGED} INT64 DEFAULT ${counts.rows}`,
  )
  const isCurrent = async () => (await currentLoad(session, load.table, load.batchId))?.loadId === load.loadId
  const query = { sql, labels: workLabels(load, 'commit') }
  const result = await runStatement(api, jobId(load, 'commit'), query, isCurrent)
  const [row] = await Array.fromAsync<Row>(result.rows())
  return { removed: countOf(row?.['removed']), changed: countOf(row?.['changed']) }
}

/** Nobody has emptied or refilled the staging table since. Counting a table's rows costs nothing. */
function stillWhole(staged: TablePath, rows: number): string {
  const message = `the staging table ${staged.table} has other rows than were sent; nothing was kept. Start the run again`
  return checked(`(SELECT COUNT(*) FROM ${pathSql(staged)}) = ${rows}`, 'CountsDisagree', message)
}

/** A day's batch is looked for in its partition only: a search of the whole table would be paid for. */
function removal(session: Session, load: LoadCommit): readonly Statement[] {
  return removeBatch(session, load).flatMap(({ sql, values }) => {
    const inDay = load.mode === 'replace'
    const found = {
      sql: `${sql}${inDay ? ' AND _logical_date = CAST(? AS DATE)' : ''}`,
      values: [...values, ...(inDay ? [load.logicalDate] : [])],
    }
    const counted = { ...found, sql: `SET ${REMOVED} = (${found.sql.replace('DELETE', 'SELECT COUNT(*)')})` }
    return [counted, found]
  })
}

function rowStatements(session: Session, load: LoadCommit, staged: TablePath): readonly string[] {
  const names = load.stream.columns.map((column) => quoteName(column))
  const list = names.join(', ')
  const raw = tableSql(session, load.table)
  if (load.mode !== 'upsert') return [`INSERT INTO ${raw} (${list}) SELECT ${list} FROM ${pathSql(staged)}`]
  const sameKey = load.key.map((column) => `stored.${quoteName(column)} = incoming.${quoteName(column)}`).join(' AND ')
  const isNewer = newerThanStored(session, load)
  const merge = `MERGE INTO ${raw} AS stored USING ${pathSql(staged)} AS incoming ON ${sameKey}
    WHEN MATCHED${isNewer === undefined ? '' : ` AND (${isNewer})`} THEN UPDATE SET ${names.map((name) => `${name} = incoming.${name}`).join(', ')}
    WHEN NOT MATCHED THEN INSERT (${list}) VALUES (${names.map((name) => `incoming.${name}`).join(', ')})`
  if (isNewer === undefined) return [merge]
  const changes = `SELECT COUNT(*) FROM ${pathSql(staged)} AS incoming LEFT JOIN ${raw} AS stored ON ${sameKey}
    WHERE stored._load_id IS NULL OR IFNULL(${isNewer}, FALSE)`
  return [`SET ${CHANGED} = (${changes})`, merge]
}

function newerThanStored(session: Session, { stream: { newestBy } }: LoadCommit): string | undefined {
  if (newestBy === undefined) return undefined
  const [stored, incoming] = ['stored', 'incoming'].map((row) => newestSql(session, newestBy, row))
  return `${stored} IS NULL OR ${incoming} >= ${stored}`
}

/** Rows that were older than what the table had: known only in the script. */
function correctedCounts(session: Session, load: LoadCommit, counts: StreamCounts): readonly Statement[] {
  if (load.mode !== 'upsert' || load.stream.newestBy === undefined) return []
  return [
    {
      sql: `UPDATE ${tableSql(session, ledgerOf(load.table))} SET records_loaded = ${CHANGED},
        records_superseded = ${counts.superseded + counts.rows} - ${CHANGED}
        WHERE load_id = ? AND batch_id = ? AND replaced_by IS NULL`,
      values: [load.loadId, load.batchId],
    },
  ]
}

function insertRejects(session: Session, load: LoadCommit, rejected: number, staged: TablePath): readonly string[] {
  if (rejected === 0) return []
  const list = REJECTS_COLUMNS.map(({ name }) => quoteName(name)).join(', ')
  return [
    stillWhole(staged, rejected),
    `INSERT INTO ${tableSql(session, rejectsTable(load.table))} (${list}) SELECT ${list} FROM ${pathSql(staged)}`,
  ]
}

async function reasonsOf(session: Session, { table, loadId }: LoadCommit): Promise<readonly RejectReason[]> {
  return (await rejectReasons(session, table, [loadId])).get(loadId) ?? []
}

function partition(
  changes: readonly Statement[],
): readonly [made: readonly Statement[], altered: readonly Statement[]] {
  const creates = ({ sql }: Statement) => sql.startsWith('CREATE')
  return [changes.filter(creates), changes.filter((change) => !creates(change))]
}

async function ensureRejectsTable(session: Session, load: LoadCommit): Promise<void> {
  const changes = await tableChanges(session, rejectsTable(load.table), REJECTS_COLUMNS)
  const layout = ' PARTITION BY _logical_date CLUSTER BY _load_id'
  await runAll(
    session,
    changes.map(({ sql, values }) => ({ sql: sql.startsWith('CREATE') ? `${sql}${layout}` : sql, values })),
  )
}

/**
 * The one table that is not made by SQL: the API's schema says the same, and the emulator of our tests takes it at its
 * word (its SQL makes DECIMAL(18,3) of NUMERIC).
 */
async function ensureRawTable({ api, settings }: Connection, session: Session, load: LoadCommit): Promise<void> {
  if ((await session.look(load.table)) === undefined) {
    const path = { project: settings.project, dataset: load.table.schema, table: load.table.table }
    const columns = load.columns.map(({ name, duckdbType }) => ({ name, type: rawType(duckdbType), mode: 'NULLABLE' }))
    await createTable(api, path, { columns, layout: rawLayout(load) })
  }
  await runAll(session, await rawTableChanges(session, load))
}

const CLUSTERABLE = new Set(['STRING', 'INT64', 'NUMERIC', 'BIGNUMERIC', 'BOOL', 'DATE', 'TIMESTAMP'])
const MOST_CLUSTERED = 4

/** By day, because that is what loads replace and marts read; within a day by load and key. */
function rawLayout({ columns, key }: LoadCommit): TableLayout {
  const typeOf = new Map(columns.map(({ name, duckdbType }) => [name, rawType(duckdbType)]))
  const clusterBy = ['_load_id', ...key].filter((name) => CLUSTERABLE.has(typeOf.get(name) ?? ''))
  return {
    partitions: typeOf.get('_logical_date') === 'DATE' ? { by: '_logical_date', type: 'DAY' } : undefined,
    clusterBy: clusterBy.slice(0, MOST_CLUSTERED),
  }
}

const ENGINE_TYPES: Readonly<Record<OwnColumn['type'], string>> = {
  text: 'VARCHAR',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  bigint: 'BIGINT',
  integer: 'INTEGER',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
}

const REJECT_FIELDS = REJECTS_COLUMNS.map(({ name, type }) => ({ name, duckdbType: ENGINE_TYPES[type] }))

function pathSql({ project, dataset, table }: TablePath): string {
  return quoteName(project, dataset, table)
}
