// Our own account of a dbt command, kept from its event stream while it runs; dbt writes its artifact only at the end.
import type { DbtEvent, EventNode, EventResult } from './events.ts'

export interface LedgerNode extends EventNode {
  /** Undefined while the node runs. */
  readonly result: EventResult | undefined
}

export interface DbtLedger {
  readonly invocationId: string | undefined
  readonly total: number
  readonly nodes: ReadonlyMap<string, LedgerNode>
  readonly nothingSelected: boolean
  /** Items of select or exclude that fit no node. */
  readonly unmatched: readonly string[]
  /** Set once dbt has said that the command is over. */
  readonly success: boolean | undefined
  readonly errors: readonly string[]
}

export const EMPTY_LEDGER: DbtLedger = {
  invocationId: undefined,
  total: 0,
  nodes: new Map(),
  nothingSelected: false,
  unmatched: [],
  success: undefined,
  errors: [],
}

/** The ledger after one more event. A node reported more than once (microbatch) keeps its last result. */
export function recordEvent(ledger: DbtLedger, invocationId: string, event: DbtEvent): DbtLedger {
  const base = { ...ledger, invocationId }
  switch (event.kind) {
    case 'nodes counted':
      return { ...base, total: event.total }
    case 'node started':
      return { ...base, nodes: new Map(base.nodes).set(event.node.uniqueId, { ...event.node, result: undefined }) }
    case 'node finished':
      return { ...base, nodes: new Map(base.nodes).set(event.node.uniqueId, { ...event.node, result: event.result }) }
    case 'nothing selected':
      return { ...base, nothingSelected: true }
    case 'criterion unmatched':
      return { ...base, unmatched: [...base.unmatched, event.criterion] }
    case 'failed':
      return { ...base, errors: [...base.errors, event.message] }
    case 'completed':
      return { ...base, success: event.success }
  }
}

/** Nodes by status; running ones are left out. */
export function countByStatus(ledger: DbtLedger): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { result } of ledger.nodes.values()) {
    if (result !== undefined) counts[result.status] = (counts[result.status] ?? 0) + 1
  }
  return counts
}
