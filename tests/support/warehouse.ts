// Looks into a workspace's DuckDB file from outside, with the driver itself, once nothing else has it open.
import { DuckDBInstance } from '@duckdb/node-api'
import path from 'node:path'
import type { Workspace } from '../../src/platform/workspace.ts'

/** Of the workspace's warehouse, or of another file: rows with numbers for counts (BIGINT as JavaScript numbers) and texts for everything else. */
export async function query(from: Workspace | string, sql: string): Promise<Record<string, unknown>[]> {
  const file = typeof from === 'string' ? from : path.join(from.stateDir, 'warehouse.duckdb')
  const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  try {
    const rows = (await connection.runAndReadAll(sql)).getRowObjectsJS()
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([key, value]) => [key, typeof value === 'bigint' ? Number(value) : value]),
      ),
    )
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** Changes the file by hand, as its owner may. */
export async function change(workspace: Workspace, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(path.join(workspace.stateDir, 'warehouse.duckdb'))
  const connection = await instance.connect()
  try {
    await connection.run(sql)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** One number: `select count(*) from …`. */
export async function queryCount(from: Workspace | string, sql: string): Promise<number> {
  const [row] = await query(from, sql)
  return Number(Object.values(row ?? {})[0])
}
