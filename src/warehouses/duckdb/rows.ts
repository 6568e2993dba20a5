// Rows of a load into DuckDB: one statement of the engine reads the records and writes the table.
import { quoteName, type Engine } from '../../platform/duckdb.ts'
import type { RowWriter } from '../sql/commit.ts'
import { newestSql, tableSql, type Session } from '../sql/dialect.ts'
import { REJECTS_COLUMNS } from '../sql/tables.ts'
import { rejectsTable, type LoadCommit } from '../warehouse.ts'

/** A table that an older version made has them in another order. */
const REJECT_NAMES = REJECTS_COLUMNS.map(({ name }) => quoteName(name)).join(', ')

export function duckdbRows(session: Session, engine: Engine): RowWriter {
  return {
    rows: (load) => load.stream.rows((query) => engine.run(insertion(session, load, query))),
    rejects: (load) => (query) =>
      engine.run(`INSERT INTO ${tableSql(session, rejectsTable(load.table))} (${REJECT_NAMES}) ${query}`),
  }
}

function insertion(session: Session, load: LoadCommit, query: string): string {
  const names = load.stream.columns.map((column) => quoteName(column))
  const list = names.join(', ')
  const table = tableSql(session, load.table)
  if (load.mode !== 'upsert') return `INSERT INTO ${table} (${list}) ${query}`
  const sameKey = load.key.map((column) => `stored.${quoteName(column)} = incoming.${quoteName(column)}`)
  const { newestBy } = load.stream
  const [stored, incoming] =
    newestBy === undefined ? [] : ['stored', 'incoming'].map((row) => newestSql(session, newestBy, row))
  const isNewer = stored === undefined ? '' : `AND (${stored} IS NULL OR ${incoming} >= ${stored})`
  return `MERGE INTO ${table} AS stored USING (${query}) AS incoming ON ${sameKey.join(' AND ')}
    WHEN MATCHED ${isNewer} THEN UPDATE SET ${names.map((name) => `${name} = incoming.${name}`).join(', ')}
    WHEN NOT MATCHED THEN INSERT (${list}) VALUES (${names.map((name) => `incoming.${name}`).join(', ')})`
}
