// `millrace status`: what runs, what comes next, what is red. One screen, from the server alone.
import type { WorkflowExecutionInfo } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/client'
import { ALERT_STATE_QUERY, type AlertState } from '../pipeline/alert-state.ts'
import { formatSpan } from '../pipeline/duration.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { stepSummary, type Outcome } from '../pipeline/report.ts'
import { OWNER_KEY } from '../schedules/desired.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { RunProgress } from '../workflows/run-state.ts'
import type { Cli } from './cli.ts'
import { endOf } from './follow.ts'
import { listRuns, quoted } from './server-runs.ts'
import { color, pad, say } from './terminal.ts'

/** Closed runs that are looked at for what is red. */
const LOOK_BACK = 200
const NEXT_SHOWN = 8
const QUERY_WITHIN_MS = 3_000

export interface Status {
  readonly running: readonly RunningRun[]
  readonly next: readonly { readonly schedule: string; readonly at: string | null; readonly paused: string | null }[]
  /** Pipelines and targets whose last run failed, warned, or was cancelled or terminated. */
  readonly red: readonly RedRun[]
  /** Those that did not succeed for longer than they may, by the watch's rule; of those that ask for the alert `stale`. */
  readonly stale: readonly StalePipeline[]
}

interface StalePipeline {
  readonly pipeline: string
  readonly target: string
  /** Null where none was seen since it is watched. */
  readonly lastSuccess: string | null
  readonly dueBy: string
}

interface RunningRun {
  readonly workflowId: string
  readonly pipeline: string
  readonly target: string
  readonly startedAt: string
  /** Null where no worker answers. */
  readonly step: string | null
  readonly progress: string | null
}

interface RedRun {
  readonly workflowId: string
  readonly pipeline: string
  readonly target: string
  readonly outcome: Outcome
  readonly endedAt: string | null
  readonly reason: string
  /** Of the same pipeline and target, as far as the runs looked at go back. */
  readonly lastSuccess: string | null
}

/** 0 also where something is red: it is a look, not a check. Fails with ServerUnreachable. */
export async function statusCommand(cli: Cli, json: boolean): Promise<number> {
  const connected = await cli.connect()
  try {
    const status: Status = {
      running: await runningRuns(cli, connected),
      next: await nextRuns(cli, connected),
      red: await redRuns(cli, connected),
      stale: await stalePipelines(cli, connected),
    }
    if (json) say(JSON.stringify(status))
    else say(...statusLines(status, Date.now()))
    return 0
  } finally {
    await connected.connection.close()
  }
}

async function runningRuns(cli: Cli, connected: ConnectedClient): Promise<RunningRun[]> {
  const { client, connection } = connected
  const running: RunningRun[] = []
  for await (const { workflowId, type, startTime } of listRuns(cli, connected, `ExecutionStatus = 'Running'`)) {
    const handle = client.workflow.getHandle(workflowId)
    const progress = await connection
      .withDeadline(Date.now() + QUERY_WITHIN_MS, () => handle.query<RunProgress>('progress'))
      .catch(() => undefined)
    const step = progress?.steps.find(({ state }) => state === 'running')
    const target = progress?.target ?? (await targetOf(connected, workflowId))
    running.push({
      workflowId,
      pipeline: type,
      target,
      startedAt: startTime.toISOString(),
      step: step?.title ?? (progress === undefined ? null : 'plan'),
      progress: step === undefined ? null : stepSummary(step),
    })
  }
  return running
}

async function nextRuns({ environment }: Cli, { client }: ConnectedClient): Promise<Status['next']> {
  const next: { schedule: string; at: string | null; paused: string | null }[] = []
  for await (const { scheduleId, memo, info, state } of client.schedule.list()) {
    if (memo?.[OWNER_KEY] !== environment.taskQueue) continue
    const at = state.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null)
    next.push({ schedule: scheduleId, at, paused: state.paused ? (state.note ?? 'paused') : null })
  }
  return next.toSorted((a, b) => (a.at ?? '9').localeCompare(b.at ?? '9'))
}

/** The newest run that has ended, of each pipeline and target. */
async function redRuns(cli: Cli, connected: ConnectedClient): Promise<RedRun[]> {
  const last = new Map<string, RedRun>()
  let looked = 0
  for await (const run of listRuns(cli, connected, `ExecutionStatus != 'Running'`)) {
    if (++looked > LOOK_BACK) break
    const target = await targetOf(connected, run.workflowId, run.runId)
    const key = `${run.type} ${target}`
    const known = last.get(key)
    if (known === undefined) last.set(key, { ...(await verdictOf(connected, run)), target, lastSuccess: null })
    else if (known.lastSuccess === null && run.status.name === 'COMPLETED') {
      last.set(key, { ...known, lastSuccess: run.closeTime?.toISOString() ?? null })
    }
  }
  return [...last.values()].filter(({ outcome }) => outcome !== 'succeeded' && outcome !== 'skipped')
}

