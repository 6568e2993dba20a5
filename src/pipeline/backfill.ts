// A backfill: a pipeline's runs for one day after the other. What it is asked, and what it says of each day.
import type { FailureInfo } from './failure.ts'
import type { RunRequest } from './plan.ts'
import type { Outcome } from './report.ts'

/** The workflow type, and where its id begins. */
export const BACKFILL = 'backfill'

/** One at a time for a pipeline and target of a task queue. */
export function backfillId(taskQueue: string, pipeline: string, target: string): string {
  return [BACKFILL, taskQueue, pipeline, target].join('/')
}

/** What a backfill is started with: the workflow's one argument. */
export interface BackfillRequest {
  readonly pipeline: string
  readonly target: string
  /** First and last day, YYYY-MM-DD. */
  readonly from: string
  readonly to: string
  /** The date param that each day is the value of. */
  readonly dateParam: string
  /** Of every run, beside the day. */
  readonly request: RunRequest
  /** Days that the refresh log calls good are done again. */
  readonly redo: boolean
  /** A day that failed does not end it. */
  readonly keepGoing: boolean
  /** How many days one execution does before it goes on as a new one, so that no history grows too long. */
  readonly daysPerExecution: number
  /** What earlier executions of it did. */
  readonly done: readonly BackfillDay[]
}

export type DayState = Outcome | 'pending' | 'running' | 'good before' | 'not done'

export interface BackfillDay {
  /** YYYY-MM-DD. */
  readonly day: string
  readonly state: DayState
  /** Its run; null where none was needed or begun. */
  readonly workflowId: string | null
  readonly failure: FailureInfo | null
}

export interface BackfillReport {
  readonly pipeline: string
  readonly target: string
  readonly from: string
  readonly to: string
  readonly outcome: Outcome
  readonly days: readonly BackfillDay[]
}

/** The worst of its days; one without a run left to do has succeeded. */
export function backfillOutcome(days: readonly BackfillDay[]): Outcome {
  const states = new Set(days.map(({ state }) => state))
  return (['cancelled', 'failed', 'warned'] as const).find((outcome) => states.has(outcome)) ?? 'succeeded'
}

/** `2 succeeded, 1 failed, 4 not done`. */
export function backfillText(days: readonly BackfillDay[]): string {
  const counts = new Map<DayState, number>()
  for (const { state } of days) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
}

const SHOWN_DAYS = 200

/** For the current details in Temporal's UI (limit there: 20,000 bytes): the last days that were begun, and how many there are. */
export function backfillTable(days: readonly BackfillDay[]): string {
  const begun = days.filter(({ state }) => state !== 'pending').slice(-SHOWN_DAYS)
  const rows = begun.map(({ day, state, failure }) => `| ${day} | ${state} | ${failure?.type ?? ''} |`)
  return [`**${backfillText(days)}**`, '', '| day | state | why |', '|---|---|---|', ...rows].join('\n')
}
