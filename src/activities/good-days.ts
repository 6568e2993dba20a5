// planBackfill and goodDays: which days of a range need no run, because the refresh log calls their last one good.
import { loadPipeline } from '../pipeline/load.ts'
import path from 'node:path'
import type { Identifier } from '../pipeline/identifier.ts'
import { profileLocation } from '../dbt/profile-location.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { parseByteSize } from '../pipeline/byte-size.ts'
import { plannedRefreshLog } from '../pipeline/refresh-log.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import type { LoggedRun } from '../warehouses/warehouse.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { isPartial } from './record-refresh.ts'
import { withWarehouse } from './with-warehouse.ts'

/** Of a run the part that opens its warehouse; null for a pipeline without a refresh log. */
export interface BackfillPlan {
  readonly plan: RunContext
  readonly refreshLog: Identifier | null
}

export function createPlanBackfill(deps: ActivityDeps) {
  return async function planBackfill(of: {
    readonly pipeline: string
    readonly target: string
  }): Promise<BackfillPlan> {
    const { root, pipelinesDir } = deps.workspace
    const definition = await loadPipeline(pipelinesDir, of.pipeline)
    const location = profileLocation(definition, root)
    const profile = await readProfileTarget(location, of.target)
    const address = warehouseAddress(profile, location.projectDir)
    const { staging_bucket, max_bytes_billed } = definition.bigquery
    return {
      plan: {
        pipeline: of.pipeline,
        target: profile.target,
        logicalDate: '',
        params: {},
        warehouse: {
          kind: address.kind,
          label: address.label,
          schema: address.schema,
          taskQueue: await deps.serveWarehouse(address),
        },
        dbt: {
          projectDir: path.relative(root, location.projectDir),
          profilesDir: path.relative(root, profile.profilesDir),
          executable: null,
          digest: '',
          nodeBars: false,
          marts: [],
        },
        bigquery: {
          stagingBucket: staging_bucket ?? null,
          maxBytesBilled: max_bytes_billed ? parseByteSize(max_bytes_billed) : null,
        },
      },
      refreshLog: plannedRefreshLog(definition.refresh_log).refreshLog ?? null,
    }
  }
}

export interface GoodDaysInput extends BackfillPlan {
  readonly refreshLog: Identifier
  /** First and last day, YYYY-MM-DD. */
  readonly from: string
  readonly to: string
}

/** More runs than this since the first day are not looked at: their days are then done again, which does no harm. */
const MAX_RUNS = 100_000

export function createGoodDays(deps: ActivityDeps) {
  return async function goodDays({ plan, refreshLog, from, to }: GoodDaysInput): Promise<string[]> {
    return await withHeartbeat((_show, abort) =>
      withWarehouse(deps, plan, abort, async ({ open }) => {
        const table = { schema: plan.warehouse.schema, table: refreshLog }
        const runs = await (await open()).readRefreshLog(table, { since: `${from}T00:00:00Z`, limit: MAX_RUNS })
        return daysWithGoodRuns(runs, plan, from, to)
      }),
    )
  }
}

/**
 * The last whole run of a day says whether it is good. One that was skipped or cancelled, or did only some of the steps,
 * says nothing. Takes the runs with the newest first.
 */
export function daysWithGoodRuns(
  runs: readonly LoggedRun[],
  { pipeline, target }: Pick<RunContext, 'pipeline' | 'target'>,
  from: string,
  to: string,
): string[] {
  const lastOutcome = new Map<string, string>()
  for (const run of runs) {
    if (run.pipeline !== pipeline || run.target !== target || run.logicalDate < from || run.logicalDate > to) continue
    if (['skipped', 'cancelled'].includes(run.outcome) || isPartial(run)) continue
    if (!lastOutcome.has(run.logicalDate)) lastOutcome.set(run.logicalDate, run.outcome)
  }
  return [...lastOutcome].flatMap(([day, outcome]) => (['succeeded', 'warned'].includes(outcome) ? [day] : [])).sort()
}
