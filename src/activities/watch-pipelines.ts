// watchPipelines: tells the alert workflow of each pipeline by when it should have succeeded. What it last did, that one knows.
import { createHash } from 'node:crypto'
import { activityInfo, Context } from '@temporalio/activity'
import type { Client, ScheduleDescription } from '@temporalio/client'
import { profileLocation } from '../dbt/profile-location.ts'
import { listTargets } from '../dbt/profile.ts'
import { ALERT_SIGNAL, alertWorkflowId, type PlannedAlerts, type StaleDeadline } from '../pipeline/alert-state.ts'
import { planAlerts } from '../pipeline/alerts.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { durationMs } from '../pipeline/duration.ts'
import { describeFailure } from '../pipeline/failure.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import type { ActivityDeps } from './context.ts'

/** A line for each pipeline and target that it looked at; a pipeline file that is wrong is one of them, not a failure. */
export function createWatchPipelines({ workspace }: ActivityDeps) {
  return async function watchPipelines(_nothing: object): Promise<readonly string[]> {
    const { client } = Context.current()
    const lines: string[] = []
    for (const name of await listPipelines(workspace.pipelinesDir)) {
      try {
        const definition = await loadPipeline(workspace.pipelinesDir, name)
        const settings = planAlerts(definition.alerts)
        if (settings?.on.includes('stale') !== true) continue
        for (const [target, schedules] of await schedulesByTarget(client, definition, workspace.root)) {
          const deadline = staleDeadline(settings, schedules, durationMs(definition.timeout), Date.now())
          await tellAlertWorkflow(client, name, target, settings, deadline)
          const what = deadline === null ? 'paused' : `due by ${new Date(deadline.atMs).toISOString()} at the latest`
          lines.push(`${name} · ${target}: ${what}`)
        }
      } catch (error) {
        const { message } = describeFailure(error)
        lines.push(`${name}: not watched: ${message.split('\n')[0] ?? ''}`)
        Context.current().log.warn('a pipeline is not watched', { pipeline: name, problem: message })
      }
    }
    return lines
  }
}

/** What the server holds of a schedule that the pipeline file asks for. */
export type WatchedSchedule = Pick<ScheduleDescription, 'state' | 'info' | 'spec'>

/** Those that nobody has applied are left out: nothing starts them. A pipeline without schedules is watched on its usual target. */
async function schedulesByTarget(
  client: Client,
  definition: PipelineDefinition,
  root: string,
): Promise<Map<string, WatchedSchedule[] | null>> {
  const found = new Map<string, WatchedSchedule[] | null>()
  for (const [name, { target }] of Object.entries(definition.schedules)) {
    const schedules = found.get(target) ?? []
    found.set(target, schedules)
    try {
      schedules.push(await client.schedule.getHandle(`${definition.name}.${name}`).describe())
    } catch (error) {
      if (!(error instanceof Error && error.name === 'ScheduleNotFoundError')) throw error
    }
  }
  if (found.size === 0) {
    const { default: usual } = await listTargets(profileLocation(definition, root))
    found.set(usual, null)
  }
  return found
}

/**
 * When a pipeline that does not succeed from now on is stale: `stale_after` from now, or with the second firing from now of
 * the schedule that fires most often, and the time that its run may take. Null where all schedules are paused: then
 * nothing is due. `schedules` is null where the pipeline has none.
 */
export function staleDeadline(
  { staleAfterMs }: PlannedAlerts,
  schedules: readonly WatchedSchedule[] | null,
  timeoutMs: number,
  nowMs: number,
): StaleDeadline | null {
  const active = schedules?.filter(({ state }) => !state.paused) ?? []
  if (schedules !== null && active.length === 0) return null
  const of = JSON.stringify([staleAfterMs, active.map(({ spec }) => spec)])
  if (staleAfterMs !== null) return { atMs: nowMs + staleAfterMs, of: digest(of) }
  const deadlines = active.flatMap(({ info }) => {
    const [first, second] = info.nextActionTimes.map((at) => at.getTime()).filter((atMs) => atMs > nowMs)
    if (first === undefined || second === undefined) return []
    return [second + Math.min(timeoutMs, (second - first) / 2)]
  })
  return deadlines.length === 0 ? null : { atMs: Math.min(...deadlines), of: digest(of) }
}

/** Enough to see a change. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

async function tellAlertWorkflow(
  client: Client,
  pipeline: string,
  target: string,
  settings: PlannedAlerts,
  deadline: StaleDeadline | null,
): Promise<void> {
  const { taskQueue } = activityInfo()
  await client.workflow.signalWithStart('alert', {
    taskQueue,
    workflowId: alertWorkflowId(taskQueue, pipeline, target),
    args: [{ pipeline, target, settings, events: [] }],
    signal: ALERT_SIGNAL,
    signalArgs: [{ settings, event: { kind: 'watched', deadline } }],
    staticSummary: `alerts · ${pipeline} · ${target}`,
  })
}
