// The contract on DuckDB: a file of its own for each test.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { identifier } from '../../src/pipeline/identifier.ts'
import { openDuckdb } from '../../src/warehouses/duckdb/warehouse.ts'
import type { WarehouseSite } from './harness.ts'
import { plainValue, type PlainKind, type PlainRow } from './plain.ts'
import { warehouseContract } from './warehouse.contract.ts'

warehouseContract({ name: 'DuckDB', makeSite, exceptions: {} })

async function makeSite(folder: string): Promise<WarehouseSite> {
  const file = path.join(folder, 'w.duckdb')
  // Readers are kept out of the file while somebody writes.
  const copyTo = path.join(folder, 'for readers', 'published.duckdb')
  const schema = identifier('dev')
  const address = { kind: 'duckdb', label: file, schema, identity: file, concurrency: 1, file, database: 'w' } as const
  const query = (sql: string) => withFile(file, 'READ_ONLY', (connection) => rows(connection, sql))
  return {
    database: 'w',
    copyTo,
    open: ({ engine }, access) => openDuckdb(address, engine, access),
    query,
    read: (sql) => withFile(copyTo, 'READ_ONLY', (connection) => rows(connection, sql)),
    execute: (...statements) =>
      withFile(file, 'READ_WRITE', async (connection) => {
        for (const sql of statements) await connection.run(sql)
      }),
    async tables(schema) {
      if (!existsSync(file)) return []
      const found = await query(
        `SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = '${schema}' ORDER BY 1`,
      )
      return found.map(({ name }) => String(name))
    },
    furnish: (schema, table) =>
      withFile(file, 'READ_WRITE', async (connection) => {
        await connection.run(`COMMENT ON TABLE ${schema}.${table} IS 'for the dashboard; it''s daily'`)
        await connection.run(`COMMENT ON COLUMN ${schema}.${table}.id IS 'whose'`)
      }),
    furniture: (schema, table) =>
      query(
        `SELECT tables.comment AS about, columns.comment AS about_id FROM duckdb_tables() AS tables
         JOIN duckdb_columns() AS columns USING (schema_name, table_name)
         WHERE schema_name = '${schema}' AND table_name = '${table}' AND column_name = 'id'`,
      ),
    remove: () => Promise.resolve(),
  }
}

async function withFile<T>(
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

async function rows(connection: DuckDBConnection, sql: string): Promise<PlainRow[]> {
  const columns = (await connection.runAndReadAll(`DESCRIBE ${sql}`)).getRowObjectsJS()
  const kinds = new Map(columns.map((column) => [String(column['column_name']), kindOf(String(column['column_type']))]))
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
