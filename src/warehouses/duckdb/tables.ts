// Columns of the tables that Millrace itself writes, in DuckDB's types. All timestamps are UTC.

import { REJECT_COLUMNS } from '../../ingest/rejects.ts'

type Columns = readonly (readonly [name: string, type: string])[]

/** One row per completed load; the current one of a batch has no replaced_by. */
export const LEDGER_COLUMNS: Columns = [
  ['load_id', 'VARCHAR NOT NULL'],
  ['batch_id', 'VARCHAR NOT NULL'],
  ['pipeline', 'VARCHAR NOT NULL'],
  ['entry', 'VARCHAR NOT NULL'],
  ['raw_table', 'VARCHAR NOT NULL'],
  ['mode', 'VARCHAR NOT NULL'],
  ['logical_date', 'DATE NOT NULL'],
  ['params', 'JSON NOT NULL'],
  ['files', 'JSON NOT NULL'],
  ['contract', 'JSON NOT NULL'],
  ['records_read', 'BIGINT NOT NULL'],
  ['records_loaded', 'BIGINT NOT NULL'],
  ['records_superseded', 'BIGINT NOT NULL'],
  ['records_rejected', 'BIGINT NOT NULL'],
  ['loaded_at', 'TIMESTAMP NOT NULL'],
  ['run_id', 'VARCHAR NOT NULL'],
  ['replaced_by', 'VARCHAR'],
]

export const REJECTS_COLUMNS: Columns = [
  ['_load_id', 'VARCHAR NOT NULL'],
  ['_batch_id', 'VARCHAR NOT NULL'],
  ['_pipeline', 'VARCHAR NOT NULL'],
  ['_entry', 'VARCHAR NOT NULL'],
  ['_source_file', 'VARCHAR NOT NULL'],
  ...REJECT_COLUMNS.map(([name, type]) => [name, name === 'column_name' ? type : `${type} NOT NULL`] as const),
  ['_logical_date', 'DATE NOT NULL'],
  ['_rejected_at', 'TIMESTAMP NOT NULL'],
]

/** The first seven as the pipelines that this replaces wrote them. */
export const REFRESH_LOG_COLUMNS: Columns = [
  ['refresh_id', 'VARCHAR NOT NULL'],
  ['run_date', 'TIMESTAMP NOT NULL'],
  ['success', 'BOOLEAN NOT NULL'],
  ['models_updated', 'INTEGER NOT NULL'],
  ['rows_inserted', 'BIGINT NOT NULL'],
  ['execution_time_seconds', 'DOUBLE NOT NULL'],
  ['notes', 'VARCHAR NOT NULL'],
  ['pipeline', 'VARCHAR NOT NULL'],
  ['target', 'VARCHAR NOT NULL'],
  ['logical_date', 'DATE NOT NULL'],
  ['outcome', 'VARCHAR NOT NULL'],
  ['failure_type', 'VARCHAR'],
  ['workflow_id', 'VARCHAR NOT NULL'],
  ['run_id', 'VARCHAR NOT NULL'],
  ['started_at', 'TIMESTAMP NOT NULL'],
  ['finished_at', 'TIMESTAMP NOT NULL'],
]
