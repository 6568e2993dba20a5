// Columns of the tables that Millrace itself writes, made and brought up to date where they are missing. All timestamps are UTC.
import type { TableName } from '../../pipeline/identifier.ts'
import { REJECT_COLUMNS } from '../../ingest/rejects.ts'
import { tableSql, typed, type Dialect, type OwnType, type Session, type SqlValue, type Statement } from './dialect.ts'

export interface OwnColumn {
  readonly name: string
  readonly type: OwnType
  readonly optional: boolean
}

function columns(
  ...list: readonly (readonly [name: string, type: OwnType] | readonly [string, OwnType, 'optional'])[]
) {
  return list.map(([name, type, optional]): OwnColumn => ({ name, type, optional: optional !== undefined }))
}

/** One row per completed load; the current one of a batch has no replaced_by. */
export const LEDGER_COLUMNS = columns(
  ['load_id', 'text'],
  ['batch_id', 'text'],
  ['pipeline', 'text'],
  ['entry', 'text'],
  ['raw_table', 'text'],
  ['mode', 'text'],
  ['logical_date', 'date'],
  // JSON
  ['params', 'text'],
  ['files', 'text'],
  ['contract', 'text'],
  ['records_read', 'bigint'],
  ['records_loaded', 'bigint'],
  ['records_superseded', 'bigint'],
  ['records_rejected', 'bigint'],
  ['loaded_at', 'timestamp'],
  ['run_id', 'text'],
  ['replaced_by', 'text', 'optional'],
)

export const REJECTS_COLUMNS: readonly OwnColumn[] = [
  ...columns(['_load_id', 'text'], ['_batch_id', 'text'], ['_pipeline', 'text'], ['_entry', 'text']),
  ...columns(['_source_file', 'text']),
  ...REJECT_COLUMNS.map(([name, type]): OwnColumn => ({
    name,
    type: type === 'BIGINT' ? 'bigint' : 'text',
    optional: name === 'column_name',
  })),
  ...columns(['_logical_date', 'date'], ['_rejected_at', 'timestamp']),
]

/** The first seven as the pipelines that this replaces wrote them. */
export const REFRESH_LOG_COLUMNS = columns(
  ['refresh_id', 'text'],
  ['run_date', 'timestamp'],
  ['success', 'boolean'],
  ['models_updated', 'integer'],
  ['rows_inserted', 'bigint'],
  ['execution_time_seconds', 'double'],
  ['notes', 'text'],
  ['pipeline', 'text'],
  ['target', 'text'],
  ['logical_date', 'date'],
  ['outcome', 'text'],
  ['failure_type', 'text', 'optional'],
  ['workflow_id', 'text'],
  ['run_id', 'text'],
  ['started_at', 'timestamp'],
  ['finished_at', 'timestamp'],
  ['bytes_billed', 'bigint', 'optional'],
  ['bytes_estimated', 'bigint', 'optional'],
  // JSON: { mart: { rows, verdict } }
  ['marts', 'text', 'optional'],
)

/** What stands in a live schema, mart by mart, and where it came from. */
export const PUBLISHED_COLUMNS = columns(
  ['mart', 'text'],
  ['candidate', 'text'],
  ['pipeline', 'text'],
  ['target', 'text'],
  ['logical_date', 'date'],
  ['mart_rows', 'bigint'],
  ['run_id', 'text'],
  ['published_at', 'timestamp'],
)

/** What makes the table as it should be: creates it, or adds the columns that an older version of it lacks. */
export async function tableChanges(
  session: Session,
  table: TableName,
  columns: readonly OwnColumn[],
): Promise<readonly Statement[]> {
  const found = await session.look(table)
  const { dialect } = session
  if (found === undefined) {
    const list = columns.map(
      ({ name, type, optional }) => `${dialect.name(name)} ${dialect.types[type]}${optional ? '' : ' NOT NULL'}`,
    )
    return [{ sql: `CREATE TABLE IF NOT EXISTS ${tableSql(session, table)} (${list.join(', ')})`, values: [] }]
  }
  const known = new Set(found.columns.map(({ name }) => name))
  return columns
    .filter(({ name }) => !known.has(name))
    .map(({ name, type }) => ({
      sql: `ALTER TABLE ${tableSql(session, table)} ADD COLUMN ${dialect.name(name)} ${dialect.types[type]}`,
      values: [],
    }))
}

/** Inserts a row; values by the name of their column. */
export function insertRow(
  session: { readonly dialect: Dialect },
  table: TableName,
  columns: readonly OwnColumn[],
  row: Readonly<Record<string, SqlValue>>,
): Statement {
  const names = columns.map(({ name }) => session.dialect.name(name))
  const given = columns.map(({ name, type }) => ({ type, value: row[name] ?? null }))
  const list = given.map(({ type, value }) => (value === null ? 'NULL' : typed(session.dialect, type)))
  return {
    sql: `INSERT INTO ${tableSql(session, table)} (${names.join(', ')}) VALUES (${list.join(', ')})`,
    values: given.flatMap(({ value }) => (value === null ? [] : [value])),
  }
}
