// Our own account of a dbt command, kept from its event stream while it runs; dbt writes its artifact only at the end.
import type { DbtEvent, EventNode, EventResult, LoggedEvent } from './events.ts'

type NodeFinished = Extract<DbtEvent, { kind: 'node finished' }>

/** One node as the ledger knows it; in the run folder, a line of ledger.json. */
export interface LedgerNode extends EventNode {
  /** Undefined while the node runs. */
  readonly result: EventResult | undefined
  /** How often it was begun in its step: 1 where nothing had to be done again, 0 where it was only ever skipped. */
  readonly attempt: number
  readonly compiledFile?: string
  /** Where the rows are that a test found (`store_failures`). */
  readonly failuresTable?: string
}

export interface DbtLedger {
  invocationId: string | undefined
  /** When dbt said its first word, ISO 8601. */
  startedAt: string | undefined
  total: number
  threads: number
  readonly nodes: Map<string, LedgerNode>
  /** Why the first batch failed that did, by the unique id of its microbatch model. */
  readonly batchFailures: Map<string, string>
  /** Hooks that went well. */
  readonly hooks: Set<string>
  nothingSelected: boolean
  /** Items of select or exclude that fit no node. */
  readonly unmatched: string[]
  /** Set once dbt has said that the command is over. */
  success: boolean | undefined
  readonly errors: string[]
}

export function emptyLedger(): DbtLedger {
  return {
    invocationId: undefined,
    startedAt: undefined,
    total: 0,
    threads: 1,
    nodes: new Map(),
    batchFailures: new Map(),
    hooks: new Set(),
    nothingSelected: false,
    unmatched: [],
    success: undefined,
    errors: [],
  }
}

/** What an event said of a node that an observer would want to see. */
export type LedgerChange = { readonly kind: 'started' | 'finished'; readonly node: LedgerNode } | undefined

/**
 * Writes one event into the ledger. A microbatch model reports each of its batches under its own id, with a start of
 * its own: only the end that belongs to the model's start counts.
 */
export function recordEvent(ledger: DbtLedger, { invocationId, at, event }: LoggedEvent): LedgerChange {
  if (event === undefined) return undefined
  ledger.invocationId = invocationId
  ledger.startedAt ??= at
  switch (event.kind) {
    case 'nodes counted':
      ledger.total = event.total
      ledger.threads = event.threads
      return undefined
    case 'node started': {
      const known = ledger.nodes.get(event.node.uniqueId)
      if (known !== undefined && known.result === undefined) return undefined
      return setNode(ledger, 'started', { ...event.node, result: undefined, attempt: 1 })
    }
    case 'node finished': {
      const known = ledger.nodes.get(event.node.uniqueId)
      if (known !== undefined && known.startedAt !== '' && known.startedAt !== event.node.startedAt) return undefined
      // dbt has a skipped node begin and end at once; nothing of it was done.
      const attempt = event.result.status === 'skipped' ? 0 : 1
      return setNode(ledger, 'finished', { ...event.node, result: withBatchFailure(ledger, event), attempt })
    }
    case 'batch failed':
      if (!ledger.batchFailures.has(event.uniqueId)) ledger.batchFailures.set(event.uniqueId, event.message)
      return undefined
    case 'hook finished':
      ledger.hooks.add(event.uniqueId)
      return undefined
    case 'compiled sql':
      change(ledger, event.uniqueId, { compiledFile: event.file })
      return undefined
    case 'failing rows':
      change(ledger, event.uniqueId, { failuresTable: event.table })
      return undefined
    case 'nothing selected':
      ledger.nothingSelected = true
      return undefined
    case 'criterion unmatched':
      ledger.unmatched.push(event.criterion)
      return undefined
    case 'failed':
      ledger.errors.push(event.message)
      return undefined
    case 'completed':
      ledger.success = event.success
      return undefined
  }
}

/** `PARTIAL SUCCESS (1/3)` says how many batches failed, not why. */
function withBatchFailure({ batchFailures }: DbtLedger, { node, result }: NodeFinished): EventResult {
  const why = batchFailures.get(node.uniqueId)
  // Any node can come with such an exception; its own message then has it.
  return why === undefined || result.status !== 'partial success'
    ? result
    : { ...result, message: `${result.message}: ${why}` }
}

function setNode(ledger: DbtLedger, kind: 'started' | 'finished', node: LedgerNode): LedgerChange {
  ledger.nodes.set(node.uniqueId, node)
  return { kind, node }
}

function change(ledger: DbtLedger, uniqueId: string, part: Partial<LedgerNode>): void {
  const node = ledger.nodes.get(uniqueId)
  if (node !== undefined) ledger.nodes.set(uniqueId, { ...node, ...part })
}

/** Statuses after which a node needs nothing more. */
const GOOD_STATUSES = new Set(['success', 'pass', 'warn', 'no-op', 'reused'])

export function isGood({ result }: LedgerNode): boolean {
  return result !== undefined && GOOD_STATUSES.has(result.status)
}

/** Nodes by status; running ones are left out. */
export function countByStatus(nodes: Iterable<LedgerNode>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { result } of nodes) {
    if (result !== undefined) counts[result.status] = (counts[result.status] ?? 0) + 1
  }
  return counts
}
