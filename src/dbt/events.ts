// dbt's JSON log lines, reduced to the few events that matter here. Names and fields: dbt-core 1.12 (core/dbt/events).
import { z } from 'zod'

export type DbtEvent =
  | { readonly kind: 'nodes counted'; readonly total: number }
  | { readonly kind: 'node started'; readonly node: EventNode }
  | { readonly kind: 'node finished'; readonly node: EventNode; readonly result: EventResult }
  | { readonly kind: 'nothing selected' }
  /** One item of select or exclude, as it was given, that no node of the project fits. */
  | { readonly kind: 'criterion unmatched'; readonly criterion: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'completed'; readonly success: boolean }

export interface EventNode {
  readonly uniqueId: string
  readonly name: string
  readonly resourceType: string
}

export interface EventResult {
  /** dbt's machine word: success, error, skipped, pass, fail, warn, … ; new ones may appear. */
  readonly status: string
  readonly message: string
  readonly durationMs: number
}

export interface LoggedEvent {
  readonly invocationId: string
  readonly level: string
  /** The event as dbt words it for people. */
  readonly text: string
  /** Undefined for the many events that are of no interest here. */
  readonly event: DbtEvent | undefined
}

const envelope = z.object({
  info: z.object({ name: z.string(), invocation_id: z.string(), level: z.string(), msg: z.string() }),
  data: z.unknown(),
})
const nodeInfo = z.object({
  unique_id: z.string(),
  node_name: z.string(),
  resource_type: z.string(),
  materialized: z.string().nullish(),
})
const nodeStart = z.object({ node_info: nodeInfo })
const nodeFinished = z.object({
  node_info: nodeInfo,
  run_result: z.object({
    status: z.string(),
    message: z.string().nullish(),
    execution_time: z.number(),
  }),
})
const runResultError = z.object({ msg: z.string(), node_info: nodeInfo.optional() })
const noNodes = z.object({ spec_raw: z.string() })
const concurrencyLine = z.object({ node_count: z.number() })
const mainEncounteredError = z.object({ exc: z.string() })
const commandCompleted = z.object({ success: z.boolean() })

/** Undefined for a line that is not one of dbt's JSON events (a warning of Python's, say). */
export function parseEvent(line: string): LoggedEvent | undefined {
  if (!line.startsWith('{')) return undefined
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  const parsed = envelope.safeParse(json)
  if (!parsed.success) return undefined
  const { info, data } = parsed.data
  return {
    invocationId: info.invocation_id,
    level: info.level,
    text: info.msg,
    event: readEvent(info.name, data),
  }
}

function readEvent(name: string, data: unknown): DbtEvent | undefined {
  switch (name) {
    case 'ConcurrencyLine':
      return { kind: 'nodes counted', total: concurrencyLine.parse(data).node_count }
    case 'NodeStart': {
      const { node_info } = nodeStart.parse(data)
      return isNeverBuilt(node_info) ? undefined : { kind: 'node started', node: readNode(node_info) }
    }
    case 'NodeFinished': {
      const { node_info, run_result } = nodeFinished.parse(data)
      if (isNeverBuilt(node_info) && run_result.status === 'success') return undefined
      return {
        kind: 'node finished',
        node: readNode(node_info),
        result: {
          status: run_result.status,
          message: run_result.message ?? '',
          durationMs: Math.round(run_result.execution_time * 1000),
        },
      }
    }
    case 'RunResultError': {
      const { msg, node_info } = runResultError.parse(data)
      // Hooks (on-run-start, on-run-end) have no events of a node; a failing one is told of only here.
      if (node_info?.resource_type !== 'operation') return undefined
      const result = { status: 'error', message: msg, durationMs: 0 }
      return { kind: 'node finished', node: readNode(node_info), result }
    }
    case 'NoNodesForSelectionCriteria':
      return { kind: 'criterion unmatched', criterion: noNodes.parse(data).spec_raw }
    case 'NothingToDo':
      return { kind: 'nothing selected' }
    case 'MainEncounteredError':
      return { kind: 'failed', message: mainEncounteredError.parse(data).exc }
    case 'CommandCompleted':
      return { kind: 'completed', success: commandCompleted.parse(data).success }
    default:
      return undefined
  }
}

/** dbt only compiles an ephemeral model, into those that use it; its artifact does not list it. */
function isNeverBuilt(info: z.infer<typeof nodeInfo>): boolean {
  return info.materialized === 'ephemeral'
}

function readNode(info: z.infer<typeof nodeInfo>): EventNode {
  return { uniqueId: info.unique_id, name: info.node_name, resourceType: info.resource_type }
}
