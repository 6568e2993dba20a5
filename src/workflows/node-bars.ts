// A bar per dbt node in Temporal's timeline: an activity that does nothing, ended from outside when its node has ended.
import {
  ActivityCancellationType,
  CancellationScope,
  defineSignal,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow'
import { MAX_BARS_OF_ALL_ATTEMPTS, type BarNode, type BarType, type NodesSignal } from '../pipeline/node-bars.ts'
import type { Activities } from '../activities/index.ts'
import type { Plan } from '../pipeline/plan.ts'
import type { RunState } from './run-state.ts'

export const nodesSignal = defineSignal<[Partial<NodesSignal>]>('nodes')

export interface ShownNodes {
  /**
   * The step is over: a bar that no worker has begun (the one that had the command was stopping) is taken back. The others
   * are ended by the dbt command's own activity; what it did not hear of in time is ended now.
   */
  end(step: string): Promise<void>
}

/** Much later than any bar ends: without it a bar whose worker is lost for good would not be timed out. */
const EXTRA_MS = 300_000

/**
 * Shows what running dbt steps tell. Nothing waits for a bar, so none can hold up the run; an attempt that another one has
 * followed is not listened to any more; an id that was used is not used again, because the server would refuse the whole
 * workflow task for ever (SCHEDULE_ACTIVITY_DUPLICATE_ID).
 */
export function showNodes(plan: Plan, state: RunState): ShownNodes {
  const shown = new Map<string, StepBars>()
  // Anyone can signal: what has another form must not wedge the run.
  setHandler(nodesSignal, ({ step: id = '', attempt = FIRST_ATTEMPT, began = [], progress = null }) => {
    const planned = plan.steps.find((step) => step.id === id)
    const step = state.steps.find((report) => report.id === id)
    if (planned?.kind !== 'dbt' || step?.state !== 'running') return
    const bars = shown.get(id) ?? { scope: shielded(), used: new Set(), open: new Set(), attempt }
    shown.set(id, bars)
    // Word from an attempt that was taken for dead.
    if (isBefore(attempt, bars.attempt)) return
    bars.attempt = attempt
    state.update(id, { dbtProgress: progress })
    for (const node of plan.dbt.nodeBars ? began : []) {
      if (bars.used.has(node.activityId) || bars.used.size >= MAX_BARS_OF_ALL_ATTEMPTS) continue
      bars.used.add(node.activityId)
      openBar(bars, node, planned.timeoutMs + EXTRA_MS)
    }
  })
  return { end: async (step) => await endBars(shown.get(step)) }
}

interface StepBars {
  /** Ours to cancel, not the run's: when that is cancelled, dbt itself still ends its bars. */
  readonly scope: CancellationScope
  readonly used: Set<string>
  /** Those that have not ended. */
  readonly open: Set<string>
  attempt: string
}

function shielded(): CancellationScope {
  const parent = new CancellationScope({ cancellable: false })
  return new CancellationScope({ cancellable: true, parent })
}

const FIRST_ATTEMPT = '0.0'

/** Attempts are numbered `2.1`: the first number counts more. */
function isBefore(attempt: string, other: string): boolean {
  const [a = 0, b = 0] = attempt.split('.').map(Number)
  const [c = 0, d = 0] = other.split('.').map(Number)
  return a < c || (a === c && b < d)
}

function openBar({ scope, open }: StepBars, { activityId, type, name }: BarNode, timeoutMs: number): void {
  const bars = proxyActivities<Record<BarType, () => Promise<unknown>>>({
    activityId,
    summary: name.slice(0, 200),
    startToCloseTimeout: timeoutMs,
    scheduleToCloseTimeout: timeoutMs,
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.TRY_CANCEL,
  })
  // A failed node fails its bar, not the run: the dbt command's own activity decides about that.
  open.add(activityId)
  scope
    .run(() => bars[type]())
    .catch(() => undefined)
    .finally(() => open.delete(activityId))
}

async function endBars(bars: StepBars | undefined): Promise<void> {
  if (bars === undefined) return
  const activityIds = [...bars.open]
  bars.scope.cancel()
  if (activityIds.length === 0) return
  const { endBars } = proxyActivities<Activities>({
    startToCloseTimeout: '30s',
    scheduleToCloseTimeout: '1m',
    summary: 'bars that nobody has ended',
  })
  // They are for people to look at: the run goes on without.
  await CancellationScope.nonCancellable(() => endBars({ activityIds })).catch(() => undefined)
}
