// The daily pipeline on each warehouse, `--target prod` and nothing else: the same marts, with the same numbers.
import path from 'node:path'
import { Client } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import type { Workspace } from '../../src/platform/workspace.ts'
import { useBigQuery } from '../support/bigquery-emulator.ts'
import { millrace } from '../support/cli.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { bigqueryOutput, duckdbOutput, postgresOutput, writeProfiles, type ProfileOutput } from '../support/profiles.ts'
import { bigqueryRows } from '../support/rows/bigquery.ts'
import { duckdbRows, withDuckdbFile } from '../support/rows/duckdb.ts'
import type { PlainRow } from '../support/rows/plain.ts'
import { postgresRows } from '../support/rows/postgres.ts'
import { truthOf } from '../support/truth.ts'
import { startWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

const DAY = '2026-11-18'
/** Where dbt builds; the pipeline publishes prod in `analytics`. */
const CANDIDATES = 'candidates'
const TABLES = ['analytics.mart_users', 'analytics.mart_content_performance', 'raw.viewing_logs'] as const

const postgres = usePostgres()
const bigquery = useBigQuery()

type Read = (sql: string) => Promise<PlainRow[]>

/** Runs the day there, and returns what readers find afterwards: a text per row, sorted by the test and not by the warehouse. */
async function runOn(
  output: (workspace: Workspace) => ProfileOutput,
  read: (workspace: Workspace) => Read,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const workspace = await makeWorkspace()
  await writeProfiles(path.join(workspace.root, 'dbt'), { prod: output(workspace) })
  const worker = await startWorker(workspace)
  const { code, stdout } = await millrace(workspace, ['run', 'daily', '--date', DAY, '--target', 'prod'])
  await worker.stop()
  expect({ code, stdout }).toMatchObject({ code: 0 })
  expect(stdout).toContain('43 pass')
  const tables: Record<string, readonly string[]> = {}
  for (const table of TABLES) tables[table] = await rowsOf(read(workspace), table)
  return tables
}

/** When a row was loaded, and by which load, is of the run; all else is of the data. */
async function rowsOf(read: Read, table: string): Promise<string[]> {
  const rows = await read(`select * from ${table}`)
  const own = rows.map((row) => Object.entries(row).filter(([name]) => !['_loaded_at', '_load_id'].includes(name)))
  return own.map((row) => JSON.stringify(row.toSorted(([a], [b]) => (a < b ? -1 : 1)))).sort()
}

test('DuckDB, Postgres and BigQuery end with the same rows in the marts and in the raw table', async () => {
  const file = (workspace: Workspace) => path.join(workspace.stateDir, 'prod.duckdb')
  const onDuckdb = await runOn(
    (workspace) => duckdbOutput(file(workspace), CANDIDATES),
    (workspace) => (sql) => withDuckdbFile(file(workspace), 'READ_ONLY', (connection) => duckdbRows(connection, sql)),
  )
  const database = await postgres().freshDatabase()
  const client = new Client({ ...database, database: database.dbname, options: '-c timezone=UTC' })
  await client.connect()
  onTestFinished(() => client.end())
  const onPostgres = await runOn(
    () => postgresOutput(database, CANDIDATES),
    () => (sql) => postgresRows(client, sql),
  )
  const project = bigquery().freshProject()
  const onBigquery = await runOn(
    () => bigqueryOutput(project, CANDIDATES),
    () => (sql) => bigqueryRows(project, sql),
  )

  expect(onDuckdb['raw.viewing_logs']).toHaveLength(truthOf('viewing_logs', DAY).good)
  expect(onDuckdb['analytics.mart_users']?.length).toBeGreaterThan(1000)
  for (const table of TABLES) {
    expect(onPostgres[table]).toEqual(onDuckdb[table])
    expect(onBigquery[table]).toEqual(onDuckdb[table])
  }
}, 600_000)
