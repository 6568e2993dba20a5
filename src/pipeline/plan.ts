// The plan: the frozen, resolved pipeline of one run. Made once, by the run's first activity; small enough for a history.
import type { PlannedAlerts } from './alert-state.ts'
import type { ColumnType } from './column-type.ts'
import type { DbtCommand } from './dbt-command.ts'
import type { Dialect } from './dialect.ts'
import type { FailureInfo } from './failure.ts'
import type { Identifier, TableName } from './identifier.ts'
import type { LeaseOf } from './lease.ts'
import type { Policies } from './policies.ts'
import type { WarmWork } from './warm.ts'

/** What a run is started with: the workflow's one argument. */
export interface RunRequest {
  /** A target of the dbt profile; the profile's own default when left out. */
  readonly target?: string
  readonly params?: Readonly<Record<string, string>>
  /** Run just this step, or this step and those behind it. */
  readonly only?: string
  readonly from?: string
  /** A run that failed: its finished loads and nodes are taken over where nothing has changed since. */
  readonly retryOf?: RunReference
  /** Where another run holds the lease: wait until it is free instead of failing, or of being skipped. */
  readonly wait?: boolean
  /** ISO 8601, UTC: the time the run is for, where it is neither its schedule's nor that of its start. */
  readonly runTime?: string
  /** Other timeouts and delays than the usual ones, for tests. */
  readonly policies?: Partial<Policies>
}

export interface RunReference {
  readonly workflowId: string
  readonly runId: string
}

export interface Plan {
  readonly pipeline: string
  readonly description: string
  readonly target: string
  readonly logicalDate: string
  /** When it was scheduled or else started, ISO 8601: the same on every attempt. */
  readonly runTime: string
  readonly params: Readonly<Record<string, string>>
  /** Held for the whole run. */
  /** With the queue that the run is on: it names the lease, and a history must tell it wherever it is replayed. */
  readonly lease: LeaseOf & { readonly taskQueue: string }
  readonly warehouse: PlannedWarehouse
  readonly dbt: DbtProject
  readonly steps: readonly PlannedStep[]
  readonly refreshLog?: Identifier
  readonly alerts?: PlannedAlerts
  /** What the refresh log's notes call the pipeline, where that is not its name. */
  readonly refreshTitle?: string
  readonly bigquery: BigquerySettings
  readonly timeoutMs: number
  readonly policies: Policies
  /** Whether this server knows Millrace's search attributes; runs do without where it does not. */
  readonly searchAttributes: boolean
  /** What a retried run takes over from the one that failed, or why it starts afresh. */
  readonly takeOver: TakeOver | null
  /** Why the run cannot begin although it could be planned: a file of the day is not there. */
  readonly obstacle: FailureInfo | null
}

export type TakeOver =
  | { readonly kind: 'nodes'; readonly of: RunReference; readonly loadIds: readonly string[] }
  | { readonly kind: 'afresh'; readonly of: RunReference; readonly why: string }

/** Which warehouse, by its public side only: no secret may stand here. */
export interface PlannedWarehouse {
  readonly kind: 'duckdb' | 'postgres' | 'bigquery'
  /** For people: a path or host. */
  readonly label: string
  readonly schema: Identifier
  /** Everything that opens the warehouse runs on this task queue. */
  readonly taskQueue: string
}

/** Folders relative to the workspace. */
export interface DbtProject {
  readonly projectDir: string
  readonly profilesDir: string
  /** The project's own dbt, relative to the workspace; null for the one that Millrace brings. */
  readonly executable: string | null
  /** What the pipeline adds to the environment of its dbt; no secrets. */
  readonly env?: Readonly<Record<string, string>>
  /** Of the project's files, the target and dbt: nodes that are done count only as long as it is the same. */
  readonly digest: string
  /** A bar per model, seed, snapshot and failing test in Temporal's timeline. */
  readonly nodeBars: boolean
  /** How commands are started; left out: `auto`. */
  readonly launcher?: 'cli' | 'warm'
  /** Marts of the pipeline's checks, for the report of a command that failed; all last models where it names none. */
  readonly marts: readonly string[]
}

/** What a pipeline file says for BigQuery targets. */
export interface BigquerySettings {
  readonly stagingBucket: string | null
  /** Of the whole run. */
  readonly maxBytesBilled: number | null
}

interface StepBase {
  /** Unique in the plan: what --only and --from take. */
  readonly id: string
  readonly onFailure: 'fail' | 'warn'
  /** The request left this step out. */
  readonly skipped: boolean
}

