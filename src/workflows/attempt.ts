// From a policy to Temporal's options: the server retries only lost workers, failed work is counted by attempt().
import { ActivityCancellationType, isCancellation, sleep, type ActivityOptions } from '@temporalio/workflow'
import { canRetryHelp, describeFailure, type FailureInfo } from '../pipeline/failure.ts'
import type { Policy } from '../pipeline/policies.ts'

/** Planning needs no warehouse, so a lost attempt is repeated at once; it can take as long as `dbt parse` does. */
export const PLANNING: ActivityOptions = {
  startToCloseTimeout: '10m',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', maximumInterval: '30s' },
  scheduleToCloseTimeout: '12h',
  summary: 'freeze the plan',
}

export function optionsFor(
  policy: Policy,
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

/**
 * Does work until it succeeds, fails for good, or has used up its retries. The work gets the number of the attempt,
 * from 1. A lost worker is not counted here: Temporal starts the same activity again.
 */
export async function attempt<T>(
  policy: Policy,
  work: (attemptNumber: number) => Promise<T>,
  onRetry: (attemptNumber: number, failure: FailureInfo) => void,
): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await work(number)
    } catch (error) {
      const info = describeFailure(error)
      if (isCancellation(error) || !canRetryHelp(info.type) || number > policy.retries) throw error
      onRetry(number, info)
      await sleep(policy.retryDelayMs, { summary: `retry ${number} of ${policy.retries} after ${info.type}` })
    }
  }
}
