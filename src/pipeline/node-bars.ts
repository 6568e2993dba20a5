// What a dbt activity tells its workflow about nodes, so that Temporal's timeline has a bar for each.
import type { DbtProgress } from './report.ts'

/** Activity types of the bars: the timeline shows `model • mart_users`. */
export const BAR_TYPES = ['model', 'seed', 'snapshot', 'test'] as const
export type BarType = (typeof BAR_TYPES)[number]

/** More would make a history hard to read and slow to load; some of them are kept for nodes that fail. */
export const MAX_BARS = 200
export const BARS_FOR_FAILURES = 20

export interface NodesSignal {
  readonly step: string
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
