// The port: what Millrace asks of a warehouse. Each adapter keeps these promises on the real thing.
import type { ContractColumn, MartCheck, PlannedWarehouse } from '../pipeline/plan.ts'
import type { Identifier, TableName } from '../pipeline/identifier.ts'
import type { RejectReason, RunReport } from '../pipeline/report.ts'
import type { Reject } from '../ingest/rejects.ts'
import type { Engine } from '../platform/duckdb.ts'

/**
 * An open connection. Every method fails with WarehouseBusy when someone else holds the warehouse, DiskFull when it
 * cannot grow, and WarehouseFailed otherwise; what a failing method began is rolled back.
 */
export interface Warehouse {
  /**
   * The batch's current load; undefined before its first one, and where its rows are not all in the raw table any more
   * (somebody deleted them, or moved the table aside): then it has to be loaded again.
   */
  currentLoad(table: TableName, batchId: string): Promise<CurrentLoad | undefined>
  /**
   * In one transaction: creates the raw table where it is missing, removes what the batch's current load put there,
   * inserts the engine's good typed rows, its rejects, and the ledger row. Fails
   * with ContractChanged when the table exists with other columns, CountsDisagree when other rows came than announced.
   */
  commitLoad(load: LoadCommit): Promise<void>
  /** Keeps the rejects of a load that was not committed. */
  keepRejects(load: Omit<LoadCommit, 'engine'>): Promise<void>
  /** Counts over a mart as it stands. Fails with MartUnknown when there is no such relation. */
  measureMart(check: MartCheck): Promise<MartMeasures>
  /** Writes the run's row, replacing an earlier one of the same refresh_id; creates the table where it is missing. */
  recordRefresh(table: TableName, row: RefreshRow): Promise<void>
  close(): Promise<void>
}

export interface CurrentLoad {
  readonly loadId: string
  /** The run that loaded it. */
  readonly runId: string
  readonly read: number
  readonly loaded: number
  readonly superseded: number
  readonly rejected: number
  /** The commonest reasons, at most ten. */
  readonly rejectReasons: readonly RejectReason[]
  readonly loadedAt: string
}

export interface LoadCommit {
  /** Holds the typed rows (ingest/typing.ts). */
  readonly engine: Engine
  readonly table: TableName
  readonly contract: readonly ContractColumn[]
  readonly loadId: string
  readonly batchId: string
  readonly pipeline: string
  readonly runId: string
  readonly entry: string
  readonly logicalDate: string
  readonly params: Readonly<Record<string, string>>
  readonly sourceFile: string
  readonly read: number
  readonly loaded: number
  readonly superseded: number
  readonly rejects: readonly Reject[]
  /** ISO 8601, UTC. */
  readonly loadedAt: string
}

export interface MartMeasures {
  readonly rows: number
  /** Rows with NULL in each key column. */
  readonly nulls: Readonly<Record<string, number>>
  /** Rows beyond the first of each key; only measured where the check asks for uniqueness. */
  readonly duplicates: number | null
}

export interface RefreshRow {
  readonly refreshId: string
  readonly runDate: string
  readonly success: boolean
  readonly modelsUpdated: number
  readonly rowsInserted: number
  readonly executionTimeSeconds: number
  readonly notes: string
  readonly report: RunReport
}

/** A connection's public side, and how to open it. */
export interface WarehouseAddress {
  readonly kind: PlannedWarehouse['kind']
  readonly label: string
  readonly schema: Identifier
  /** Names this warehouse among all others: its task queue is derived from it. */
  readonly identity: string
  /** Activities that may use it at the same time. */
  readonly concurrency: number
}

/** The rejects of a raw table stand beside it. */
export function rejectsTable({ schema, table }: TableName): TableName {
  return { schema, table: `${table}__rejects` as Identifier }
}

/** The ledger of completed loads, one in each schema that holds raw tables. */
export const LEDGER_TABLE = 'millrace_loads'