async function verdictOf(connected: ConnectedClient, run: WorkflowExecutionInfo) {
  const end = await endOf(connected.client.workflow.getHandle(run.workflowId, run.runId))
  const told =
    end.kind === 'report'
      ? { outcome: end.report.outcome, reason: end.report.failure?.message ?? '' }
      : { outcome: end.outcome, reason: end.message }
  const endedAt = run.closeTime?.toISOString() ?? null
  return { ...told, workflowId: run.workflowId, pipeline: run.type, endedAt }
}

/** As the alert workflows know it; where no worker answers nothing is known. */
async function stalePipelines({ environment }: Cli, { client, connection }: ConnectedClient): Promise<StalePipeline[]> {
  const stale: StalePipeline[] = []
  const query = `TaskQueue = ${quoted(environment.taskQueue)} AND WorkflowType = 'alert' AND ExecutionStatus = 'Running'`
  for await (const { workflowId } of client.workflow.list({ query })) {
    const state = await connection
      .withDeadline(Date.now() + QUERY_WITHIN_MS, () =>
        client.workflow.getHandle(workflowId).query<AlertState>(ALERT_STATE_QUERY),
      )
      .catch(() => undefined)
    const deadline = state?.deadline ?? null
    if (state === undefined || deadline === null || deadline.atMs > Date.now()) continue
    const [, , pipeline = '', target = ''] = workflowId.split('/')
    const lastSuccess = state.lastSuccessMs === null ? null : new Date(state.lastSuccessMs).toISOString()
    stale.push({ pipeline, target, lastSuccess, dueBy: new Date(deadline.atMs).toISOString() })
  }
  return stale
}

/** As the request names it, which needs no search attributes; empty for the profile's own. */
async function targetOf({ client }: ConnectedClient, workflowId: string, runId?: string): Promise<string> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? []
  return input ? (defaultPayloadConverter.fromPayload<RunRequest>(input).target ?? '') : ''
}

export function statusLines({ running, next, red, stale }: Status, nowMs: number): string[] {
  const name = (pipeline: string, target: string) => `${pad(target === '' ? pipeline : `${pipeline} · ${target}`, 29)} `
  const ago = (iso: string) => formatSpan(Math.max(0, nowMs - Date.parse(iso)))
  return [
    color.bold('runs now'),
    ...(running.length === 0 ? [color.dim('  nothing')] : []),
    ...running.flatMap(({ workflowId, pipeline, target, startedAt, step, progress }) => [
      `  ${name(pipeline, target)}since ${ago(startedAt)}  ${step ?? color.yellow('no worker answers')}  ${progress ?? ''}`,
      color.dim(`    npx millrace follow ${workflowId}`),
    ]),
    color.bold('next'),
    ...(next.length === 0 ? [color.dim('  no schedules; npx millrace schedules apply')] : []),
    ...next.slice(0, NEXT_SHOWN).map(({ schedule, at, paused }) => {
      const when = at === null ? color.yellow(paused ?? 'never') : `${at.replace('T', ' ').slice(0, 16)} UTC`
      return `  ${pad(schedule, 30)}${when}`
    }),
    ...(next.length > NEXT_SHOWN ? [color.dim('  … npx millrace schedules list')] : []),
    color.bold('red'),
    ...(red.length + stale.length === 0 ? [color.green('  nothing')] : []),
    ...stale.flatMap(({ pipeline, target, lastSuccess, dueBy }) => [
      `  ${name(pipeline, target)}${color.red('stale')}, was due ${ago(dueBy)} ago` +
        color.dim(lastSuccess === null ? ', no success seen before' : `, last success ${ago(lastSuccess)} ago`),
      color.dim(`    npx millrace history ${pipeline}`),
    ]),
    ...red.flatMap(({ workflowId, pipeline, target, outcome, endedAt, reason, lastSuccess }) => [
      `  ${name(pipeline, target)}${(outcome === 'failed' ? color.red : color.yellow)(outcome)}` +
        (endedAt === null ? '' : ` ${ago(endedAt)} ago`) +
        color.dim(lastSuccess === null ? ', no success seen before' : `, last success ${ago(lastSuccess)} ago`),
      ...(reason === '' ? [] : [`    ${reason.split('\n')[0] ?? ''}`]),
      color.dim(`    npx millrace show ${workflowId}`),
    ]),
  ]
}
