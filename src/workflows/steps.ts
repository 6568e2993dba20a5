// One function per kind of step: which activity does it, on which queue, and what its result means for the run.
import { isCancellation, proxyActivities, sleep, workflowInfo, type ActivityInterfaceFor } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { commandText, DBT_ACTIVITIES } from '../pipeline/dbt-command.ts'
import { describeFailure, failure, failureDetail } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import type { IngestEntry, Plan, PlannedStep, RunReference } from '../pipeline/plan.ts'
import {
  bytesBilled,
  hasChangedTables,
  type DbtFailureDetail,
  type LoadProgress,
  type LoadReport,
  type MartReport,
  type Outcome,
} from '../pipeline/report.ts'
import { isWarm } from '../pipeline/warm.ts'
import { attempt, optionsFor, PLANNING, type RetryPolicy } from './attempt.ts'
import type { RunState } from './run-state.ts'

type Step<Kind extends PlannedStep['kind']> = Extract<PlannedStep, { kind: Kind }>

/** More than dbt gets between SIGINT and SIGKILL. */
const TIME_TO_END_MS = 60_000

/** Temporal takes summaries of up to 400 bytes. */
const MAX_SUMMARY_CHARS = 200

export function runStep(plan: Plan, step: PlannedStep, state: RunState, missing: MissingFiles): Promise<Outcome> {
  switch (step.kind) {
    case 'ingest':
      return runIngest(plan, step, state, missing)
    case 'dbt':
      return runDbt(plan, step, state)
    case 'validate':
      return runValidate(plan, step, state)
    case 'publish':
      return runPublish(plan, step, state)
    case 'warm':
      return runWarm(plan, step, state)
  }
}

/** The part of the plan that activities need besides their own step: histories stay small. */
export function contextOf({ pipeline, target, logicalDate, params, warehouse, dbt, bigquery }: Plan) {
  return { pipeline, target, logicalDate, params, warehouse, dbt, bigquery }
}

/**
 * Does an activity on the warehouse's queue, with the policy's retries. `name` is unique in the run: it begins the
 * activity's id, the number of the attempt ends it.
 */
export function onWarehouse<T>(
  plan: Plan,
  policy: RetryPolicy,
  activity: { readonly name: string; readonly summary: string; readonly onRetry: (nextAttempt: number) => void },
  work: (activities: ActivityInterfaceFor<Activities>, attemptNumber: number) => Promise<T>,
): Promise<T> {
  return attempt(
    policy,
    (number) => {
      const options = optionsFor(policy, {
        taskQueue: plan.warehouse.taskQueue,
        activityId: `${activity.name}/${number}`,
        summary: activity.summary.slice(0, MAX_SUMMARY_CHARS),
      })
      return work(proxyActivities<Activities>(options), number)
    },
    (number) => activity.onRetry(number + 1),
  )
}

/**
 * All loads of the step: every one is tried, the first that failed fails the step. Without a single file it is skipped;
 * a load that found no record makes it warned.
 */
