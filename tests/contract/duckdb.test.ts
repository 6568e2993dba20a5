// The contract on DuckDB: a file of its own for each test.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { identifier } from '../../src/pipeline/identifier.ts'
import { openDuckdb } from '../../src/warehouses/duckdb/warehouse.ts'
import { duckdbRows, withDuckdbFile } from '../support/rows/duckdb.ts'
import type { WarehouseSite } from './harness.ts'
import { warehouseContract } from './warehouse.contract.ts'

warehouseContract({ name: 'DuckDB', makeSite, exceptions: {} })

async function makeSite(folder: string): Promise<WarehouseSite> {
  const file = path.join(folder, 'w.duckdb')
  // Readers are kept out of the file while somebody writes.
  const copyTo = path.join(folder, 'for readers', 'published.duckdb')
  const schema = identifier('dev')
  const address = { kind: 'duckdb', label: file, schema, identity: file, concurrency: 1, file, database: 'w' } as const
  const query = (sql: string) => withDuckdbFile(file, 'READ_ONLY', (connection) => duckdbRows(connection, sql))
  return {
    database: 'w',
    copyTo,
    open: ({ engine }, access) => openDuckdb(address, engine, access),
    query,
    read: (sql) => withDuckdbFile(copyTo, 'READ_ONLY', (connection) => duckdbRows(connection, sql)),
    execute: (...statements) =>
      withDuckdbFile(file, 'READ_WRITE', async (connection) => {
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
      withDuckdbFile(file, 'READ_WRITE', async (connection) => {
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
