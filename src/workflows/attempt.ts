// From a policy to Temporal's options: the server retries only lost workers, failed work is counted by attempt().
import {
  ActivityCancellationType,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  sleep,
  type ActivityOptions,
} from '@temporalio/workflow'
import {
  describeFailure,
  failureDetail,
  retriesWorthwhile,
  type FailureInfo,
  type FailureType,
} from '../pipeline/failure.ts'
import type { Policy } from '../pipeline/policies.ts'
import type { DbtFailureDetail } from '../pipeline/report.ts'

/** Planning needs no warehouse, so a lost attempt is repeated at once; it can take as long as `dbt parse` does. */
export const PLANNING: ActivityOptions = {
  startToCloseTimeout: '10m',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', maximumInterval: '30s' },
  scheduleToCloseTimeout: '12h',
  summary: 'freeze the plan',
}

export function optionsFor(
  policy: Omit<Policy, 'retryDelayMs'>,
  place: { readonly taskQueue: string; readonly activityId: string; readonly summary: string },
): ActivityOptions {
  return {
    ...place,
    startToCloseTimeout: policy.startToCloseMs,
    heartbeatTimeout: policy.heartbeatMs,
    scheduleToCloseTimeout: policy.scheduleToCloseMs,
    // The next activity needs the warehouse: wait until this one has let go of it.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: policy.lostWorkerDelayMs, maximumInterval: policy.lostWorkerDelayMs * 10 },
  }
}

/** Another program that has the warehouse open is waited for: five minutes, without using up a retry. */
const BUSY_WAITS = 30
const BUSY_WAIT_MS = 10_000

export interface RetryPolicy extends Omit<Policy, 'retryDelayMs'> {
  /** Null: what the failure itself asks for, doubled each time. */
  readonly retryDelayMs: number | null
  /** Failures that are tried again although a retry seldom helps. */
  readonly retried?: readonly FailureType[]
}

const USUAL_DELAY = { firstMs: 5_000, maxMs: 300_000 }

function usualDelayMs(error: unknown, failed: number): number {
  const detail = failureDetail(error) as Partial<DbtFailureDetail> | undefined // the activity's own type
  const { firstMs, maxMs } = detail?.retryDelay ?? USUAL_DELAY
  return Math.min(maxMs, firstMs * 2 ** (failed - 1))
}

/**
 * Does work until it succeeds, fails for good, or has used up its retries. The work gets the number of the attempt,
 * from 1. A lost worker is not counted here: Temporal starts the same activity again.
 */
export async function attempt<T>(
  policy: RetryPolicy,
  work: (attemptNumber: number) => Promise<T>,
  onRetry: (attemptNumber: number, failure: FailureInfo) => void,
): Promise<T> {
  let busy = 0
  for (let number = 1; ; number++) {
    try {
      return await work(number)
    } catch (error) {
      if (isCancellation(error)) throw error
      // Once cancellation was asked for, a worker that dies brings a time-out in its place.
      if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the run was cancelled')
      const info = describeFailure(error)
      if (info.type === 'WarehouseBusy' && busy < BUSY_WAITS) {
        busy++
        onRetry(number, info)
        await sleep(BUSY_WAIT_MS, { summary: 'another program has the warehouse open' })
        continue
      }
      const failed = number - busy
      const retries = Math.min(
        policy.retries,
        policy.retried?.includes(info.type) ? Infinity : retriesWorthwhile(info.type),
      )
      if (failed > retries) throw error
      onRetry(number, info)
      const delayMs = policy.retryDelayMs ?? usualDelayMs(error, failed)
      await sleep(delayMs, { summary: `retry ${failed} of ${retries} after ${info.type}` })
    }
  }
}
