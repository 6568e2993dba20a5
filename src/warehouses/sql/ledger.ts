// The ledger of completed loads: what a batch's current load is, and the statements by which another takes its place.
import type { ContractColumn } from '../../pipeline/plan.ts'
import { failure } from '../../pipeline/failure.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import type { StreamCounts } from '../../ingest/load-stream.ts'
import { ledgerOf, type CurrentLoad, type EntryOwner, type LedgerFile, type LoadCommit } from '../warehouse.ts'
import { countOf, placeholders, tableSql, typed, type Session, type Statement } from './dialect.ts'
import { rejectReasons } from './rejects.ts'
import { insertRow, LEDGER_COLUMNS } from './tables.ts'

export async function currentLoad(
  session: Session,
  table: TableName,
  batchId: string,
): Promise<CurrentLoad | undefined> {
  const [load] = await intactLoads(session, table, 'batch_id = ? AND replaced_by IS NULL', [batchId])
  return load
}

export async function loadedFiles(
  session: Session,
  table: TableName,
  { pipeline, entry, params }: EntryOwner,
): Promise<ReadonlyMap<string, CurrentLoad>> {
  const condition = 'raw_table = ? AND pipeline = ? AND entry = ? AND params = ? AND replaced_by IS NULL'
  const owner = [tableText(table), pipeline, entry, JSON.stringify(params)]
  const loads = await intactLoads(session, table, condition, owner)
  return new Map(loads.flatMap((load) => load.files.map(({ sha256 }) => [sha256, load] as const)))
}

export async function rememberedContract(
  session: Session,
  table: TableName,
  { pipeline, entry }: EntryOwner,
): Promise<readonly ContractColumn[] | undefined> {
  if (!(await areThere(session, ledgerOf(table), table))) return undefined
  const [row] = await session.rows(
    `SELECT contract FROM ${tableSql(session, ledgerOf(table))} WHERE raw_table = ? AND pipeline = ? AND entry = ?
     ORDER BY loaded_at DESC LIMIT 1`,
    [tableText(table), pipeline, entry],
  )
  // Written by ledgerStatements.
  return row === undefined ? undefined : (JSON.parse(String(row['contract'])) as ContractColumn[])
}

/**
 * Loads of the ledger whose rows are all in the raw table. An upserted row may since belong to a later load; of an
 * appended load, which nothing takes out again, rows that somebody deleted stay deleted while others are there.
 */
async function intactLoads(
  session: Session,
  table: TableName,
  condition: string,
  values: readonly string[],
): Promise<CurrentLoad[]> {
  if (!(await areThere(session, ledgerOf(table), table))) return []
  const { dialect } = session
  const rows = await session.rows(
    `SELECT load_id, mode, run_id, files, records_read, records_loaded, records_superseded, records_rejected,
       ${dialect.isoText('loaded_at')} AS loaded_text, CAST(logical_date AS ${dialect.types.text}) AS date_text
     FROM ${tableSql(session, ledgerOf(table))} WHERE ${condition} ORDER BY loaded_at`,
    values,
  )
  const ids = rows.map((row) => String(row['load_id']))
  const [present, total] = await rowsPresent(session, table, ids)
  const intact = rows.filter((row) => {
    const loaded = countOf(row['records_loaded'])
    const found = present.get(String(row['load_id'])) ?? 0
    switch (row['mode']) {
      case 'upsert':
        return loaded === 0 || total > 0
      case 'append':
        return loaded === 0 || found > 0
      default:
        return loaded === found
    }
  })
  const reasons = await rejectReasons(
    session,
    table,
    intact.flatMap((row) => (countOf(row['records_rejected']) > 0 ? [String(row['load_id'])] : [])),
  )
  return intact.map((row) => ({
    loadId: String(row['load_id']),
    runId: String(row['run_id']),
    logicalDate: String(row['date_text']),
    files: JSON.parse(String(row['files'])) as LedgerFile[], // written by ledgerStatements
    read: countOf(row['records_read']),
    loaded: countOf(row['records_loaded']),
    superseded: countOf(row['records_superseded']),
    rejected: countOf(row['records_rejected']),
    rejectReasons: reasons.get(String(row['load_id'])) ?? [],
    loadedAt: String(row['loaded_text']),
  }))
}

