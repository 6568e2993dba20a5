// What a DuckDB file holds, read by the driver itself.
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { plainValue, type PlainKind, type PlainRow } from './plain.ts'

/** Opens a file for the time of some work; its times are told in UTC. */
export async function withDuckdbFile<T>(
  file: string,
  mode: 'READ_ONLY' | 'READ_WRITE',
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(file, { access_mode: mode })
  try {
    const connection = await instance.connect()
    try {
      await connection.run("SET timezone = 'UTC'")
      return await work(connection)
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
  }
}

/** Rows of a query as plain values. */
export async function duckdbRows(connection: DuckDBConnection, sql: string): Promise<PlainRow[]> {
  const columns = (await connection.runAndReadAll(`DESCRIBE ${sql}`)).getRowObjectsJS()
  const kinds = new Map(
    columns.map(({ column_name, column_type }) => [column_name as string, kindOf(column_type as string)]), // DESCRIBE gives texts
  )
  const texts = await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM (${sql})`)
  return texts
    .getRowObjectsJS()
    .map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, text]) => [
          name,
          plainValue(kinds.get(name) ?? 'text', typeof text === 'string' ? text : null),
        ]),
      ),
    )
}

function kindOf(type: string): PlainKind {
  if (/^(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type)) return 'integer'
  if (/^(FLOAT|DOUBLE)$/.test(type)) return 'float'
  if (type.startsWith('DECIMAL')) return 'decimal'
  if (type === 'BOOLEAN') return 'boolean'
  return /^(DATE|TIME)/.test(type) ? 'time' : 'text'
}
