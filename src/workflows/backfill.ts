// A backfill: one run of a pipeline for each day of a range, in order, one at a time, whatever happens to workers meanwhile.
import { ChildWorkflowFailure } from '@temporalio/common'
import {
  CancelledFailure,
  continueAsNew,
  defineQuery,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import {
  backfillOutcome,
  backfillTable,
  backfillText,
  type BackfillDay,
  type BackfillReport,
  type BackfillRequest,
} from '../pipeline/backfill.ts'
import { describeFailure, failure, withoutStack, type FailureInfo } from '../pipeline/failure.ts'
import { daysBetween } from '../pipeline/logical-date.ts'
import { DEFAULT_POLICIES } from '../pipeline/policies.ts'
import type { Outcome, RunReport } from '../pipeline/report.ts'
import { attempt, optionsFor, PLANNING } from './attempt.ts'

export const daysQuery = defineQuery<BackfillReport>('days')

/**
 * Runs the pipeline for each day that the refresh log does not call good. Fails with BackfillFailed when a day failed (at
 * once, or at the end where it keeps going); its report is in the failure's details then. Cancelled, it cancels the day under way.
 */
export async function backfill(request: BackfillRequest): Promise<BackfillReport> {
  const { pipeline, target, from, to, done } = request
  const days: BackfillDay[] = [...done]
  for (const day of daysBetween(from, to).slice(done.length)) {
    days.push({ day, state: 'pending', workflowId: null, failure: null })
  }
  const report = (): BackfillReport => ({ pipeline, target, from, to, outcome: backfillOutcome(days), days })
  const show = (index: number, change: Partial<BackfillDay>) => {
    const day = days[index]
    if (day !== undefined) days[index] = { ...day, ...change }
    setCurrentDetails(backfillTable(days))
  }
  setHandler(daysQuery, report)
  setCurrentDetails(backfillTable(days))

  const good = request.redo ? new Set<string>() : new Set(await goodDays(request))
  const last = done.length + request.daysPerExecution
  for (let index = done.length; index < days.length; index++) {
    if (index === last) return await goOnAsNew(request, days.slice(0, index))
    const day = days[index]?.day ?? ''
    if (good.has(day)) {
      show(index, { state: 'good before' })
      continue
    }
    const workflowId = `${pipeline}-${target}-${day}-${workflowInfo().firstExecutionRunId.slice(0, 6)}`
    show(index, { state: 'running', workflowId })
    const ended = await runDay(request, day, workflowId)
    show(index, ended)
    if (ended.state === 'cancelled' || (ended.state === 'failed' && !request.keepGoing)) {
      for (let rest = index + 1; rest < days.length; rest++) show(rest, { state: 'not done' })
      break
    }
  }
  return finish(report())
}

/** Such a run waits for the lease: other runs go on beside a backfill. */
async function runDay(
  { pipeline, request, dateParam }: BackfillRequest,
  day: string,
  workflowId: string,
): Promise<{ readonly state: Outcome; readonly failure: FailureInfo | null }> {
  try {
    const { outcome } = await executeChild<(request: unknown) => Promise<RunReport>>(pipeline, {
      workflowId,
      args: [{ ...request, params: { ...request.params, [dateParam]: day }, wait: true }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `${pipeline} · ${request.target ?? ''} · ${day} · backfill`,
    })
    return { state: outcome, failure: null }
  } catch (error) {
    if (isCancellation(error)) return { state: 'cancelled', failure: null }
    return { state: 'failed', failure: describeFailure(error instanceof ChildWorkflowFailure ? error.cause : error) }
  }
}

/** Days of the range with a good run in the refresh log; none where the pipeline has no such log. */
async function goodDays({ pipeline, target, from, to, request }: BackfillRequest): Promise<readonly string[]> {
  const { planBackfill } = proxyActivities<Activities>({ ...PLANNING, summary: 'which warehouse?' })
  const { plan, refreshLog } = await planBackfill({ pipeline, target })
  if (refreshLog === null) return []
  const policy = { ...DEFAULT_POLICIES.validate, ...request.policies?.validate }
  return await attempt(
    policy,
    async (number) => {
      const place = { taskQueue: plan.warehouse.taskQueue, activityId: `good-days/${number}`, summary: refreshLog }
      return await proxyActivities<Activities>(optionsFor(policy, place)).goodDays({ plan, refreshLog, from, to })
    },
    () => undefined,
  )
}

async function goOnAsNew(request: BackfillRequest, done: readonly BackfillDay[]): Promise<never> {
  return await continueAsNew<typeof backfill>({ ...request, done })
}

function finish(report: BackfillReport): BackfillReport {
  if (report.outcome === 'cancelled') throw new CancelledFailure('the backfill was cancelled')
  if (report.outcome !== 'failed') return report
  const first = report.days.find(({ state }) => state === 'failed')
  throw withoutStack(
    failure(
      'BackfillFailed',
      `${backfillText(report.days)}; first ${first?.day ?? ''}, ${first?.failure?.type ?? ''}: ` +
        `mend what npx millrace logs ${first?.workflowId ?? ''} says, then give the same backfill again: it goes on with what is not done`,
      [report],
    ),
  )
}
