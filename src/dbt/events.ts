// dbt's JSON log lines, reduced to the few events that matter here. Names and fields: dbt-core 1.12 (core/dbt/events).
import { z } from 'zod'

export type DbtEvent =
  | { readonly kind: 'nodes counted'; readonly total: number; readonly threads: number }
  | { readonly kind: 'node started'; readonly node: EventNode }
  | { readonly kind: 'node finished'; readonly node: EventNode; readonly result: EventResult }
  /** Why a batch of a microbatch model failed; the model's own end only counts its batches. */
  | { readonly kind: 'batch failed'; readonly uniqueId: string; readonly message: string }
  /** A hook that went well: it has no other event. */
  | { readonly kind: 'hook finished'; readonly uniqueId: string }
  /** Said at the end, of nodes that failed or warned. */
  | { readonly kind: 'compiled sql'; readonly uniqueId: string; readonly file: string }
  | { readonly kind: 'failing rows'; readonly uniqueId: string; readonly table: string }
  | { readonly kind: 'nothing selected' }
  /** One item of select or exclude, as it was given, that no node of the project fits. */
  | { readonly kind: 'criterion unmatched'; readonly criterion: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'completed'; readonly success: boolean }

export interface EventNode {
  readonly uniqueId: string
  readonly name: string
  readonly resourceType: string
  /** ISO 8601, UTC. The batches of a microbatch model come with times of their own. */
  readonly startedAt: string
}

export interface EventResult {
  /** dbt's machine word: success, error, skipped, pass, fail, warn, … ; new ones may appear. */
  readonly status: string
  readonly message: string
  readonly durationMs: number
  readonly finishedAt: string
  /** Rows and bytes as the adapter tells them: of the last statement, and many tell nothing. */
  readonly rows: number | null
  readonly bytes: number | null
  /** By a warehouse that bills by bytes. */
  readonly bytesBilled: number | null
  /** Rows that a test found. */
  readonly failures: number
}

export interface LoggedEvent {
  readonly invocationId: string
  readonly level: string
  /** ISO 8601, UTC. */
  readonly at: string
  /** The event as dbt words it for people. */
  readonly text: string
  /** Undefined for the many events that are of no interest here. */
  readonly event: DbtEvent | undefined
}

const envelope = z.object({
  info: z.object({
    name: z.string(),
    invocation_id: z.string(),
    level: z.string(),
    msg: z.string(),
    ts: z.string().default(''),
  }),
  data: z.unknown(),
})
const nodeInfo = z.object({
  unique_id: z.string(),
  node_name: z.string(),
  resource_type: z.string(),
  materialized: z.string().nullish(),
  node_started_at: z.string().default(''),
  node_finished_at: z.string().default(''),
})
const nodeStart = z.object({ node_info: nodeInfo })
const adapterResponse = z.object({
  rows_affected: z.number().nullish().catch(null),
  bytes_processed: z.number().nullish().catch(null),
  bytes_billed: z.number().nullish().catch(null),
})
const nodeFinished = z.object({
  node_info: nodeInfo,
  run_result: z.object({
    status: z.string(),
    message: z.string().nullish(),
    execution_time: z.number(),
    num_failures: z.number().nullish().catch(null),
    adapter_response: adapterResponse.catch({}),
  }),
})
const genericException = z.object({ exc: z.string(), node_info: nodeInfo })
const hookEnd = z.object({ node_info: nodeInfo, status: z.string() })
const compiledPath = z.object({ node_info: nodeInfo, path: z.string() })
const testFailure = z.object({ node_info: nodeInfo, relation_name: z.string() })
const runResultError = z.object({ msg: z.string(), node_info: nodeInfo.optional() })
const noNodes = z.object({ spec_raw: z.string() })
const concurrencyLine = z.object({ node_count: z.number(), num_threads: z.number().default(1) })
const mainEncounteredError = z.object({ exc: z.string() })
const commandCompleted = z.object({ success: z.boolean() })

/**
 * Events of debug level by which nothing is lost, and which are nine tenths of the stream: SQL texts and connections.
 * They are told by their name, which stands near the end of the line, and not parsed.
 */
export const UNREAD_EVENTS: ReadonlySet<string> = new Set(
  (
    'SQLQuery SQLQueryStatus SQLCommit ConnectionUsed ConnectionReused ConnectionClosed ConnectionClosedInCleanup ' +
    'ConnectionLeftOpen NewConnection NewConnectionOpening Rollback RollbackFailed NodeCompiling NodeExecuting ' +
    'WritingInjectedSQLForNode JinjaLogDebug AdapterEventDebug SendingEvent CacheAction ListRelations SchemaCreation ' +
    'MicrobatchExecutionDebug ArtifactWritten'
  ).split(' '),
)
const NAME_NEAR_END = /"name": "(\w+)", "pid": \d+, "thread": "[^"]*", "ts": "[^"]*"\}\}\s*$/
const END_BYTES = 300

/**
 * Undefined for a line that is not one of dbt's JSON events (a warning of Python's, say), and for noise. An event that
 * another dbt words otherwise has no `event`: the ledger lacks it then, and the verdict finds out.
 */
