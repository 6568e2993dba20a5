// What a dbt activity tells its workflow about nodes, so that Temporal's timeline has a bar for each.
import type { DbtProgress } from './report.ts'

/** Activity types of the bars: the timeline shows `model • mart_users`. */
export const BAR_TYPES = ['model', 'seed', 'snapshot', 'test'] as const
export type BarType = (typeof BAR_TYPES)[number]

/** Of one attempt: more would make a history hard to read and slow to load. Some of them are kept for nodes that fail. */
export const MAX_BARS = 200
export const BARS_FOR_FAILURES = 20
/** A command that is tried again has bars for what it still has to do. */
export const MAX_BARS_OF_ALL_ATTEMPTS = 3 * MAX_BARS

export interface NodesSignal {
  readonly step: string
  /** `2.1`: the step's attempt, and the worker that has it. */
  readonly attempt: string
  /** Nodes to show, in the order in which they began. */
  readonly began: readonly BarNode[]
  readonly progress: DbtProgress
}

export interface BarNode {
  /** The bar's activity id: step, attempt and node, so that it is never used again. */
  readonly activityId: string
  readonly type: BarType
  readonly name: string
}
