// The shared statements' session on a connection to Postgres.
import type { PostgresSession } from '../../platform/postgres.ts'
import type { FoundRelation, Session } from '../sql/dialect.ts'
import { POSTGRES_DIALECT } from './dialect.ts'

export function postgresSession(connection: PostgresSession, database: string): Session {
  return {
    dialect: POSTGRES_DIALECT,
    run: (sql, values) => connection.run(numbered(sql), values),
    rows: (sql, values) => connection.rows(numbered(sql), values),
    stream: (sql, values) => connection.stream(numbered(sql), values),
    async look(relation) {
      const [table, catalog] = 'table' in relation ? [relation.table, database] : [relation.name, relation.database]
      // There is nothing of another database that a session could see.
      if (catalog !== database) return undefined
      const rows = await connection.rows(LOOK, [relation.schema, table])
      if (rows.length === 0) return undefined
      return {
        kind: 'vm'.includes(String(rows[0]?.['relkind'])) ? 'view' : 'table',
        columns: rows.flatMap(({ attname, type }): FoundRelation['columns'] =>
          typeof attname === 'string' ? [{ name: attname, type: String(type) }] : [],
        ),
      }
    },
    async ensureSchema(schema) {
      // Asked for first: who may not create schemas may well use one.
      const [found] = await connection.rows('SELECT 1 FROM pg_namespace WHERE nspname = $1::name', [schema])
      if (found === undefined) await connection.run(`CREATE SCHEMA IF NOT EXISTS ${POSTGRES_DIALECT.name(schema)}`)
    },
  }
}

/** Names are cast to Postgres's own type for them, which cuts a long one as it does when the table is made. */
const LOOK = `SELECT c.relkind::text AS relkind, a.attname::text AS attname, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE n.nspname = $1::name AND c.relname = $2::name AND c.relkind IN ('r', 'p', 'f', 'v', 'm') ORDER BY a.attnum`

/** `?` → `$1`, `$2`, …: no literal of the shared statements holds one. */
function numbered(sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${++count}`)
}

/** The transaction's beginning: `BEGIN`, and how the transaction sees others. */
export async function inTransaction<T>(
  connection: PostgresSession,
  begin: 'BEGIN' | typeof ONE_VIEW,
  work: () => Promise<T>,
): Promise<T> {
  await connection.run(begin)
  try {
    const result = await work()
    await connection.run('COMMIT')
    return result
  } catch (error) {
    // Of a connection that is gone the server undoes it by itself.
    await connection.run('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** Several statements that see the same state. */
export const ONE_VIEW = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
