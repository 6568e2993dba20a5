// The shared statements' session on a warehouse file that is attached to the engine.
import { existsSync } from 'node:fs'
import { failure } from '../../pipeline/failure.ts'
import { quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import type { Session } from '../sql/dialect.ts'
import { duckdbDialect } from './dialect.ts'
import type { DuckdbSettings } from './settings.ts'

type Beside = Pick<DuckdbSettings, 'attached' | 'unsupportedAttached'>

export function duckdbSession(
  engine: Engine,
  database: string,
  beside: Beside = { attached: [], unsupportedAttached: [] },
): Session {
  const attachedNow = new Set([database])
  /** dbt's other databases are brought in when a mart lies in one: another program may be writing to it. */
  const bring = async (catalog: string) => {
    const file = beside.attached.find(({ alias }) => alias === catalog)?.file
    const foreign = beside.unsupportedAttached.find(({ alias }) => alias === catalog)
    if (foreign !== undefined) {
      throw failure(
        'MartUnknown',
        `database '${catalog}' is ${foreign.why}, which Millrace cannot look into; have dbt build the mart in the warehouse itself`,
      )
    }
    if (file === undefined || attachedNow.has(catalog) || !existsSync(file)) return
    await engine.run(`ATTACH ${quoteText(file)} AS ${quoteName(catalog)} (READ_ONLY)`)
    attachedNow.add(catalog)
  }
  return {
    dialect: duckdbDialect(database),
    run: (sql, values) => engine.run(sql, values),
    rows: (sql, values) => engine.rows(sql, values),
    stream: (sql, values) => engine.stream(sql, values),
    async look(relation) {
      const [name, catalog] = 'table' in relation ? [relation.table, database] : [relation.name, relation.database]
      await bring(catalog)
      const columns = async (query: string, values: readonly string[]) =>
        (await engine.rows(query, values)).map((row) => ({ name: String(row['name']), type: String(row['type']) }))
      const place = [catalog, relation.schema, name]
      if ((await engine.rows(FIND_TABLE, place)).length > 0) {
        return { kind: 'table', columns: await columns(`${TABLE_COLUMNS} (DESCRIBE ${quoteName(...place)})`, []) }
      }
      if ((await engine.rows(FIND_VIEW, place)).length === 0) return undefined
      return { kind: 'view', columns: await columns(VIEW_COLUMNS, place) }
    },
    async ensureSchema(schema) {
      await engine.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(database, schema)}`)
    },
  }
}

/** The list of all columns would do, but for it DuckDB sets up every view there is, its own as well: 50 ms the first time. */
const FIND_TABLE = 'SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?'
const TABLE_COLUMNS = 'SELECT column_name AS name, column_type AS type FROM'
const FIND_VIEW = 'SELECT 1 FROM duckdb_views() WHERE database_name = ? AND schema_name = ? AND view_name = ?'
/** As they were when it was made: what it reads may be gone. */
const VIEW_COLUMNS = `SELECT column_name AS name, data_type AS type FROM duckdb_columns()
  WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index`

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