/** Of each load, how many rows the raw table has, and how many of all loads together (0 or more than 0). */
async function rowsPresent(
  session: Session,
  table: TableName,
  loadIds: readonly string[],
): Promise<readonly [present: ReadonlyMap<string, number>, total: number]> {
  if (loadIds.length === 0) return [new Map(), 0]
  const raw = tableSql(session, table)
  // Past a thousand loads their list is longer than what it saves.
  const some = loadIds.length > 1000 ? [] : loadIds
  const rows = await session.rows(
    `SELECT _load_id, count(*) AS n FROM ${raw}${some.length === 0 ? '' : ` WHERE _load_id IN (${placeholders(some)})`} GROUP BY _load_id`,
    some,
  )
  const present = new Map(rows.map((row) => [String(row['_load_id']), countOf(row['n'])]))
  if (present.size > 0) return [present, 1]
  const any = await session.rows(`SELECT 1 AS present FROM ${raw} LIMIT 1`)
  return [present, any.length]
}

async function areThere(session: Session, ...tables: readonly TableName[]): Promise<boolean> {
  for (const table of tables) if ((await session.look(table))?.kind !== 'table') return false
  return true
}

/** Another mode would not find what the one before has loaded, and load it once more. */
export async function requireSameMode(
  session: Session,
  { table, pipeline, entry, mode }: Pick<LoadCommit, 'table' | 'pipeline' | 'entry' | 'mode'>,
): Promise<void> {
  if (!(await areThere(session, ledgerOf(table), table))) return
  const others = await session.rows(
    `SELECT mode, load_id FROM ${tableSql(session, ledgerOf(table))}
     WHERE raw_table = ? AND pipeline = ? AND entry = ? AND mode <> ? AND replaced_by IS NULL`,
    [tableText(table), pipeline, entry, mode],
  )
  const [present] = await rowsPresent(
    session,
    table,
    others.map((row) => String(row['load_id'])),
  )
  const other = others.find((row) => (present.get(String(row['load_id'])) ?? 0) > 0)
  if (other === undefined) return
  throw failure(
    'ContractChanged',
    `${tableText(table)} holds rows of this entry from mode ${String(other['mode'])}; with mode ${mode} they would be there ` +
      `twice. Move the table aside (ALTER TABLE ${tableText(table)} RENAME TO ${table.table}_old) and run the days again, ` +
      `or give the entry a name of its own`,
  )
}

/** Takes the rows of the batch's current load out of the raw table, where the mode replaces them. */
export function removeBatch(session: Session, load: LoadCommit): readonly Statement[] {
  if (load.mode !== 'replace' && load.mode !== 'snapshot') return []
  return [
    {
      sql: `DELETE FROM ${tableSql(session, load.table)} WHERE _load_id IN
        (SELECT load_id FROM ${tableSql(session, ledgerOf(load.table))} WHERE batch_id = ? AND replaced_by IS NULL)`,
      values: [load.batchId],
    },
  ]
}

/** The load becomes its batch's current one. */
export function ledgerStatements(session: Session, load: LoadCommit, counts: StreamCounts): readonly Statement[] {
  const ledger = ledgerOf(load.table)
  return [
    {
      sql: `UPDATE ${tableSql(session, ledger)} SET replaced_by = ${typed(session.dialect, 'text')} WHERE batch_id = ? AND replaced_by IS NULL`,
      values: [load.loadId, load.batchId],
    },
    insertRow(session, ledger, LEDGER_COLUMNS, {
      load_id: load.loadId,
      batch_id: load.batchId,
      pipeline: load.pipeline,
      entry: load.entry,
      raw_table: tableText(load.table),
      mode: load.mode,
      logical_date: load.logicalDate,
      params: JSON.stringify(load.params),
      files: JSON.stringify(load.files),
      contract: JSON.stringify(load.contract),
      records_read: counts.read,
      records_loaded: counts.rows,
      records_superseded: counts.superseded,
      records_rejected: counts.rejected,
      loaded_at: load.loadedAt,
      run_id: load.runId,
    }),
  ]
}
