// DuckDB: the warehouse file, attached to the engine that holds the typed rows. Nothing stays open between activities.
import { mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { MartCheck } from '../../pipeline/plan.ts'
import { failure } from '../../pipeline/failure.ts'
import type { TableName } from '../../pipeline/identifier.ts'
import { didYouMean } from '../../pipeline/near-match.ts'
import { asCount, quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import type { RefreshRow, Warehouse, WarehouseAccess } from '../warehouse.ts'
import type { DuckdbAddress } from './address.ts'
import { asDuckdbFailure } from './failure.ts'
import { commitLoad, currentLoad, keepRejects, loadedFiles, readRejects, rememberedContract } from './loads.ts'
import { createTable, inTransaction, tableName, type Database } from './statements.ts'
import { REFRESH_LOG_COLUMNS } from './tables.ts'

/**
 * Files that are attached in this process. The driver would open one twice and then lose rows (and release the lock of
 * the first), so a second one waits: an attempt that timed out may still be at work beside its retry.
 */
const inUse = new Map<string, Promise<void>>()

export async function openDuckdb(
  address: DuckdbAddress,
  engine: Engine,
  access: WarehouseAccess = 'write',
): Promise<Warehouse> {
  const release = await takeTurn(address.file)
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw asDuckdbFailure(error, address.file)
    }
  }
  try {
    await guarded(async () => {
      if (access === 'write') await mkdir(path.dirname(address.file), { recursive: true })
      else await requireThere(address.file)
      const options = access === 'write' ? '' : ' (READ_ONLY)'
      await engine.run(`ATTACH ${quoteText(address.file)} AS ${quoteName(address.database)}${options}`)
    })
  } catch (error) {
    release()
    throw error
  }
  const database: Database = { engine, name: address.database }
  const whole = <T>(work: () => Promise<T>) => guarded(() => inTransaction(engine, work))
  return {
    currentLoad: (table, batchId) => guarded(() => currentLoad(database, table, batchId)),
    loadedFiles: (table, owner) => guarded(() => loadedFiles(database, table, owner)),
    rememberedContract: (table, owner) => guarded(() => rememberedContract(database, table, owner)),
    commitLoad: (load, accept) => whole(() => commitLoad(database, load, accept)),
    keepRejects: (load) => whole(() => keepRejects(database, load)),
    readRejects: (table, owner) => readRejects(database, table, owner),
    measureMart: (check) => guarded(() => measureMart(engine, check)),
    recordRefresh: (table, row) => whole(() => recordRefresh(database, table, row)),
    async close() {
      try {
        await guarded(() => engine.run(`DETACH ${quoteName(address.database)}`))
      } finally {
        release()
      }
    },
  }
}

async function requireThere(file: string): Promise<void> {
  if ((await stat(file).catch(() => undefined)) !== undefined) return
  throw failure('WarehouseFailed', `${file} is not there yet: nothing was loaded into this warehouse so far`)
}

async function takeTurn(file: string): Promise<() => void> {
  const before = inUse.get(file) ?? Promise.resolve()
  const { promise: over, resolve: release } = Promise.withResolvers<void>()
  inUse.set(
    file,
    before.then(() => over),
  )
  await before
  return release
}

async function measureMart(engine: Engine, check: MartCheck) {
  const { database, schema, name } = check.relation
  const relation = quoteName(database, schema, name)
  const columns = await engine.rows(
    'SELECT column_name FROM information_schema.columns WHERE table_catalog = ? AND table_schema = ? AND table_name = ?',
    [database, schema, name],
  )
  const known = columns.map((row) => String(row['column_name']))
  if (known.length === 0) {
    throw failure('MartUnknown', `${schema}.${name} does not exist in the warehouse; run the step that builds it first`)
  }
  const unknown = check.key.filter((column) => !known.includes(column))
  if (unknown.length > 0) {
    const names = unknown.map((column) => `'${column}'${didYouMean(column, known)}`).join(', ')
    throw failure('MartUnknown', `${schema}.${name} has no column ${names}; correct \`key\` in the pipeline file`)
  }
  const nulls = check.key.map(
    (column) => `count(*) FILTER (WHERE ${quoteName(column)} IS NULL) AS ${quoteName(column)}`,
  )
  const [row] = await engine.rows(`SELECT count(*) AS _rows, ${nulls.join(', ')} FROM ${relation}`)
  const rows = asCount(row?.['_rows'])
  const keys = check.key.map((column) => quoteName(column)).join(', ')
  const distinct = check.unique
    ? (await engine.rows(`SELECT count(*) AS n FROM (SELECT DISTINCT ${keys} FROM ${relation})`))[0]?.['n']
    : undefined
  return {
    rows,
    nulls: Object.fromEntries(check.key.map((column) => [column, asCount(row?.[column])])),
    duplicates: check.unique ? rows - asCount(distinct) : null,
  }
}

async function recordRefresh(database: Database, table: TableName, row: RefreshRow): Promise<void> {
  const { engine } = database
  const name = tableName.bind(undefined, database)
  await createTable(database, table, REFRESH_LOG_COLUMNS)
  await engine.run(`DELETE FROM ${name(table)} WHERE refresh_id = ?`, [row.refreshId])
  const { report } = row
  await engine.run(`INSERT INTO ${name(table)} VALUES (${REFRESH_LOG_COLUMNS.map(() => '?').join(', ')})`, [
    row.refreshId,
    row.runDate,
    row.success,
    row.modelsUpdated,
    BigInt(row.rowsInserted),
    row.executionTimeSeconds,
    row.notes,
    report.pipeline,
    report.target,
    report.logicalDate,
    report.outcome,
    report.failure?.type ?? null,
    report.workflowId,
    report.runId,
    report.startedAt,
    report.finishedAt,
  ])
}
