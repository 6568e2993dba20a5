// The refresh log: one row per run, whatever became of it, for people and dashboards.
import type { TableName } from '../../pipeline/identifier.ts'
import type { LastGoodMarts, LoggedMarts, LoggedRun, RefreshRow } from '../warehouse.ts'
import { countOf, runAll, tableSql, typed, type Session, type Statement } from './dialect.ts'
import { insertRow, REFRESH_LOG_COLUMNS, tableChanges } from './tables.ts'

/** To be run in a transaction. */
export async function recordRefresh(session: Session, table: TableName, row: RefreshRow): Promise<void> {
  await session.ensureSchema(table.schema)
  await runAll(session, await tableChanges(session, table, REFRESH_LOG_COLUMNS))
  await runAll(session, refreshStatements(session, table, row))
}

/** Writes the run's row, in the place of an earlier one of the same refresh_id. */
export function refreshStatements(session: Session, table: TableName, row: RefreshRow): readonly Statement[] {
  const { report } = row
  return [
    { sql: `DELETE FROM ${tableSql(session, table)} WHERE refresh_id = ?`, values: [row.refreshId] },
    insertRow(session, table, REFRESH_LOG_COLUMNS, {
      refresh_id: row.refreshId,
      run_date: row.runDate,
      success: row.success,
      models_updated: row.modelsUpdated,
      rows_inserted: row.rowsInserted,
      execution_time_seconds: row.executionTimeSeconds,
      notes: row.notes,
      pipeline: report.pipeline,
      target: report.target,
      logical_date: report.logicalDate,
      outcome: report.outcome,
      failure_type: report.failure?.type ?? null,
      workflow_id: report.workflowId,
      run_id: report.runId,
      started_at: report.startedAt,
      finished_at: report.finishedAt,
      bytes_billed: row.bytesBilled,
      bytes_estimated: row.bytesEstimated,
      marts: JSON.stringify(row.marts),
    }),
  ]
}

/** The latest runs since a moment (ISO 8601), the newest first; none where there is no log yet. */
export async function readRefreshLog(
  session: Session,
  table: TableName,
  { since, limit }: { readonly since: string; readonly limit: number },
): Promise<readonly LoggedRun[]> {
  const found = await session.look(table)
  if (found === undefined) return []
  const { dialect } = session
  // A log that nobody has written to since an older version lacks the later columns.
  const known = new Set(found.columns.map(({ name }) => name))
  const of = (name: string, sql = name) => (known.has(name) ? sql : 'NULL')
  const rows = await session.rows(
    `SELECT ${dialect.isoText('run_date')} AS run_text, success, models_updated, rows_inserted, execution_time_seconds, notes,
       ${of('pipeline')} AS pipeline_text, ${of('target')} AS target_text,
       ${of('logical_date', `CAST(logical_date AS ${dialect.types.text})`)} AS date_text, ${of('outcome')} AS outcome_text,
       ${of('failure_type')} AS failure_text, ${of('workflow_id')} AS workflow_text, ${of('run_id')} AS run_id_text,
       ${of('bytes_billed')} AS billed, ${of('bytes_estimated')} AS estimated, ${of('marts')} AS marts_text
     FROM ${tableSql(session, table)} WHERE run_date >= ${typed(dialect, 'timestamp')} ORDER BY run_date DESC LIMIT ${limit}`,
    [since],
  )
  // Rows of before a column was there have NULL in it.
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  return rows.map((row) => ({
    startedAt: String(row['run_text']),
    pipeline: text(row['pipeline_text']),
    target: text(row['target_text']),
    logicalDate: text(row['date_text']),
    outcome: text(row['outcome_text']) || (row['success'] === true ? 'succeeded' : 'failed'),
    failureType: text(row['failure_text']) || null,
    modelsUpdated: countOf(row['models_updated']),
    rowsInserted: countOf(row['rows_inserted']),
    executionTimeSeconds: Number(row['execution_time_seconds']),
    bytesBilled: row['billed'] === null ? null : countOf(row['billed']),
    bytesEstimated: row['estimated'] === null ? null : countOf(row['estimated']),
    notes: text(row['notes']),
    marts: martsOf(row['marts_text']),
    workflowId: text(row['workflow_text']),
    runId: text(row['run_id_text']),
  }))
}

/** So many good runs are looked at: a run of some steps only may have checked some marts only. */
const GOOD_RUNS = 50

/** Rows of each mart as the newest good run that checked it counted them. */
export async function lastGoodMarts(
  session: Session,
  table: TableName,
  { pipeline, target }: { readonly pipeline: string; readonly target: string },
): Promise<LastGoodMarts> {
  const last = new Map<string, { rows: number; startedAt: string }>()
  const found = await session.look(table)
  if (found === undefined || !found.columns.some(({ name }) => name === 'marts')) return last
  const runs = await session.rows(
    `SELECT ${session.dialect.isoText('run_date')} AS run_text, marts FROM ${tableSql(session, table)}
     WHERE pipeline = ? AND target = ? AND success AND marts IS NOT NULL ORDER BY run_date DESC LIMIT ${GOOD_RUNS}`,
    [pipeline, target],
  )
  for (const run of runs) {
    for (const [mart, { rows }] of Object.entries(martsOf(run['marts']) ?? {})) {
      if (!last.has(mart)) last.set(mart, { rows, startedAt: String(run['run_text']) })
    }
  }
  return last
}

function martsOf(written: unknown): LoggedMarts | null {
  return typeof written === 'string' ? (JSON.parse(written) as LoggedMarts) : null // as refreshStatements wrote it
}
