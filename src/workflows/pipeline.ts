// The story of a run: plan → ingest → dbt run → dbt test → validate → record. One workflow for every pipeline.
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
import { showNodes, type ShownNodes } from './node-bars.ts'
import { closeReport, record } from './record.ts'
import { openRunState, type RunState } from './run-state.ts'
import { runStep } from './steps.ts'
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
  let ended: unknown

  try {
    const { planRun } = proxyActivities<Activities>(PLANNING)
    const frozen = await planRun({ pipeline: workflowInfo().workflowType, request, runTimeMs: runTimeMs() })
    plan = frozen
    state.begin(frozen)
    const nodes = showNodes(frozen, state)
    showOutcome(frozen, 'running')
    if (frozen.obstacle) throw failure(frozen.obstacle.type, frozen.obstacle.message)
    const slowness = watchSlowness(frozen, state, startedAtMs)
    try {
      await withinTimeLimit(frozen, () => runSteps(frozen, state, nodes))
    } finally {
      await slowness.stop()
    }
  } catch (error) {
    ended = error
  }

  const report = closeReport(plan, request, state, startedAtMs, ended)
  return await CancellationScope.nonCancellable(() => finish(plan, request, state, report))
}

/** The schedule's time where there is one, else when the run was started: the same on every attempt and replay. */
function runTimeMs(): number {
  const scheduled = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME)
  const { typedSearchAttributes, startTime } = workflowInfo()
  return (typedSearchAttributes.get(scheduled) ?? startTime).getTime()
}

/** One step after the other. A failing one ends the run, unless its `on_failure` is `warn`. */
async function runSteps(plan: Plan, state: RunState, nodes: ShownNodes): Promise<void> {
  for (const step of plan.steps) {
    if (step.skipped) {
      state.update(step.id, { state: 'skipped' })
      continue
    }
    const startedAtMs = Date.now()
    state.update(step.id, { state: 'running', startedAtMs, attempts: 1 })
    try {
      requireBudget(plan, state)
      const outcome = await runStep(plan, step, state)
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
      nodes.end(step.id)
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

/** Records the run, then ends the workflow the way the run ended. */
async function finish(plan: Plan | null, request: RunRequest, state: RunState, report: RunReport): Promise<RunReport> {
  const recordFailure = await record(plan, state, report)
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
