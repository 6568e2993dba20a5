// A bar per dbt node in Temporal's timeline: an activity that does nothing, ended from outside when its node has ended.
import {
  ActivityCancellationType,
  CancellationScope,
  defineSignal,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow'
import { MAX_BARS, type BarNode, type BarType, type NodesSignal } from '../pipeline/node-bars.ts'
import type { Plan } from '../pipeline/plan.ts'
import type { RunState } from './run-state.ts'

export const nodesSignal = defineSignal<[NodesSignal]>('nodes')

/** Much later than any bar ends: without it a bar whose worker is lost for good would not be timed out. */
const EXTRA_MS = 300_000

/**
 * Shows what running dbt steps tell. Nothing waits for a bar, so none can hold up the run; an id that was used is not
 * used again, because the server would refuse the whole workflow task for ever (SCHEDULE_ACTIVITY_DUPLICATE_ID).
 */
export function showNodes(plan: Plan, state: RunState): void {
  const used = new Map<string, Set<string>>()
  setHandler(nodesSignal, ({ step: id, began, progress }) => {
    const planned = plan.steps.find((step) => step.id === id)
    const step = state.steps.find((report) => report.id === id)
    // Word from an attempt that is over, or was taken for dead.
    if (planned?.kind !== 'dbt' || step?.state !== 'running') return
    state.update(id, { dbtProgress: progress })
    if (!plan.dbt.nodeBars) return
    const bars = used.get(id) ?? new Set()
    used.set(id, bars)
    for (const node of began) {
      if (bars.has(node.activityId) || bars.size >= MAX_BARS) continue
      bars.add(node.activityId)
      openBar(node, planned.timeoutMs + EXTRA_MS)
    }
  })
}

function openBar({ activityId, type, name }: BarNode, timeoutMs: number): void {
  const bars = proxyActivities<Record<BarType, () => Promise<unknown>>>({
    activityId,
    summary: name.slice(0, 200),
    startToCloseTimeout: timeoutMs,
    scheduleToCloseTimeout: timeoutMs,
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.ABANDON,
  })
  // A failed node fails its bar, not the run: the dbt command's own activity decides about that.
  CancellationScope.nonCancellable(() => bars[type]()).catch(() => undefined)
}
