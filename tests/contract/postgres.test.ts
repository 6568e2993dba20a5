// The contract on Postgres: a real server for this file, a database of its own for each test.
import { Client } from 'pg'
import { openPostgres } from '../../src/warehouses/postgres/warehouse.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { postgresRows } from '../support/rows/postgres.ts'
import type { WarehouseSite } from './harness.ts'
import { warehouseContract } from './warehouse.contract.ts'

const postgres = usePostgres()

warehouseContract({ name: 'Postgres', makeSite, exceptions: {} })

async function makeSite(): Promise<WarehouseSite> {
  const database = await postgres().freshDatabase()
  const settings = { type: 'postgres', ...database, schema: 'dev', threads: 1 }
  const target = {
    profile: 'p',
    target: 'dev',
    type: 'postgres',
    profilesDir: '/',
    settings,
    secrets: [database.password],
  }
  const client = new Client({ ...database, database: database.dbname, options: '-c timezone=UTC' })
  await client.connect()
  const query = (sql: string) => postgresRows(client, sql)
  const readers = `readers_of_${database.dbname}`
  return {
    database: database.dbname,
    copyTo: null,
    open: (place, access) => openPostgres(target, place, access),
    query,
    read: query,
    async execute(...statements) {
      for (const sql of statements) await client.query(sql)
    },
    async tables(schema) {
      const found = await query(
        `SELECT table_name FROM information_schema.tables WHERE table_schema = '${schema}' AND table_type = 'BASE TABLE' ORDER BY 1`,
      )
      return found.map((row) => String(row['table_name']))
    },
    async furnish(schema, table) {
      await client.query(`CREATE ROLE ${readers}`)
      await client.query(`GRANT SELECT ON ${schema}.${table} TO ${readers}`)
      await client.query(`COMMENT ON TABLE ${schema}.${table} IS 'for the dashboard'`)
      await client.query(`COMMENT ON COLUMN ${schema}.${table}.id IS 'whose'`)
      await client.query(`CREATE INDEX ON ${schema}.${table} (id)`)
      await client.query(`ALTER TABLE ${schema}.${table} ALTER COLUMN id SET STATISTICS 500`)
    },
    furniture: (schema, table) =>
      query(
        `SELECT CAST(relacl AS text) AS grants, obj_description(oid, 'pg_class') AS about, col_description(oid, 1) AS about_id,
           (SELECT string_agg(pg_get_indexdef(indexrelid), ';') FROM pg_index WHERE indrelid = pg_class.oid) AS indexes,
           (SELECT attstattarget FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'id') AS statistics
         FROM pg_class WHERE oid = CAST('${schema}.${table}' AS regclass)`,
      ),
    remove: () => client.end(),
  }
}
