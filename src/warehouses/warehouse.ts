// The port: what Millrace asks of a warehouse. Each adapter keeps these promises on the real thing.
import type { ContractColumn, IngestEntry, LoadMode, MartCheck, PlannedWarehouse, Relation } from '../pipeline/plan.ts'
import type { Identifier, TableName } from '../pipeline/identifier.ts'
import type { MartVerdict, RejectReason, RunReport } from '../pipeline/report.ts'
import type { LoadStream, StreamCounts } from '../ingest/load-stream.ts'
import type { Engine } from '../platform/duckdb.ts'

/**
 * An open connection. Every method fails with WarehouseBusy when someone else holds the warehouse, DiskFull when it
 * cannot grow, WarehouseAuth when it lets us not, WarehouseUnreachable when it does not answer, and WarehouseFailed
 * otherwise; what a failing method began is rolled back.
 */
export interface Warehouse {
  /**
   * The batch's current load; undefined before its first one, and where its rows are not all in the raw table any more
   * (somebody deleted them, or moved the table aside): then it has to be loaded again. Rows that are appended or upserted
   * count as there while any are.
   */
  currentLoad(table: TableName, batchId: string): Promise<CurrentLoad | undefined>
  /** Of an entry that appends: SHA-256 → the load it is in, for every file that is there. */
  loadedFiles(table: TableName, owner: EntryOwner): Promise<ReadonlyMap<string, CurrentLoad>>
  /** Columns of the entry's latest load, as its ledger row remembers them; undefined before the first load. */
  rememberedContract(table: TableName, owner: EntryOwner): Promise<readonly ContractColumn[] | undefined>
  /**
   * In one transaction: creates the raw table where it is missing, makes room as the mode says, inserts the stream's
   * rows, its rejects, and the ledger row. `accept` sees the counts and may throw: then nothing is kept. Fails with
   * ContractChanged when the table exists with other columns, CountsDisagree when other rows came than announced.
   */
  commitLoad(
    load: LoadCommit,
    accept: (counts: StreamCounts) => void,
  ): Promise<LoadCounts & { readonly removed: number }>
  /** Keeps the rejects of a load that was not committed, and returns their commonest reasons. */
  keepRejects(load: LoadCommit): Promise<readonly RejectReason[]>
  /** What an entry's loads of a logical date rejected, in the order of files and records; there may be millions. */
  readRejects(table: TableName, owner: RejectsOwner): AsyncIterable<StoredReject>
  /** Counts over a mart as it stands. Fails with MartUnknown when there is no such relation, or a column is not fit. */
  measureMart(check: MartCheck): Promise<MartMeasures>
  /**
   * Puts the marts before their readers: creates the live schema and tables where they are missing, follows changes of
   * columns, replaces all rows. Readers see all of the new marts or all of the old ones; grants and options of the live
   * tables stay. Fails with MartUnknown or PublishRefused.
   */
  publish(publication: Publication): Promise<readonly PublishedMart[]>
  /** Writes the run's row, replacing an earlier one of the same refresh_id; creates the table where it is missing. */
  recordRefresh(table: TableName, row: RefreshRow): Promise<void>
  /** The latest rows of the refresh log, the newest first; none where there is no such table. */
  readRefreshLog(
    table: TableName,
    range: { readonly since: string; readonly limit: number },
  ): Promise<readonly LoggedRun[]>
  /** Rows of each mart as the newest good run that checked it counted them; none where there is no such table. */
  lastGoodMarts(table: TableName, of: { readonly pipeline: string; readonly target: string }): Promise<LastGoodMarts>
  /** Ends what dead attempts left running in the warehouse, and returns how many queries that were. */
  endLeftovers(left: Leftovers): Promise<number>
  /** Bytes that a query would read, as the warehouse bills them; null where it does not bill by bytes. */
  estimateBytes(sql: string): Promise<number | null>
  /** What the statements of this connection were billed so far; null where it does not bill by bytes. */
  bytesBilled(): number | null
  close(): Promise<void>
}

/** Of records. read = loaded + superseded + rejected. */
export interface LoadCounts {
  readonly read: number
  readonly loaded: number
  /** Older versions of a key than another record or row. */
  readonly superseded: number
  readonly rejected: number
  /** The commonest reasons, at most ten. */
  readonly rejectReasons: readonly RejectReason[]
}

export interface CurrentLoad extends LoadCounts {
  readonly loadId: string
  /** The run that loaded it. */
  readonly runId: string
  readonly logicalDate: string
  readonly files: readonly LedgerFile[]
  readonly loadedAt: string
}

/** A file as the ledger knows it. */
export interface LedgerFile {
  readonly name: string
  readonly sha256: string
  readonly sizeBytes: number
}

