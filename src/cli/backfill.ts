// `millrace backfill`: a run for each day of a range, one after the other; and how such a backfill is followed.
import { setTimeout as pause } from 'node:timers/promises'
import {
  ApplicationFailure,
  CancelledFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client'
import {
  BACKFILL,
  backfillId,
  backfillText,
  type BackfillDay,
  type BackfillReport,
  type BackfillRequest,
  type DayState,
} from '../pipeline/backfill.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import { loadPipeline } from '../pipeline/load.ts'
import { daysBetween, isDate } from '../pipeline/logical-date.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { outputMode, type OutputMode } from './follow.ts'
import { EXIT_CODES, sayStarted, sayHowToGoOn } from './run.ts'
import { abortOnSignal } from './signals.ts'
import { checkRequest } from './start-run.ts'
import { color, openRedraw, pad, say, sayError, terminalWidth } from './terminal.ts'

export interface BackfillFlags {
  readonly from: string
  readonly to: string
  readonly redo: boolean
  readonly keepGoing: boolean
  readonly detach: boolean
  readonly json: boolean
}

const MAX_DAYS = 1_000
const DAYS_PER_EXECUTION = 100

export async function backfillCommand(
  cli: Cli,
  pipeline: string,
  given: RunRequest,
  flags: BackfillFlags,
): Promise<number> {
  const { from, to, redo, keepGoing, detach, json } = flags
  const { taskQueue } = cli.environment
  const dateParam = await requireRange(cli, pipeline, given, flags)
  const request = { ...given, params: { ...given.params, [dateParam]: from } }
  const { target } = await checkRequest(cli.workspace, pipeline, request)
  const whole: BackfillRequest = {
    pipeline,
    target,
    from,
    to,
    dateParam,
    redo,
    keepGoing,
    done: [],
    request: { ...given, target },
    daysPerExecution: DAYS_PER_EXECUTION,
  }
  const connected = await cli.connect()
  try {
    const handle = await start(connected, taskQueue, whole)
    const mode = outputMode(json)
    if (mode !== 'json') await sayStarted(cli, connected, handle.workflowId)
    if (!detach) return await followBackfill(connected, handle, mode, abortOnSignal())
    if (json) say(JSON.stringify({ event: 'started', workflowId: handle.workflowId }))
    else sayHowToGoOn(handle.workflowId)
    return 0
  } finally {
    await connected.connection.close()
  }
}

/** The pipeline's date param. Fails with RequestInvalid, naming all that is wrong. */
async function requireRange(
  { workspace }: Cli,
  pipeline: string,
  { params = {} }: RunRequest,
  { from, to }: BackfillFlags,
): Promise<string> {
  const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
  const dateParam = Object.entries(definition.params).find(([, { type }]) => type === 'date')?.[0]
  const problems = [
    ...(dateParam === undefined ? [`pipeline '${pipeline}' has no date param, so there is nothing to fill in`] : []),
    ...(dateParam !== undefined && Object.hasOwn(params, dateParam)
      ? [`--${dateParam} is each day of the range; leave it out`]
      : []),
    ...(isDate(from) ? [] : [`--from '${from}' is not an existing day written YYYY-MM-DD`]),
    ...(isDate(to) ? [] : [`--to '${to}' is not an existing day written YYYY-MM-DD`]),
  ]
  if (isDate(from) && isDate(to)) {
    if (from > to) problems.push(`--from ${from} is after --to ${to}`)
    const days = daysBetween(from, to).length
    if (days > MAX_DAYS)
      problems.push(`${days} days are more than the ${MAX_DAYS} that one backfill may have; give it in parts`)
  }
  if (problems.length > 0 || dateParam === undefined) throw failure('RequestInvalid', problems.join('; '))
  return dateParam
}

/** Fails with LeaseTaken where another backfill of the pipeline and target is under way. */
async function start(
  { client }: ConnectedClient,
  taskQueue: string,
  request: BackfillRequest,
): Promise<WorkflowHandle> {
  const { pipeline, target, from, to } = request
  const workflowId = backfillId(taskQueue, pipeline, target)
  try {
    return await client.workflow.start(BACKFILL, {
      taskQueue,
      workflowId,
      args: [request],
      staticSummary: `${pipeline} · ${target} · ${from} to ${to}`,
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    throw failure(
      'LeaseTaken',
      `another backfill of ${pipeline} on ${target} is under way; see it end: npx millrace follow ${workflowId}. Nothing was done`,
    )
  }
}

const POLL_EVERY_MS = 500
/** A worker answers queries; none may be there. */
const QUERY_WITHIN_MS = 3_000

/** A line for each day as it ends (on a terminal all of them, redrawn); resolves to the exit code, of a run's meaning. */
export async function followBackfill(
  { client, connection }: ConnectedClient,
  { workflowId }: Pick<WorkflowHandle, 'workflowId'>,
  mode: OutputMode,
  abort: AbortSignal,
): Promise<number> {
  // Without a run id: it goes on as a new execution now and then.
  const handle = client.workflow.getHandle(workflowId)
  const state: { end?: BackfillEnd } = {}
  const ended = endOf(handle).then((end) => void (state.end = end))
  const display = openDisplay(mode)
  while (state.end === undefined && !abort.aborted) {
    const report = await connection
      .withDeadline(Date.now() + QUERY_WITHIN_MS, () => handle.query<BackfillReport>('days'))
      .catch(() => undefined)
    if (report !== undefined) display.update(report.days)
    await Promise.race([ended, pause(POLL_EVERY_MS, undefined, { signal: abort }).catch(() => undefined)])
  }
  if (state.end === undefined) {
    display.finish()
    say('', 'the backfill goes on without this window')
    sayHowToGoOn(workflowId)
    return EXIT_CODES.cancelled
  }
  const { report, message, outcome } = state.end
  if (report !== undefined) display.update(report.days)
  display.finish()
  if (mode === 'json') say(JSON.stringify({ event: 'report', report: report ?? null }))
  else if (report !== undefined)
    say(`${report.pipeline} · ${report.target} · ${report.from} to ${report.to}: ${backfillText(report.days)}`)
  if (message !== undefined) sayError(color.red(message))
  return EXIT_CODES[outcome]
}

interface BackfillEnd {
  readonly outcome: BackfillReport['outcome']
  readonly report: BackfillReport | undefined
  readonly message?: string
}

async function endOf(handle: WorkflowHandle): Promise<BackfillEnd> {
  try {
    const report = (await handle.result()) as BackfillReport // the workflow's own type
    return { outcome: report.outcome, report }
  } catch (error) {
    const cause = error instanceof WorkflowFailedError ? error.cause : error
    if (cause instanceof CancelledFailure) {
      return { outcome: 'cancelled', report: await handle.query<BackfillReport>('days').catch(() => undefined) }
    }
    const report = cause instanceof ApplicationFailure ? (cause.details?.[0] as BackfillReport | undefined) : undefined
    return { outcome: 'failed', report, message: describeFailure(cause).message }
  }
}

interface Display {
  update(days: readonly BackfillDay[]): void
  finish(): void
}

function openDisplay(mode: OutputMode): Display {
  const redraw = mode === 'terminal' ? openRedraw() : undefined
  const told = new Map<string, DayState>()
  let shown: readonly BackfillDay[] = []
  return {
    update(days) {
      shown = days.filter(({ state }) => state !== 'pending')
      redraw?.show(shown.slice(-LINES_SHOWN).map((day) => dayLine(day).slice(0, terminalWidth() * 2)))
      if (redraw !== undefined) return
      for (const day of shown) {
        if (told.get(day.day) === day.state || (mode === 'lines' && day.state === 'running')) continue
        told.set(day.day, day.state)
        say(mode === 'json' ? JSON.stringify({ event: 'day', day }) : dayLine(day))
      }
    },
    finish() {
      redraw?.clear()
      if (redraw !== undefined) say(...shown.map(dayLine))
    },
  }
}

const LINES_SHOWN = 20

function dayLine({ day, state, workflowId, failure: why }: BackfillDay): string {
  const paint = {
    succeeded: color.green,
    warned: color.yellow,
    failed: color.red,
    cancelled: color.yellow,
    running: color.cyan,
  }
  const painted = (paint as Partial<Record<DayState, (text: string) => string>>)[state] ?? color.dim // the rest is grey
  return ` ${day}  ${painted(pad(state, 13))}${color.dim(workflowId ?? '')}${why === null ? '' : `  ${color.red(why.type)}`}`
}
