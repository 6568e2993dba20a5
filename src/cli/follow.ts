// Follows a run to its end: redraws on a terminal, prints plain lines into a pipe, gives events with --json.
import { setTimeout as pause } from 'node:timers/promises'
import {
  ApplicationFailure,
  CancelledFailure,
  defaultPayloadConverter,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client'
import { describeFailure } from '../pipeline/failure.ts'
import type { Outcome, Progress, RunReport, StepReport } from '../pipeline/report.ts'
import type { RunProgress } from '../workflows/run-state.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import { color, isTerminal, openRedraw, say, terminalWidth } from './terminal.ts'
import { headerLine, liveLines, stepLines, takeOverLines } from './view.ts'

const POLL_EVERY_MS = 250
/** A worker answers queries; none may be there. */
const QUERY_WITHIN_MS = 3_000

export type OutputMode = 'terminal' | 'lines' | 'json'

export function outputMode(json: boolean): OutputMode {
  return json ? 'json' : isTerminal() ? 'terminal' : 'lines'
}

/** How a followed run ended: with its report, or without one (terminated, or failed before it could make one). */
export type FollowedEnd =
  | { readonly kind: 'report'; readonly report: RunReport }
  | { readonly kind: 'no report'; readonly outcome: Outcome; readonly message: string }

/** Resolves when the run ends, or with undefined when the signal aborts; the run goes on then. */
export async function followRun(
  { connection }: ConnectedClient,
  handle: WorkflowHandle,
  pipeline: string,
  mode: OutputMode,
  abort: AbortSignal,
): Promise<FollowedEnd | undefined> {
  const state: { end?: FollowedEnd } = {}
  const ended = endOf(handle).then((end) => {
    state.end = end
  })
  // Waited for below; a failure in the middle of a query must not count as unhandled.
  ended.catch(() => undefined)
  const display = openDisplay(mode, pipeline)
  const deadline = () => Date.now() + QUERY_WITHIN_MS
  while (state.end === undefined && !abort.aborted) {
    const progress = await connection
      .withDeadline(deadline(), () => handle.query<RunProgress>('progress'))
      .catch(() => undefined)
    const beats = await connection.withDeadline(deadline(), () => pendingProgress(handle)).catch(() => new Map())
    if (state.end === undefined && !abort.aborted) display.update(progress, beats)
    await Promise.race([ended, pause(POLL_EVERY_MS, undefined, { signal: abort }).catch(() => undefined)])
  }
  display.finish(state.end?.kind === 'report' ? state.end.report : undefined)
  return state.end
}

/** Waits for it where it goes on. */
export async function endOf(handle: WorkflowHandle): Promise<FollowedEnd> {
  try {
    return { kind: 'report', report: (await handle.result()) as RunReport }
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) return lostServer(handle.workflowId, error)
    const { cause } = error
    const report = cause instanceof ApplicationFailure ? (cause.details?.[0] as RunReport | undefined) : undefined
    if (report !== undefined) return { kind: 'report', report }
    if (cause instanceof CancelledFailure) {
      const progress = await handle.query<RunProgress>('progress').catch(() => undefined)
      if (progress?.report) return { kind: 'report', report: progress.report }
      return { kind: 'no report', outcome: 'cancelled', message: 'the run was cancelled' }
    }
    const reason = cause === undefined ? error.message : describeFailure(cause).message
    return { kind: 'no report', outcome: 'failed', message: `the run ended without a report: ${reason}` }
  }
}

function lostServer(workflowId: string, error: unknown): FollowedEnd {
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0]
  const message =
    `lost the Temporal server while following ${workflowId} (${reason}); the run goes on once it is up again: ` +
    `npm start, then npx millrace follow ${workflowId}`
  return { kind: 'no report', outcome: 'failed', message }
}

/** The latest heartbeat of each activity that is under way. */
async function pendingProgress(handle: WorkflowHandle): Promise<Map<string, Progress>> {
  const { raw } = await handle.describe()
  const found = new Map<string, Progress>()
  for (const { activityId, heartbeatDetails } of raw.pendingActivities ?? []) {
    const payload = heartbeatDetails?.payloads?.[0]
    if (!activityId || !payload) continue
    // Nothing, until the activity has something to say.
    const progress = defaultPayloadConverter.fromPayload<Progress | null | undefined>(payload)
    if (progress !== null && progress !== undefined) found.set(activityId, progress)
  }
  return found
}

interface Display {
  update(progress: RunProgress | undefined, beats: ReadonlyMap<string, Progress>): void
  finish(report: RunReport | undefined): void
}

function openDisplay(mode: OutputMode, pipeline: string): Display {
  switch (mode) {
    case 'terminal':
      return terminalDisplay(pipeline)
    case 'lines':
      return linesDisplay()
    case 'json':
      return jsonDisplay()
  }
}

function terminalDisplay(pipeline: string): Display {
  const redraw = openRedraw()
  let frame = 0
  return {
    update(progress, beats) {
      frame++
      const view = { progress: beats, frame, nowMs: Date.now(), width: terminalWidth() }
      const known = progress !== undefined && progress.steps.length > 0
      const head = headerLine({
        pipeline,
        target: progress?.target ?? '',
        logicalDate: progress?.logicalDate ?? '',
      })
      const waiting = [color.dim(progress === undefined ? ' waiting for a worker …' : ' planning …')]
      const below = known
        ? [
            ...takeOverLines(progress.takeOver),
            ...waitingLines(progress),
            ...liveLines({ ...view, steps: progress.steps }),
          ]
        : waiting
      redraw.show([head, ...below])
    },
    finish: () => redraw.clear(),
  }
}

function waitingLines({ waiting }: RunProgress): string[] {
  return waiting === null ? [] : [color.yellow(` ${waiting}`)]
}

/** Each step once, when it has ended, and what the run waits for: what a log needs. */
function linesDisplay(): Display {
  let waiting: string | null = null
  const told = new Set<string>()
  const tell = (steps: readonly StepReport[]) => {
    for (const step of steps) {
      if (step.state === 'pending' || told.has(step.id)) continue
      if (step.state === 'running') {
        if (told.has(`${step.id} began`)) continue
        told.add(`${step.id} began`)
        say(` ▸ ${step.title}`)
        continue
      }
      told.add(step.id)
      say(...stepLines(step))
    }
  }
  return {
    update(progress) {
      if (progress === undefined) return
      if (progress.waiting !== waiting) say(...waitingLines(progress))
      waiting = progress.waiting
      tell(progress.steps)
    },
    finish: (report) => tell(report?.steps ?? []),
  }
}

/**
 * One JSON object a line: `{event: "step", step}` whenever a step changes, `{event: "waiting", waiting}` when the run begins to
 * wait for something else or (null) no longer does, `{event: "report", report}` last.
 */
function jsonDisplay(): Display {
  let waiting: string | null = null
  const told = new Map<string, string>()
  const tell = (steps: readonly StepReport[]) => {
    for (const step of steps) {
      const text = JSON.stringify({ event: 'step', step })
      if (told.get(step.id) === text) continue
      told.set(step.id, text)
      say(text)
    }
  }
  return {
    update(progress) {
      if (progress === undefined) return
      if (progress.waiting !== waiting) say(JSON.stringify({ event: 'waiting', waiting: progress.waiting }))
      waiting = progress.waiting
      tell(progress.steps)
    },
    finish(report) {
      if (report === undefined) return
      tell(report.steps)
      say(JSON.stringify({ event: 'report', report }))
    },
  }
}