export function parseEvent(line: string | Buffer): LoggedEvent | undefined {
  const text = typeof line === 'string' ? line : lineText(line)
  if (text === undefined || !text.startsWith('{')) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  const parsed = envelope.safeParse(json)
  if (!parsed.success) return undefined
  const { info, data } = parsed.data
  return {
    invocationId: info.invocation_id,
    level: info.level,
    at: info.ts,
    text: info.msg,
    event: readable(info.name, data),
  }
}

/** Undefined for noise. */
function lineText(line: Buffer): string | undefined {
  const name = NAME_NEAR_END.exec(line.toString('latin1', Math.max(0, line.length - END_BYTES)))?.[1]
  return name !== undefined && UNREAD_EVENTS.has(name) ? undefined : line.toString('utf8')
}

function readable(name: string, data: unknown): DbtEvent | undefined {
  try {
    return readEvent(name, data)
  } catch (error) {
    if (error instanceof z.ZodError) return undefined
    throw error
  }
}

function readEvent(name: string, data: unknown): DbtEvent | undefined {
  switch (name) {
    case 'ConcurrencyLine':
      return nodesCounted(data)
    case 'NodeStart': {
      const { node_info } = nodeStart.parse(data)
      return isNeverBuilt(node_info) ? undefined : { kind: 'node started', node: readNode(node_info) }
    }
    case 'NodeFinished': {
      const { node_info, run_result } = nodeFinished.parse(data)
      if (isNeverBuilt(node_info) && run_result.status === 'success') return undefined
      const { rows_affected, bytes_processed, bytes_billed } = run_result.adapter_response
      return {
        kind: 'node finished',
        node: readNode(node_info),
        result: {
          status: run_result.status,
          message: run_result.message ?? '',
          durationMs: Math.round(run_result.execution_time * 1000),
          finishedAt: utc(node_info.node_finished_at),
          // A warehouse that does not count answers -1.
          rows: rows_affected !== null && rows_affected !== undefined && rows_affected >= 0 ? rows_affected : null,
          bytes: bytes_processed ?? null,
          bytesBilled: bytes_billed ?? null,
          failures: run_result.num_failures ?? 0,
        },
      }
    }
    case 'GenericExceptionOnRun': {
      const { exc, node_info } = genericException.parse(data)
      return { kind: 'batch failed', uniqueId: node_info.unique_id, message: exc }
    }
    case 'LogHookEndLine': {
      const { node_info, status } = hookEnd.parse(data)
      return status === 'success' ? { kind: 'hook finished', uniqueId: node_info.unique_id } : undefined
    }
    case 'SQLCompiledPath': {
      const { node_info, path } = compiledPath.parse(data)
      return { kind: 'compiled sql', uniqueId: node_info.unique_id, file: path }
    }
    case 'CheckNodeTestFailure': {
      const { node_info, relation_name } = testFailure.parse(data)
      return { kind: 'failing rows', uniqueId: node_info.unique_id, table: relation_name }
    }
    case 'RunResultError': {
      const { msg, node_info } = runResultError.parse(data)
      // Hooks (on-run-start, on-run-end) have no events of a node; a failing one is told of only here.
      if (node_info?.resource_type !== 'operation') return undefined
      const result = {
        status: 'error',
        message: msg,
        durationMs: 0,
        finishedAt: '',
        rows: null,
        bytes: null,
        bytesBilled: null,
        failures: 0,
      }
      return { kind: 'node finished', node: readNode(node_info), result }
    }
    case 'NoNodesForSelectionCriteria':
      return { kind: 'criterion unmatched', criterion: noNodes.parse(data).spec_raw }
    case 'NothingToDo':
      return { kind: 'nothing selected' }
    case 'RunningOperationCaughtError':
    case 'RunningOperationUncaughtError':
    case 'MainEncounteredError':
      return { kind: 'failed', message: mainEncounteredError.parse(data).exc }
    case 'CommandCompleted':
      return { kind: 'completed', success: commandCompleted.parse(data).success }
    default:
      return undefined
  }
}

/**
 * dbt only compiles an ephemeral model, into those that use it, and `compile` does the same with hooks: where that goes
 * well, neither is a node of the command.
 */
function isNeverBuilt(info: z.infer<typeof nodeInfo>): boolean {
  return info.materialized === 'ephemeral' || info.resource_type === 'operation'
}

function readNode(info: z.infer<typeof nodeInfo>): EventNode {
  return {
    uniqueId: info.unique_id,
    name: info.node_name,
    resourceType: info.resource_type,
    startedAt: utc(info.node_started_at),
  }
}

function nodesCounted(data: unknown): DbtEvent {
  const { node_count, num_threads } = concurrencyLine.parse(data)
  return { kind: 'nodes counted', total: node_count, threads: num_threads }
}

/** dbt writes a node's times in UTC without saying so. */
function utc(time: string): string {
  return time === '' || time.endsWith('Z') ? time : `${time}Z`
}