export type PlannedStep =
  | (StepBase & { readonly kind: 'ingest'; readonly entries: readonly IngestEntry[] })
  | (StepBase & { readonly kind: 'dbt' } & DbtWork)
  | (StepBase & { readonly kind: 'validate'; readonly marts: readonly MartCheck[] })
  | (StepBase & { readonly kind: 'publish' } & PublishWork)
  | (StepBase & { readonly kind: 'warm' } & WarmWork)

export type LoadMode = 'replace' | 'append' | 'upsert' | 'snapshot'

export interface IngestEntry {
  /** Names the entry among those of its pipeline, wherever it stands there: part of its batch. */
  readonly id: string
  readonly into: TableName
  /** Path or glob relative to the workspace, params filled in; of an `http` entry how the request is called. */
  readonly files: string
  /** Where the entry's one file comes from, instead of the workspace. */
  readonly http?: HttpSource
  /** The value that this load is for, of an entry with `for_each`. */
  readonly forEach?: string
  /** The folder, relative to the workspace, that all of them must lie in. */
  readonly inbox: string
  readonly missing: 'fail' | 'skip' | 'wait'
  readonly waitForMs: number
  readonly mode: LoadMode
  /** Those params of the run that the entry uses: part of its batch. */
  readonly params: Readonly<Record<string, string>>
  readonly maxRejectShare: number
  readonly maxRejects: number | null
  /** Null where nobody declared columns: then the header of the first load is the contract. */
  readonly contract: readonly ContractColumn[] | null
  readonly extraColumns: 'strict' | 'ignore_extra' | 'evolve'
  /** The raw table keeps the texts as they are; their types are checked all the same. */
  readonly rawAsText: boolean
  readonly added: readonly AddedColumn[]
  readonly dialect: Dialect
  /** The IANA zone of timestamps that name no offset. */
  readonly timeZone: string
  /** Columns that identify a row; empty where rows have no identity. */
  readonly key: readonly Identifier[]
  /** What becomes of records with the same key in one load. */
  readonly duplicates: 'reject' | 'keep_first' | 'keep_last'
  /** Says which of two rows with the same key is the newer one; without it the later record is. */
  readonly newestBy: Identifier | null
}

/** A request with params filled in; `${VARIABLES}` are read where it is made, so that a plan holds no secret. */
export interface HttpSource {
  readonly url: string
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly retries: number
  readonly longestWaitMs: number
  readonly privateNetwork: boolean
  readonly hint: string | null
}

export interface ContractColumn {
  /** In the raw table. */
  readonly name: Identifier
  /** In the file. */
  readonly header: string
  readonly type: ColumnType
  /** Where the type came from. */
  readonly origin: 'pipeline' | 'dbt source' | 'dbt source without data_type' | 'first header'
  /** A file may do without it: its rows have NULL there. */
  readonly optional: boolean
  readonly notNull: boolean
  /** As texts, read like the column's own. */
  readonly accepted?: readonly string[]
  readonly min?: string
  readonly max?: string
}

/** A column that no file has: every row of a load gets the same. */
export interface AddedColumn {
  readonly name: Identifier
  readonly type: ColumnType
  readonly value:
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'loaded_at' | 'logical_date' | 'source_file' }
}

/** A dbt command of a step, and what is done when it fails. */
export interface DbtWork extends DbtCommand {
  readonly retries: number
  /** Null: as long as the kind of failure asks for, doubled each time. */
  readonly retryDelayMs: number | null
  /** Failing tests are tried again like a failing network; by default they are a verdict. */
  readonly retryTests: boolean
  /** Of one attempt. */
  readonly timeoutMs: number
}

export interface MartCheck {
  readonly mart: Identifier
  readonly relation: Relation
  readonly key: readonly Identifier[]
  readonly unique: boolean
  readonly maxNullShare: number
  readonly minRows?: number
  readonly maxRows?: number
  /** How old the newest value of a column may be at the run's time. */
  readonly maxAge?: { readonly column: Identifier; readonly warnMs?: number; readonly failMs?: number }
  /** Shares of the rows of the last good run that may be missing. */
  readonly maxDrop?: { readonly warn?: number; readonly fail?: number }
  /** What a mart without rows is; without it the row bounds decide. */
  readonly onEmpty?: 'fail' | 'warn'
}

export interface PublishWork {
  /** The live schema. */
  readonly to: Identifier
  readonly marts: readonly { readonly mart: Identifier; readonly relation: Relation }[]
  /** Relative to the workspace; null where nobody asked for one. */
  readonly copyTo: string | null
}

/** A table as dbt's manifest places it. */
export interface Relation {
  readonly database: string
  readonly schema: string
  readonly name: string
}
