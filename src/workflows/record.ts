// The end of a run: its report is closed and recorded, whatever happened before.
import { isCancellation, proxyActivities, workflowInfo } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { describeFailure, type FailureInfo } from '../pipeline/failure.ts'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import { bytesBilled, bytesEstimated, outcomeOf, type Outcome, type RunReport } from '../pipeline/report.ts'
import { PLANNING } from './attempt.ts'
import { RECORD_STEP_ID, type RunState } from './run-state.ts'
import { contextOf, onWarehouse } from './steps.ts'

/** The report of everything but the recording itself. Steps that were not reached are skipped. */
export function closeReport(
  plan: Plan | null,
  request: RunRequest,
  state: RunState,
  startedAtMs: number,
  ended: unknown,
  note: string | null,
): RunReport {
  for (const step of state.steps) {
    if (step.state === 'pending' && step.id !== RECORD_STEP_ID) state.update(step.id, { state: 'skipped' })
  }
  const steps = state.steps.filter(({ id }) => id !== RECORD_STEP_ID)
  const finishedAtMs = Date.now()
  const commandOutcome = (command: 'run' | 'test'): Outcome | null => {
    const planned = plan?.steps.find(
      // A build is both.
      (step) => step.kind === 'dbt' && (step.command === command || step.command === 'build'),
    )
    const found = steps.find(({ id }) => id === planned?.id)?.state
    return found === undefined || found === 'pending' || found === 'running' ? null : found
  }
  return {
    pipeline: workflowInfo().workflowType,
    target: plan?.target ?? request.target ?? '',
    logicalDate: plan?.logicalDate ?? '',
    params: plan?.params ?? request.params ?? {},
    outcome: ended === undefined ? outcomeOf(steps) : isCancellation(ended) ? 'cancelled' : 'failed',
    run: commandOutcome('run'),
    test: commandOutcome('test'),
    steps,
    failure: ended === undefined ? null : describeFailure(ended),
    note,
    takeOver: plan?.takeOver ?? null,
    bytesBilled: bytesBilled(steps),
    bytesEstimated: bytesEstimated(steps),
    workflowId: workflowInfo().workflowId,
    runId: workflowInfo().runId,
    startedAt: new Date(startedAtMs).toISOString(),
    finishedAt: new Date(finishedAtMs).toISOString(),
    durationMs: finishedAtMs - startedAtMs,
  }
}

/** Writes report.json and the refresh log's row; returns what went wrong with that, if anything did. */
export async function record(plan: Plan | null, state: RunState, report: RunReport): Promise<FailureInfo | null> {
  const startedAtMs = Date.now()
  const show = state.update.bind(undefined, RECORD_STEP_ID)
  show({ state: 'running', startedAtMs, attempts: 1 })
  try {
    await recordRefresh(plan, report, (attempts) => show({ attempts }))
    show({ state: 'succeeded', durationMs: Date.now() - startedAtMs })
    return null
  } catch (error) {
    const info = describeFailure(error)
    show({ state: 'failed', durationMs: Date.now() - startedAtMs, failure: info })
    return info
  }
}

async function recordRefresh(plan: Plan | null, report: RunReport, onRetry: (nextAttempt: number) => void) {
  if (plan === null) {
    // Without a plan the warehouse is not known: only the report is written.
    const activities = proxyActivities<Activities>({ ...PLANNING, summary: 'report of a run without a plan' })
    await activities.recordRefresh({ plan: null, refreshLog: null, title: null, report })
    return
  }
  const refreshLog = plan.refreshLog ?? null
  const activity = { name: RECORD_STEP_ID, summary: `${refreshLog ?? 'report'} ← ${report.outcome}`, onRetry }
  await onWarehouse(plan, plan.policies.record, activity, (activities) =>
    activities.recordRefresh({ plan: contextOf(plan), refreshLog, title: plan.refreshTitle ?? null, report }),
  )
}
