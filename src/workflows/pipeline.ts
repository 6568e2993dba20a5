// The story of a run: plan → lease → ingest → dbt run → dbt test → validate → record. One workflow for every pipeline.
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common'
import {
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { formatByteSize } from '../pipeline/byte-size.ts'
import { describeFailure, failure, withoutStack } from '../pipeline/failure.ts'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import { bytesBilled, type Outcome, type RunReport } from '../pipeline/report.ts'
import { PLANNING } from './attempt.ts'
import { takeLease, type Lease } from './lease.ts'
import { showNodes, type ShownNodes } from './node-bars.ts'
import { closeReport, record } from './record.ts'
import { openRunState, type RunState } from './run-state.ts'
import { contextOf, runStep, waitForAllFiles, type MissingFiles } from './steps.ts'
import { tellEnd, watchSlowness } from './tell-alerts.ts'

/**
 * Runs the pipeline that the workflow type names. Resolves to the report of a run that succeeded or warned; fails with
 * the first failure's type and message otherwise (the report is in the failure's details), and is cancelled when it was.
 * The refresh log and report.json are written in every case.
 */
export default async function pipeline(request: RunRequest = {}): Promise<RunReport> {
  const startedAtMs = Date.now()
  const state = openRunState()
  let plan: Plan | null = null
  let lease: Lease | undefined
  let ended: unknown

  try {
    const { planRun } = proxyActivities<Activities>(PLANNING)
    const frozen = await planRun({ pipeline: workflowInfo().workflowType, request, runTimeMs: runTimeMs(request) })
    plan = frozen
    state.begin(frozen)
    const nodes = showNodes(frozen, state)
    showOutcome(frozen, 'running')
    if (frozen.obstacle) throw failure(frozen.obstacle.type, frozen.obstacle.message)
    const missing = await waitForAllFiles(frozen, state)
    lease = { kind: 'none' }
    lease = await takeLease(frozen.lease, request.wait === true, (waiting) => state.wait(waiting))
    if (lease.kind === 'held') {
      const slowness = watchSlowness(frozen, state, Date.now())
      try {
        await withinTimeLimit(frozen, async () => {
          await endLeftRuns(frozen)
          await runSteps(frozen, state, nodes, missing)
        })
      } finally {
        await slowness.stop()
      }
    }
  } catch (error) {
    ended = error
  }

  const report = closeReport(plan, request, state, startedAtMs, ended, lease?.kind === 'taken' ? lease.why : null)
  return await CancellationScope.nonCancellable(async () => {
    try {
      // A run that asked for the lease and did not get it leaves nothing but its report.
      return await finish(plan, lease?.kind === 'none' ? null : plan, request, state, report)
    } finally {
      if (lease?.kind === 'held') await lease.release()
    }
  })
}

/** A terminated run frees its lease before its dbt is dead. */
async function endLeftRuns(plan: Plan): Promise<void> {
  const activities = proxyActivities<Activities>({ ...PLANNING, summary: 'nothing of an earlier run lives' })
  await activities.endLeftRuns({ plan: contextOf(plan), lease: plan.lease })
}

/** The request's, else the schedule's, else when the run was started: the same on every attempt and replay. */
function runTimeMs({ runTime }: RunRequest): number {
  if (runTime !== undefined) return Date.parse(runTime)
  const scheduled = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME)
  const { typedSearchAttributes, startTime } = workflowInfo()
  return (typedSearchAttributes.get(scheduled) ?? startTime).getTime()
}

/** One step after the other. A failing one ends the run, unless its `on_failure` is `warn`. */
async function runSteps(plan: Plan, state: RunState, nodes: ShownNodes, missing: MissingFiles): Promise<void> {
  for (const step of plan.steps) {
    if (step.skipped) {
      state.update(step.id, { state: 'skipped' })
      continue
    }
    const startedAtMs = Date.now()
    state.update(step.id, { state: 'running', startedAtMs, attempts: 1 })
    try {
      requireBudget(plan, state)
      const outcome = await runStep(plan, step, state, missing)
      state.update(step.id, { state: outcome, durationMs: Date.now() - startedAtMs })
      // No file to load, and none has to be there: then there is nothing for the other steps either.
      if (outcome === 'skipped') return
    } catch (error) {
      const durationMs = Date.now() - startedAtMs
      if (isCancellation(error)) {
        state.update(step.id, { state: 'cancelled', durationMs })
        throw error
      }
      const tolerated = step.onFailure === 'warn'
      state.update(step.id, { state: tolerated ? 'warned' : 'failed', durationMs, failure: describeFailure(error) })
      if (!tolerated) throw error
    } finally {
      await nodes.end(step.id)
    }
  }
}

/** Before each step: one that is under way is stopped by its own activity. */
function requireBudget({ bigquery, pipeline }: Plan, { steps }: RunState): void {
  const billed = bytesBilled(steps) ?? 0
  const { maxBytesBilled } = bigquery
  if (maxBytesBilled === null || billed <= maxBytesBilled) return
  throw failure(
    'BudgetExceeded',
    `the run was billed ${formatByteSize(billed)} so far, more than its budget of ${formatByteSize(maxBytesBilled)}; ` +
      `see which nodes read most (report.json), or raise \`bigquery: { max_bytes_billed }\` in pipelines/${pipeline}.yml`,
  )
}

/** Cancels the work when the run's time is up, so that recording still happens. */
async function withinTimeLimit(plan: Plan, work: () => Promise<void>): Promise<void> {
  const limited = new CancellationScope()
  const clock = new CancellationScope()
  let timeIsUp = false
  const watch = clock
    .run(async () => {
      await sleep(plan.timeoutMs, { summary: 'time limit of the run' })
      timeIsUp = true
      limited.cancel()
    })
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error
    })
  try {
    await limited.run(work)
  } catch (error) {
    if (!timeIsUp || !isCancellation(error)) throw error
    throw failure(
      'RunTimedOut',
      `the run took longer than its timeout of ${plan.timeoutMs / 1000} s and was stopped; ` +
        `find the slow step, or raise \`timeout\` in pipelines/${plan.pipeline}.yml`,
    )
  } finally {
    clock.cancel()
    await watch
  }
}

/** Records the run (in the warehouse of the plan to record), then ends the workflow the way the run ended. */
async function finish(
  plan: Plan | null,
  toRecord: Plan | null,
  request: RunRequest,
  state: RunState,
  report: RunReport,
): Promise<RunReport> {
  const recordFailure = await record(toRecord, state, report)
  const final: RunReport = {
    ...report,
    steps: [...state.steps],
    outcome: recordFailure !== null && report.outcome !== 'cancelled' ? 'failed' : report.outcome,
    failure: report.failure ?? recordFailure,
  }
  if (plan !== null) showOutcome(plan, final.outcome)
  await tellEnd(plan, request, final)
  state.end(final)
  if (final.outcome === 'cancelled') throw new CancelledFailure('the run was cancelled')
  if (final.failure !== null) throw withoutStack(failure(final.failure.type, final.failure.message, [final]))
  return final
}

/** Makes the run findable by what it is and how it goes, where the server knows these attributes. */
function showOutcome(plan: Plan, outcome: Outcome | 'running'): void {
  if (!plan.searchAttributes) return
  const keyword = (name: string, value: string) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value,
  })
  upsertSearchAttributes([
    keyword('Pipeline', plan.pipeline),
    keyword('Target', plan.target),
    keyword('LogicalDate', plan.logicalDate),
    keyword('Outcome', outcome),
  ])
}
