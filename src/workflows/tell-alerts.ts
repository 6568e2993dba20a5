// A run tells its pipeline's alert workflow how it goes. Telling never holds up a run, and never fails one.
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  proxyActivities,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { alertWorkflowId, type AlertEvent, type PlannedAlerts, type RunFacts } from '../pipeline/alert-state.ts'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import { refreshCounts } from '../pipeline/refresh-counts.ts'
import { stepSummary, type RunReport, type StepReport } from '../pipeline/report.ts'
import { alertSignal, type alert } from './alert.ts'
import type { RunState } from './run-state.ts'

const MOST_WARNINGS = 5

/** Tells of a run that is over. One that was skipped, cancelled or did not begin says nothing of its pipeline, nor does one of some steps only. */
export async function tellEnd(plan: Plan | null, request: RunRequest, report: RunReport): Promise<void> {
  const { outcome } = report
  if (outcome === 'skipped' || outcome === 'cancelled' || report.failure?.type === 'LeaseTaken') return
  if (request.only !== undefined || request.from !== undefined) return
  const run = runFacts(report, outcome)
  if (plan !== null) await tell(plan.alerts, plan.pipeline, plan.target, { kind: 'ended', run })
  else await tellUnplanned(request, run)
}

/** Whom to tell stands in the plan; where there is none, the pipeline file is asked. */
async function tellUnplanned({ target: asked }: RunRequest, run: RunFacts): Promise<void> {
  const pipeline = workflowInfo().workflowType
  try {
    const { readAlerts } = proxyActivities<Activities>({
      startToCloseTimeout: '1m',
      scheduleToCloseTimeout: '10m',
      summary: 'whom to tell',
    })
    const { alerts, target } = await readAlerts({ pipeline, target: asked ?? null })
    await tell(alerts ?? undefined, pipeline, target, { kind: 'ended', run })
  } catch (error) {
    log.warn('nobody could be told that the run failed', { error: String(error) })
  }
}

/** Tells of a run that takes too long, while it does. `stop` ends the watch. */
export function watchSlowness(plan: Plan, state: RunState, startedAtMs: number): { stop(): Promise<void> } {
  const { alerts, pipeline, target, logicalDate } = plan
  const limitMs = alerts?.on.includes('slow') === true ? alerts.slowAfterMs : null
  if (limitMs === null) return { stop: async () => undefined }
  const clock = new CancellationScope()
  const watch = clock
    .run(async () => {
      await sleep(Math.max(1, startedAtMs + limitMs - Date.now()), { summary: 'slow after' })
      const { workflowId, runId } = workflowInfo()
      const durationMs = Date.now() - startedAtMs
      const run: RunFacts = {
        workflowId,
        runId,
        logicalDate,
        outcome: 'running',
        failure: null,
        counts: null,
        startedAtMs,
        durationMs,
        step: state.steps.find((step) => step.state === 'running')?.title ?? null,
        warnings: warningsOf(state.steps),
      }
      await CancellationScope.nonCancellable(() => tell(alerts, pipeline, target, { kind: 'slow', run }))
    })
    .catch((error: unknown) => {
      if (!isCancellation(error)) log.warn('nobody could be told that the run is slow', { error: String(error) })
    })
  return {
    async stop() {
      clock.cancel()
      await watch
    },
  }
}

/** The alert workflow lives on after the run; a success is only told to one that is there already. */
async function tell(
  settings: PlannedAlerts | undefined,
  pipeline: string,
  target: string,
  event: AlertEvent,
): Promise<void> {
  if (settings === undefined) return
  const workflowId = alertWorkflowId(workflowInfo().taskQueue, pipeline, target)
  try {
    if (await signalled(workflowId, settings, event)) return
    if (event.kind === 'ended' && event.run.outcome === 'succeeded') return
    await startChild<typeof alert>('alert', {
      workflowId,
      args: [{ pipeline, target, settings, events: [event] }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `alerts · ${pipeline} · ${target}`,
    }).catch(async (error: unknown) => {
      // Another run has started it meanwhile.
      if (!(await signalled(workflowId, settings, event))) throw error
    })
  } catch (error) {
    log.warn('the alert workflow could not be told', { error: String(error) })
  }
}

async function signalled(workflowId: string, settings: PlannedAlerts, event: AlertEvent): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(alertSignal, { settings, event })
    return true
  } catch (error) {
    if (isCancellation(error)) throw error
    return false
  }
}

function runFacts(report: RunReport, outcome: 'succeeded' | 'warned' | 'failed'): RunFacts {
  const { workflowId, runId, logicalDate, failure, steps, startedAt, durationMs } = report
  const startedAtMs = Date.parse(startedAt)
  const step = steps.find(({ state }) => state === 'failed') ?? steps.find(({ state }) => state === 'warned')
  return {
    workflowId,
    runId,
    logicalDate,
    outcome,
    failure,
    startedAtMs,
    durationMs,
    step: step?.title ?? null,
    warnings: warningsOf(steps),
    counts: steps.length === 0 ? null : refreshCounts(report),
  }
}

function warningsOf(steps: readonly StepReport[]): string[] {
  return steps
    .filter(({ state }) => state === 'warned')
    .slice(0, MOST_WARNINGS)
    .map((step) => `${step.title}: ${stepSummary(step).slice(0, 300)}`)
}
