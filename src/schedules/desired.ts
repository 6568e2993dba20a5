// The schedules that the pipeline files ask for, in Temporal's terms.
import type { ScheduleOptions } from '@temporalio/client'
import { ScheduleOverlapPolicy } from '@temporalio/client'
import { profileLocation } from '../dbt/profile-location.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { durationMs } from '../pipeline/duration.ts'
import { describeFailure } from '../pipeline/failure.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import type { Workspace } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'

export interface DesiredSchedule {
  /** `<pipeline>.<schedule>`. */
  readonly id: string
  readonly pipeline: string
  readonly target: string
  readonly cron: string
  readonly timeZone: string
  readonly group: string | undefined
  readonly catchupMs: number
  readonly request: RunRequest
  /** The pipeline file asks for it to be paused. */
  readonly paused: boolean
  /** Why it cannot run here, in one line; undefined when it can. */
  readonly obstacle: string | undefined
}

/** All schedules of a workspace. Fails when a pipeline file is wrong: half a wanted state would remove the other half. */
export async function desiredSchedules(workspace: Workspace, taskQueue: string): Promise<DesiredSchedule[]> {
  const desired: DesiredSchedule[] = []
  let watched = false
  for (const pipeline of await listPipelines(workspace.pipelinesDir)) {
    const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
    watched ||= definition.alerts?.on.includes('stale') === true
    const location = profileLocation(definition, workspace.root)
    for (const [name, { cron, target, catchup, params, paused, time_zone, group }] of Object.entries(
      definition.schedules,
    )) {
      const obstacle = await readProfileTarget(location, target)
        .then((profile) => void warehouseAddress(profile, location.projectDir))
        .catch((error: unknown) => describeFailure(error).message.split('\n')[0])
      desired.push({
        id: `${pipeline}.${name}`,
        pipeline,
        target,
        cron,
        timeZone: time_zone,
        group,
        catchupMs: durationMs(catchup),
        request: params === undefined ? { target } : { target, params },
        paused,
        obstacle: obstacle ?? undefined,
      })
    }
  }
  return watched ? [...desired, watchSchedule(taskQueue)] : desired
}

/** Looks every ten minutes whether a pipeline is stale; only where one asks for it. */
function watchSchedule(taskQueue: string): DesiredSchedule {
  return {
    id: `${taskQueue}.watch`,
    pipeline: 'watch',
    target: 'all pipelines',
    cron: '*/10 * * * *',
    timeZone: 'UTC',
    group: undefined,
    // Nothing is gained by looking twice.
    catchupMs: 60_000,
    request: {},
    paused: false,
    obstacle: undefined,
  }
}

/** Notes of a pause that is ours to lift begin so; a person's pause stays. */
export const OUR_PAUSE = 'millrace: '

/** The memo key that says whose schedule it is: workers of one task queue own theirs. */
export const OWNER_KEY = 'millraceOwner'

/** What each run of a schedule carries; the only place where a schedule that is there can keep a text of ours. */
export const WORKFLOW_MEMO = { group: 'group' } as const

/** The whole wanted state, except for a pause that a person made. */
export function scheduleOptions(desired: DesiredSchedule, taskQueue: string): ScheduleOptions {
  const { pipeline, target, request } = desired
  return {
    scheduleId: desired.id,
    spec: { cronExpressions: [desired.cron], timezone: desired.timeZone },
    action: {
      type: 'startWorkflow',
      workflowType: pipeline,
      // Its own for each schedule: Temporal adds the time, and two that fire together must not meet.
      workflowId: desired.id,
      taskQueue,
      args: [request],
      ...(desired.group === undefined ? {} : { memo: { [WORKFLOW_MEMO.group]: desired.group } }),
      staticSummary: `${pipeline} · ${target} · scheduled`,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: desired.catchupMs, pauseOnFailure: false },
    memo: { [OWNER_KEY]: taskQueue },
    state: pauseOf(desired),
  }
}

export function pauseOf({ paused, obstacle }: DesiredSchedule): { paused: boolean; note: string } {
  if (obstacle !== undefined) return { paused: true, note: `${OUR_PAUSE}not configured here: ${obstacle}` }
  return { paused, note: paused ? `${OUR_PAUSE}paused in the pipeline file` : '' }
}
