// Ends what a dbt that was killed left running in the warehouse: such a query holds locks, and costs money.
import { activityInfo, Context } from '@temporalio/activity'
import { describeFailure } from '../pipeline/failure.ts'
import type { BrokenOff } from '../dbt/resume.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { withWarehouse } from './with-warehouse.ts'

/**
 * Does nothing where no dbt was broken off. That the warehouse cannot be asked is no reason not to go on: the next attempt
 * then waits for the locks of the query that is left, or meets the same failure itself.
 */
export async function endLeftQueries(
  deps: ActivityDeps,
  plan: RunContext,
  brokenOff: readonly BrokenOff[],
  abort: AbortSignal,
  /** Of another run that is dead; the current one when left out. */
  ofRun?: string,
): Promise<void> {
  // A query of DuckDB lives in the process that asked it.
  if (brokenOff.length === 0 || plan.warehouse.kind === 'duckdb') return
  const { log } = Context.current()
  try {
    const runId = ofRun ?? activityInfo().workflowExecution?.runId ?? ''
    const ended = await withWarehouse(deps, plan, abort, async ({ open }) =>
      (await open()).endLeftovers({ runId, dbt: brokenOff }),
    )
    if (ended > 0) log.info('ended queries that a killed dbt had left', { ended })
  } catch (error) {
    log.warn('queries that a killed dbt may have left were not looked for', { ...describeFailure(error) })
  }
}