async function runIngest(plan: Plan, step: Step<'ingest'>, state: RunState, missing: MissingFiles): Promise<Outcome> {
  const loads: LoadProgress[] = [...(state.steps.find(({ id }) => id === step.id)?.loads ?? [])]
  const show = (index: number, change: Partial<LoadProgress>) => {
    const load = loads[index]
    if (load === undefined) return
    loads[index] = { ...load, ...change }
    state.update(step.id, { loads: [...loads] })
  }
  const results = await Promise.allSettled(
    step.entries.map(async (entry, index) => {
      show(index, { state: 'running' })
      try {
        const late = missing.get(`${step.id}/${entry.id}`)
        if (late !== undefined) throw late
        const report = await ingestEntry(plan, step, entry, state)
        show(index, { state: outcomeOfLoad(report, entry), report })
      } catch (error) {
        show(index, { state: isCancellation(error) ? 'cancelled' : 'failed', failure: describeFailure(error) })
        throw error
      }
    }),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  if (loads.every((load) => load.state === 'skipped')) return 'skipped'
  return loads.some((load) => load.state === 'warned') ? 'warned' : 'succeeded'
}

function outcomeOfLoad({ status, read }: LoadReport, { http }: IngestEntry): Outcome {
  if (status === 'skipped') return 'skipped'
  // An answer of a header alone means "nothing yet", however often it comes.
  if (http !== undefined && read === 0) return 'warned'
  return status === 'loaded' && read === 0 ? 'warned' : 'succeeded'
}

/** Why an entry's files, which were waited for, did not come: by step and entry, `ingest/raw.returns`. */
export type MissingFiles = ReadonlyMap<string, unknown>

/** Before the run's first step, and before it takes the lease: who only waits keeps nobody out. */
export async function waitForAllFiles({ steps }: Plan, state: RunState): Promise<MissingFiles> {
  const missing = new Map<string, unknown>()
  const waits = steps.flatMap((step) =>
    step.kind === 'ingest' && !step.skipped
      ? step.entries.filter((entry) => entry.missing === 'wait').map((entry) => ({ step, entry }))
      : [],
  )
  if (waits.length === 0) return missing
  state.wait(`waiting for ${waits.map(({ entry }) => entry.files).join(', ')}`)
  const results = await Promise.allSettled(waits.map(({ step, entry }) => waitForFiles(step, entry)))
  state.wait(null)
  results.forEach((result, index) => {
    if (result.status === 'fulfilled') return
    if (isCancellation(result.reason)) throw result.reason
    missing.set(`${waits[index]?.step.id}/${waits[index]?.entry.id}`, result.reason)
  })
  return missing
}

/** Looks every minute, for as long as the entry says; a file that is there early costs one look. */
async function waitForFiles(step: Step<'ingest'>, entry: IngestEntry): Promise<void> {
  const { findFiles } = proxyActivities<Activities>({
    ...PLANNING,
    heartbeatTimeout: '0s',
    startToCloseTimeout: '1m',
    summary: `${entry.files} there?`,
  })
  for (let waitedMs = 0; ;) {
    if ((await findFiles({ entry })) > 0) return
    if (waitedMs >= entry.waitForMs) {
      throw failure(
        'FileMissing',
        `${entry.files} did not come within ${formatDuration(entry.waitForMs)}; put the file there and start the run again, ` +
          `or raise \`wait_for\` of step ${step.id}`,
      )
    }
    const pauseMs = Math.min(LOOK_EVERY_MS, entry.waitForMs - waitedMs)
    await sleep(pauseMs, { summary: `waiting for ${entry.files}`.slice(0, MAX_SUMMARY_CHARS) })
    waitedMs += pauseMs
  }
}

const LOOK_EVERY_MS = 60_000

function ingestEntry(plan: Plan, step: Step<'ingest'>, entry: IngestEntry, state: RunState): Promise<LoadReport> {
  const activity = {
    name: [step.id, entry.id, ...(entry.forEach === undefined ? [] : [entry.forEach])].join('/'),
    summary: `${tableText(entry.into)} ← ${entry.files.split('/').at(-1) ?? entry.files}`,
    onRetry: (attempts: number) => state.update(step.id, { attempts }),
  }
  return onWarehouse(plan, plan.policies.ingest, activity, ({ ingestTable }) =>
    ingestTable({ plan: contextOf(plan), entry }),
  )
}

/** Tests of severity warn make the step warned. What a command did is in the state also when it failed. */
async function runDbt(plan: Plan, step: Step<'dbt'>, state: RunState): Promise<Outcome> {
  const { id, kind: _kind, onFailure: _onFailure, skipped: _skipped, ...work } = step
  const { dbt } = plan.policies
  const policy = {
    ...dbt,
    // The activity keeps the step's time limit itself, so that dbt is ended in order and the failure counts as one.
    startToCloseMs: step.timeoutMs + TIME_TO_END_MS,
    scheduleToCloseMs: dbt.scheduleToCloseMs + step.timeoutMs,
    retries: step.retries,
    retryDelayMs: step.retryDelayMs,
    ...(step.retryTests ? { retried: ['DbtTestsFailed'] as const } : {}),
  }
  const activity = {
    name: id,
    summary: commandText(step),
    onRetry: (attempts: number) => state.update(id, { attempts }),
  }
  const takeOver = takenOverFrom(plan, state, id)
  const billedBefore = bytesBilled(state.steps) ?? 0
  try {
    const report = await onWarehouse(plan, policy, activity, (activities, number) =>
      activities[DBT_ACTIVITIES[step.command]]({
        plan: contextOf(plan),
        step: { id, ...work },
        attempt: number,
        takeOver,
        billedBefore,
      }),
    )
    state.update(id, { dbt: report, dbtProgress: null, bytesBilled: report.bytesBilled })
    return (report.counts['warn'] ?? 0) > 0 ? 'warned' : 'succeeded'
  } catch (error) {
    const detail = failureDetail(error) as Partial<DbtFailureDetail> | undefined // the activity's own type
    state.update(id, {
      dbt: detail?.report ?? null,
      dbtProgress: null,
      bytesBilled: detail?.report?.bytesBilled ?? null,
    })
    throw error
  }
}

/**
 * The run whose nodes count as done: as long as this one's loads are the very same and no command of it did anything
 * anew. After that, whatever comes is done afresh.
 */
function takenOverFrom({ takeOver, steps: planned }: Plan, { steps }: RunState, current: string): RunReference | null {
  if (takeOver?.kind !== 'nodes') return null
  const loads = steps.flatMap((step) => step.loads.flatMap(({ report }) => report ?? []))
  const sameLoads = loads.every(({ status, loadId }) => status !== 'loaded' && takeOver.loadIds.includes(loadId))
  const hasWritten = planned.some((step) => {
    const report = steps.find(({ id }) => id === step.id)
    return step.kind === 'dbt' && step.id !== current && report !== undefined && hasChangedTables(step.command, report)
  })
  return sameLoads && !hasWritten ? takeOver.of : null
}

/** A mart that FAILED fails the step, after all of them were looked at. */
async function runValidate(plan: Plan, step: Step<'validate'>, state: RunState): Promise<Outcome> {
  const activity = {
    name: step.id,
    summary: step.marts.map(({ mart }) => mart).join(', '),
    onRetry: (attempts: number) => state.update(step.id, { attempts }),
  }
  const { result: marts, bytesBilled } = await onWarehouse(
    plan,
    plan.policies.validate,
    activity,
    ({ validateMarts }) =>
      validateMarts({
        plan: contextOf(plan),
        marts: step.marts,
        runTime: plan.runTime,
        refreshLog: plan.refreshLog ?? null,
      }),
  )
  state.update(step.id, { marts, bytesBilled })
  const failed = marts.filter(({ verdict }) => verdict === 'FAILED')
  if (failed.length === 0) return marts.some(({ verdict }) => verdict === 'WARNING') ? 'warned' : 'succeeded'
  throw failure(
    'MartsFailed',
    `${failed.length} of ${marts.length} marts failed their checks (${failed.map(brokenChecks).join('; ')}); ` +
      `look at the mart's rows, or at its bounds in pipelines/${plan.pipeline}.yml`,
  )
}

/** What failed its tests or checks is not published, even where the pipeline goes on after that. */
async function runPublish(plan: Plan, step: Step<'publish'>, state: RunState): Promise<Outcome> {
  const { to, marts, copyTo } = step
  const before = state.steps.slice(
    0,
    state.steps.findIndex(({ id }) => id === step.id),
  )
  const failed = before.find(({ kind, failure }) => (kind === 'dbt' || kind === 'validate') && failure !== null)
  if (failed !== undefined) {
    throw failure(
      'PublishRefused',
      `step ${failed.id} failed (${failed.failure?.type ?? ''}), so nothing was published in ${to}: readers keep the last good marts. ` +
        `Mend what it says and start the run again; what may stay wrong gets \`severity: warn\` in the dbt project, or wider bounds`,
    )
  }
  const checked = before.flatMap((earlier) => earlier.marts.map(({ mart, rows }) => [mart, rows] as const))
  const activity = {
    name: step.id,
    summary: `${to} ← ${marts.map(({ mart }) => mart).join(', ')}`,
    onRetry: (attempts: number) => state.update(step.id, { attempts }),
  }
  const { result: published, bytesBilled } = await onWarehouse(
    plan,
    plan.policies.publish,
    activity,
    ({ publishMarts }) =>
      publishMarts({ plan: contextOf(plan), work: { to, marts, copyTo }, checkedRows: Object.fromEntries(checked) }),
  )
  state.update(step.id, { published, bytesBilled })
  return 'succeeded'
}

/** On the main queue: it needs no warehouse. An API that does not answer warns; the step's own plan says so of everything else. */
async function runWarm(plan: Plan, step: Step<'warm'>, state: RunState): Promise<Outcome> {
  const { baseUrl, paths, timeoutMs, retries, retryDelayMs } = step
  const policy = plan.policies.warm
  const longestMs = (timeoutMs + retryDelayMs) * (retries + 1)
  const { warmCaches } = proxyActivities<Activities>(
    optionsFor(
      { ...policy, startToCloseMs: policy.startToCloseMs + longestMs },
      {
        taskQueue: workflowInfo().taskQueue,
        activityId: `${step.id}/1`,
        summary: `GET ${paths.join(', ')}`.slice(0, MAX_SUMMARY_CHARS),
      },
    ),
  )
  const warmed = await warmCaches({ work: { baseUrl, paths, timeoutMs, retries, retryDelayMs } })
  state.update(step.id, { warmed, attempts: Math.max(...warmed.map(({ attempts }) => attempts)) })
  return warmed.every(isWarm) ? 'succeeded' : 'warned'
}

function brokenChecks({ mart, checks }: MartReport): string {
  const broken = checks.filter(({ verdict }) => verdict === 'FAILED').map(({ detail }) => detail)
  return `${mart}: ${broken.join(', ')}`
}
