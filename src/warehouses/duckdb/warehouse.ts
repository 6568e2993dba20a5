// The DuckDB adapter: a file attached to the in-memory engine that holds the typed rows, so loading is one INSERT … SELECT.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { ContractColumn, MartCheck } from '../../pipeline/plan.ts'
import type { Reject } from '../../ingest/rejects.ts'
import { failure } from '../../pipeline/failure.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import { didYouMean } from '../../pipeline/near-match.ts'
import { IS_GOOD, RECORD_COLUMN, TYPED_TABLE } from '../../ingest/typing.ts'
import { textReader } from '../../ingest/types.ts'
import { asCount, quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import { faultPoint } from '../../platform/fault.ts'
import {
  LEDGER_TABLE,
  rejectsTable,
  type CurrentLoad,
  type LoadCommit,
  type RefreshRow,
  type Warehouse,
} from '../warehouse.ts'
import type { DuckdbAddress } from './address.ts'
import { asDuckdbFailure } from './failure.ts'
import { LEDGER_COLUMNS, LOADER_COLUMNS, REFRESH_LOG_COLUMNS, REJECTS_COLUMNS } from './tables.ts'

/**
 * Files that are attached in this process. The driver would open one twice and then lose rows (and release the lock of
 * the first), so a second one waits: an attempt that timed out may still be at work beside its retry.
 */
const inUse = new Map<string, Promise<void>>()

export async function openDuckdb(address: DuckdbAddress, engine: Engine): Promise<Warehouse> {
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
      await mkdir(path.dirname(address.file), { recursive: true })
      await engine.run(`ATTACH ${quoteText(address.file)} AS ${quoteName(address.database)}`)
    })
  } catch (error) {
    release()
    throw error
  }
  const name = (table: TableName) => quoteName(address.database, table.schema, table.table)
  return {
    currentLoad: (table, batchId) => guarded(() => currentLoad(engine, name, address, table, batchId)),
    commitLoad: (load) => guarded(() => inTransaction(engine, () => commitLoad(engine, name, address, load))),
    keepRejects: (load) => guarded(() => inTransaction(engine, () => insertRejects(engine, name, address, load))),
    measureMart: (check) => guarded(() => measureMart(engine, check)),
    recordRefresh: (table, row) =>
      guarded(() => inTransaction(engine, () => recordRefresh(engine, name, address, table, row))),
    async close() {
      try {
        await guarded(() => engine.run(`DETACH ${quoteName(address.database)}`))
      } finally {
        release()
      }
    },
  }
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

async function inTransaction<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
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

type TableSql = (table: TableName) => string

async function currentLoad(
  engine: Engine,
  name: TableSql,
  address: DuckdbAddress,
  table: TableName,
  batchId: string,
): Promise<CurrentLoad | undefined> {
  if (!(await tableExists(engine, address, ledgerOf(table))) || !(await tableExists(engine, address, table))) {
    return undefined
  }
  const [row] = await engine.rows(
    `SELECT load_id, run_id, records_read, records_loaded, records_superseded, records_rejected,
       strftime(loaded_at, '%Y-%m-%dT%H:%M:%SZ') AS loaded_at,
       (SELECT count(*) FROM ${name(table)} AS raw WHERE raw._load_id = ledger.load_id) AS present
     FROM ${name(ledgerOf(table))} AS ledger WHERE batch_id = ? AND replaced_by IS NULL`,
    [batchId],
  )
  if (row === undefined || asCount(row['present']) !== asCount(row['records_loaded'])) return undefined
  const loadId = String(row['load_id'])
  const reasons = await engine.rows(
    `SELECT code, column_name, count(*) AS n FROM ${name(rejectsTable(table))} WHERE _load_id = ?
     GROUP BY ALL ORDER BY n DESC, code LIMIT 10`,
    [loadId],
  )
  return {
    loadId,
    runId: String(row['run_id']),
    read: asCount(row['records_read']),
    loaded: asCount(row['records_loaded']),
    superseded: asCount(row['records_superseded']),
    rejected: asCount(row['records_rejected']),
    rejectReasons: reasons.map(({ code, column_name: column, n }) => ({
      code: String(code),
      column: typeof column === 'string' ? column : null,
      count: asCount(n),
    })),
    loadedAt: String(row['loaded_at']),
  }
}

async function commitLoad(engine: Engine, name: TableSql, address: DuckdbAddress, load: LoadCommit): Promise<void> {
  const ledger = name(ledgerOf(load.table))
  await createTable(engine, address, ledgerOf(load.table), LEDGER_COLUMNS)
  await ensureRawTable(engine, address, load)
  await engine.run(
    `DELETE FROM ${name(load.table)} WHERE _load_id IN (SELECT load_id FROM ${ledger} WHERE batch_id = ? AND replaced_by IS NULL)`,
    [load.batchId],
  )
  faultPoint('ingest:in-transaction')
  const columns = load.contract.map((column) => quoteName(column.name)).join(', ')
  const inserted = await engine.run(
    `INSERT INTO ${name(load.table)} (${columns}, ${LOADER_COLUMNS.map(([column]) => column).join(', ')})
     SELECT ${columns}, ?, ?, ${RECORD_COLUMN}, ?::TIMESTAMP, ?::DATE FROM memory.main.${TYPED_TABLE} WHERE ${IS_GOOD}
     ORDER BY ${RECORD_COLUMN}`,
    [load.loadId, load.sourceFile, load.loadedAt, load.logicalDate],
  )
  if (inserted !== load.loaded) {
    throw failure(
      'CountsDisagree',
      `${load.sourceFile}: ${load.loaded} rows were to be loaded into ${tableText(load.table)}, but ${inserted} came; ` +
        `nothing was kept. Please report this file as a bug of Millrace`,
    )
  }
  await insertRejects(engine, name, address, load)
  await engine.run(`UPDATE ${ledger} SET replaced_by = ? WHERE batch_id = ? AND replaced_by IS NULL`, [
    load.loadId,
    load.batchId,
  ])
  await engine.run(`INSERT INTO ${ledger} VALUES (${LEDGER_COLUMNS.map(() => '?').join(', ')})`, [
    load.loadId,
    load.batchId,
    load.pipeline,
    load.entry,
    tableText(load.table),
    load.logicalDate,
    JSON.stringify(load.params),
    load.sourceFile,
    BigInt(load.read),
    BigInt(load.loaded),
    BigInt(load.superseded),
    BigInt(load.rejects.length),
    load.loadedAt,
    load.runId,
    null,
  ])
}

