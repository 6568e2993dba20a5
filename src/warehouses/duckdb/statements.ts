// Small statements that the parts of the adapter share.
import { quoteName, type Engine } from '../../platform/duckdb.ts'
import type { TableName } from '../../pipeline/identifier.ts'

/** The warehouse file as it is attached to the engine. */
export interface Database {
  readonly engine: Engine
  readonly name: string
}

/** The table's full name, quoted. */
export function tableName({ name }: Database, { schema, table }: TableName): string {
  return quoteName(name, schema, table)
}

export async function inTransaction<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  await engine.run('BEGIN')
  try {
    const result = await work()
    await engine.run('COMMIT')
    return result
  } catch (error) {
    // A failed COMMIT has rolled back by itself, and then there is nothing left to roll back.
    await engine.run('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** Creates the table, and its schema, where they are missing. */
export async function createTable(
  database: Database,
  table: TableName,
  columns: readonly (readonly [name: string, type: string])[],
): Promise<void> {
  await database.engine.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(database.name, table.schema)}`)
  const list = columns.map(([column, type]) => `${quoteName(column)} ${type}`).join(', ')
  await database.engine.run(`CREATE TABLE IF NOT EXISTS ${tableName(database, table)} (${list})`)
}

export async function tableExists({ engine, name }: Database, { schema, table }: TableName): Promise<boolean> {
  const rows = await engine.rows(
    'SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?',
    [name, schema, table],
  )
  return rows.length > 0
}
