// One run at a time: a child workflow whose id is the lease. As long as it lives, the run that started it holds the lease.
import {
  defineSearchAttributeKey,
  SearchAttributeType,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdReusePolicy,
} from '@temporalio/common'
import {
  CancellationScope,
  condition,
  defineSignal,
  log,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import { leaseId, leaseTaken, leaseTakenAdvice } from '../pipeline/lease.ts'
import type { Plan } from '../pipeline/plan.ts'
import { PLANNING } from './attempt.ts'

const releaseSignal = defineSignal('release')

/** Lives until it is released; when the run that started it ends in any other way, the server ends it. */
export async function lease(): Promise<void> {
  let released = false
  setHandler(releaseSignal, () => void (released = true))
  setCurrentDetails(`held by ${workflowInfo().parent?.workflowId ?? 'nobody'}`)
  await condition(() => released)
}

export type Lease =
  /** Asked for, not got (yet). */
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; release(): Promise<void> }
  /** For a scheduled run, which is skipped then: the sentence says who holds it. */
  | { readonly kind: 'taken'; readonly why: string }

/** How long until the next try: other runs last for minutes, and each try is a few events of history. */
const TRY_AGAIN = { firstMs: 1_000, maxMs: 60_000 }

/**
 * Takes the lease, or waits until it can where the request says so; `onWait` is told who holds it, and null at the end.
 * Fails with LeaseTaken for a run that somebody started by hand and that does not wait.
 */
export async function takeLease(
  of: Plan['lease'],
  wait: boolean,
  onWait: (waiting: string | null) => void,
): Promise<Lease> {
  const { leaseHolder } = proxyActivities<Activities>({ ...PLANNING, summary: 'who holds the lease?' })
  const id = leaseId(of.taskQueue, of)
  for (let pauseMs = TRY_AGAIN.firstMs; ; pauseMs = Math.min(TRY_AGAIN.maxMs, pauseMs * 2)) {
    const held = await tryToTake(id)
    if (held !== undefined) {
      onWait(null)
      return { kind: 'held', release: () => release(held) }
    }
    const holder = await leaseHolder({ id })
    if (!wait) {
      if (isScheduled()) return { kind: 'taken', why: leaseTaken(of, holder) }
      throw failure('LeaseTaken', leaseTakenAdvice(of, holder))
    }
    onWait(`waiting: ${leaseTaken(of, holder)}`)
    await sleep(pauseMs, { summary: leaseTaken(of, holder).slice(0, MAX_SUMMARY_CHARS) })
  }
}

/** Temporal takes summaries of up to 400 bytes. */
const MAX_SUMMARY_CHARS = 200

/** Not to be cancelled: a run that is ends its dbt first, and keeps the lease until it has. */
async function tryToTake(id: string): Promise<ChildWorkflowHandle<typeof lease> | undefined> {
  try {
    return await CancellationScope.nonCancellable(() =>
      startChild(lease, {
        workflowId: id,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        parentClosePolicy: ParentClosePolicy.TERMINATE,
        staticSummary: `held by ${workflowInfo().workflowId}`.slice(0, MAX_SUMMARY_CHARS),
        memo: { holder: workflowInfo().workflowId },
      }),
    )
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined
    throw error
  }
}

/** Waits until it is free: the next run may start the moment that this one ends. */
async function release(held: ChildWorkflowHandle<typeof lease>): Promise<void> {
  try {
    await held.signal(releaseSignal)
    await held.result()
  } catch (error) {
    // Somebody ended it by hand: free it is.
    log.warn('the lease was gone before it was released', { ...describeFailure(error) })
  }
}

/** Whether a schedule started this run, by itself or because somebody triggered it. */
function isScheduled(): boolean {
  const by = defineSearchAttributeKey('TemporalScheduledById', SearchAttributeType.KEYWORD)
  return workflowInfo().typedSearchAttributes.get(by) !== undefined
}