/** Creates the raw table, or holds an existing one to the contract. */
async function ensureRawTable(engine: Engine, address: DuckdbAddress, { table, contract }: LoadCommit): Promise<void> {
  const wanted = [...contractColumns(contract), ...LOADER_COLUMNS]
  const views = await engine.rows(
    'SELECT 1 FROM duckdb_views() WHERE database_name = ? AND schema_name = ? AND view_name = ?',
    [address.database, table.schema, table.table],
  )
  if (views.length > 0) {
    throw failure('ContractChanged', `${tableText(table)} is a view, nothing can be loaded into it; drop or rename it`)
  }
  if (!(await tableExists(engine, address, table))) {
    await createTable(engine, address, table, wanted)
    return
  }
  const existing = await engine.rows(
    'SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? AND table_name = ?',
    [address.database, table.schema, table.table],
  )
  const present = new Map(existing.map((row) => [String(row['column_name']), sameType(String(row['data_type']))]))
  const different = [
    ...wanted.filter(([column, type]) => present.get(column) !== sameType(type)).map(([column]) => column),
    ...[...present.keys()].filter((column) => !wanted.some(([name]) => name === column)),
  ]
  if (different.length === 0) return
  throw failure(
    'ContractChanged',
    `${tableText(table)} has other columns than its contract (${different.slice(0, 5).join(', ')}); ` +
      `change the table by hand (ALTER TABLE), or move it aside so that it is made anew: ` +
      `ALTER TABLE ${tableText(table)} RENAME TO ${table.table}_old (then run the days that were in it again)`,
  )
}

function contractColumns(contract: readonly ContractColumn[]): [string, string][] {
  return contract.map(({ name, type }) => [name, textReader(type).duckdbType])
}

/** DuckDB reports its own spelling. */
function sameType(type: string): string {
  return type === 'TIMESTAMPTZ' ? 'TIMESTAMP WITH TIME ZONE' : type === 'REAL' ? 'FLOAT' : type
}

async function insertRejects(
  engine: Engine,
  name: TableSql,
  address: DuckdbAddress,
  load: Omit<LoadCommit, 'engine'>,
): Promise<void> {
  const table = rejectsTable(load.table)
  await createTable(engine, address, table, REJECTS_COLUMNS)
  await engine.run(`DELETE FROM ${name(table)} WHERE _load_id = ?`, [load.loadId])
  for (let at = 0; at < load.rejects.length; at += REJECTS_AT_ONCE) {
    const rows = JSON.stringify(load.rejects.slice(at, at + REJECTS_AT_ONCE))
    await engine.run(
      `INSERT INTO ${name(table)}
       SELECT ?, ?, r.recordNumber, r.line, r.byteOffset, r.code, r."column", r.message, r.rawText, ?::DATE, ?::TIMESTAMP
       FROM (SELECT unnest(from_json(?, '${REJECT_JSON}')) AS r)`,
      [load.loadId, load.sourceFile, load.logicalDate, load.loadedAt, rows],
    )
  }
}

/** One statement per reject would take a millisecond each. */
const REJECTS_AT_ONCE = 1_000

const REJECT_JSON = JSON.stringify([
  {
    recordNumber: 'BIGINT',
    line: 'BIGINT',
    byteOffset: 'BIGINT',
    code: 'VARCHAR',
    column: 'VARCHAR',
    message: 'VARCHAR',
    rawText: 'VARCHAR',
  } satisfies Record<keyof Reject, string>,
])

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

async function recordRefresh(
  engine: Engine,
  name: TableSql,
  address: DuckdbAddress,
  table: TableName,
  row: RefreshRow,
): Promise<void> {
  await createTable(engine, address, table, REFRESH_LOG_COLUMNS)
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

async function createTable(
  engine: Engine,
  address: DuckdbAddress,
  table: TableName,
  columns: readonly (readonly [string, string])[],
): Promise<void> {
  await engine.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(address.database, table.schema)}`)
  const list = columns.map(([column, type]) => `${quoteName(column)} ${type}`).join(', ')
  await engine.run(`CREATE TABLE IF NOT EXISTS ${quoteName(address.database, table.schema, table.table)} (${list})`)
}

async function tableExists(engine: Engine, address: DuckdbAddress, table: TableName): Promise<boolean> {
  const rows = await engine.rows(
    'SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?',
    [address.database, table.schema, table.table],
  )
  return rows.length > 0
}

function ledgerOf(table: TableName): TableName {
  return { schema: table.schema, table: LEDGER_TABLE as TableName['table'] }
}