export interface LoadCommit {
  readonly stream: LoadStream
  readonly table: TableName
  /** The file's columns and the added ones, with the engine's types, in the raw table's order. */
  readonly columns: readonly RawColumn[]
  /** Remembered for later files. */
  readonly contract: readonly ContractColumn[]
  /** The table may have columns that this load does not know. */
  readonly mayHaveMore: boolean
  readonly mode: LoadMode
  readonly key: IngestEntry['key']
  readonly loadId: string
  readonly batchId: string
  readonly pipeline: string
  readonly runId: string
  readonly entry: string
  readonly logicalDate: string
  readonly params: Readonly<Record<string, string>>
  readonly files: readonly LedgerFile[]
  /** ISO 8601, UTC. */
  readonly loadedAt: string
}

export interface RawColumn {
  readonly name: string
  /** Of the engine that makes the rows; each warehouse has its own for it. */
  readonly duckdbType: string
  /** New in this load: an existing table gets it. */
  readonly mayBeAdded: boolean
}

/** Whose load it is. */
export interface EntryOwner {
  readonly pipeline: string
  readonly entry: string
  /** Those of the run that the entry uses. */
  readonly params: Readonly<Record<string, string>>
}

export interface RejectsOwner {
  readonly pipeline: string
  readonly entry: string
  readonly logicalDate: string
}

export interface StoredReject {
  readonly file: string
  readonly record: number
  readonly line: number
  readonly byteOffset: number
  readonly code: string
  readonly column: string | null
  readonly message: string
  readonly rawText: string
  readonly rejectedAt: string
}

export interface MartMeasures {
  readonly rows: number
  /** Rows with NULL in each key column. */
  readonly nulls: Readonly<Record<string, number>>
  /** Rows beyond the first of each key; only measured where the check asks for uniqueness. */
  readonly duplicates: number | null
  /** Newest value of the column of `maxAge`, ISO 8601 in UTC; null where there is none, or none is asked for. */
  readonly newest: string | null
}

/** By the mart's name. */
export type LastGoodMarts = ReadonlyMap<string, { readonly rows: number; readonly startedAt: string }>

export interface Publication {
  readonly pipeline: string
  readonly target: string
  readonly runId: string
  readonly logicalDate: string
  /** ISO 8601, UTC. */
  readonly publishedAt: string
  /** The live schema. */
  readonly to: Identifier
  readonly marts: readonly {
    /** Its name in the live schema. */
    readonly mart: Identifier
    /** The candidate, where dbt built it. */
    readonly relation: Relation
    /** As the run's check counted them; null where none did. */
    readonly expectedRows: number | null
  }[]
  /**
   * Absolute path of a file that gets a copy of the live schema, for readers whom a writer would keep out (DuckDB); other
   * warehouses let them in and write none.
   */
  readonly copyTo: string | null
}

export interface PublishedMart {
  readonly mart: Identifier
  readonly rows: number
}

/** What dead attempts of a run may have left: queries of our own, and of its dbt. */
export interface Leftovers {
  readonly runId: string
  readonly dbt: readonly {
    /** Null where dbt did not live long enough to tell it. */
    readonly invocationId: string | null
    /** Unique ids of the nodes that were running. */
    readonly nodes: readonly string[]
    /** ISO 8601, UTC. */
    readonly startedAt: string
  }[]
}

/** A run as the refresh log has it. */
export interface LoggedRun {
  readonly startedAt: string
  readonly pipeline: string
  readonly target: string
  readonly logicalDate: string
  readonly outcome: string
  readonly failureType: string | null
  readonly modelsUpdated: number
  readonly rowsInserted: number
  readonly executionTimeSeconds: number
  readonly bytesBilled: number | null
  readonly bytesEstimated: number | null
  readonly notes: string
  /** Those that it checked; null in rows of an older version. */
  readonly marts: LoggedMarts | null
  readonly workflowId: string
  readonly runId: string
}

/** Marts as a row of the refresh log has them, by name. */
export type LoggedMarts = Readonly<Record<string, { readonly rows: number; readonly verdict: MartVerdict }>>

export interface RefreshRow {
  readonly refreshId: string
  readonly runDate: string
  readonly success: boolean
  readonly modelsUpdated: number
  readonly rowsInserted: number
  readonly executionTimeSeconds: number
  readonly notes: string
  readonly marts: LoggedMarts
  /** Of the whole run; null where the warehouse does not bill by bytes. */
  readonly bytesBilled: number | null
  /** Of its dbt commands; null where they were not asked for it. */
  readonly bytesEstimated: number | null
  readonly report: RunReport
}

export type WarehouseAccess = 'write' | 'look'

/** For whom and with what a warehouse is opened. */
export interface WarehousePlace {
  /** Makes the typed rows. */
  readonly engine: Engine
  /** For files that end with the connection. */
  readonly scratchDir: string
  /** Once aborted, what runs in the warehouse is ended, and its promise rejects. */
  readonly abort: AbortSignal
  /** Whose queries these are, as the warehouse's own lists show them; null for a person who only looks. */
  readonly run: { readonly pipeline: string; readonly runId: string; readonly attempt: number } | null
  /** Where loads into BigQuery are put down on their way; null: they are sent straight to it. */
  readonly stagingBucket: string | null
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
export function ledgerOf({ schema }: TableName): TableName {
  return { schema, table: 'millrace_loads' as Identifier }
}
