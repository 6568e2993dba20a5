// Publishing in DuckDB: all marts in one transaction, and a copy of them for readers, because a writer keeps those out.
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { TableName } from '../../pipeline/identifier.ts'
import { quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import { countOf, relationSql, tableSql, type Session } from '../sql/dialect.ts'
import { replaceRows, type LiveTable } from '../sql/publish.ts'
import { inTransaction } from './session.ts'

/** DuckDB has no grants that a new table would lose, and cannot alter one in the transaction that empties it. */
export async function fillLiveTable(session: Session, database: string, table: LiveTable): Promise<number> {
  const { exists, added, retyped, dropped, live, mart } = table
  if (exists && added.length + retyped.length + dropped.length === 0) {
    const [empty, insert] = replaceRows(session, table)
    await session.run(empty.sql)
    return await session.run(insert.sql)
  }
  const candidate = relationSql(session, mart.relation)
  const comments = await commentsOf(session, database, live)
  await session.run(`CREATE OR REPLACE TABLE ${tableSql(session, live)} AS SELECT * FROM ${candidate}`)
  for (const { column, comment } of comments) {
    if (column !== null && dropped.includes(column)) continue
    const what =
      column === null ? `TABLE ${tableSql(session, live)}` : `COLUMN ${tableSql(session, live)}.${quoteName(column)}`
    await session.run(`COMMENT ON ${what} IS ${quoteText(comment)}`)
  }
  const [row] = await session.rows(`SELECT count(*) AS n FROM ${tableSql(session, live)}`)
  return countOf(row?.['n'])
}

/** Of the table, and of its columns. */
async function commentsOf(
  session: Session,
  database: string,
  { schema, table }: TableName,
): Promise<readonly { readonly column: string | null; readonly comment: string }[]> {
  const where = 'WHERE database_name = ? AND schema_name = ? AND table_name = ? AND comment IS NOT NULL'
  const rows = await session.rows(
    `SELECT NULL AS column_name, comment FROM duckdb_tables() ${where}
     UNION ALL SELECT column_name, comment FROM duckdb_columns() ${where}`,
    [database, schema, table, database, schema, table],
  )
  return rows.map(({ column_name: column, comment }) => ({
    column: typeof column === 'string' ? column : null,
    comment: String(comment),
  }))
}

/** Writes the live schema into a file of its own, which takes the place of the one before at once. */
export async function writeCopy(engine: Engine, database: string, schema: string, file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const beside = `${file}.new`
  await rm(beside, { force: true })
  await engine.run(`ATTACH ${quoteText(beside)} AS published_copy`)
  try {
    await inTransaction(engine, async () => {
      await engine.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName('published_copy', schema)}`)
      const tables = await engine.rows(
        'SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? ORDER BY ALL',
        [database, schema],
      )
      for (const { table_name: name } of tables) {
        await engine.run(
          `CREATE TABLE ${quoteName('published_copy', schema, String(name))} AS FROM ${quoteName(database, schema, String(name))}`,
        )
      }
    })
  } finally {
    await engine.run('DETACH published_copy')
  }
  await rename(beside, file)
}
