// When somebody is told: the state of a pipeline on a target, and which events change it. Pure; the alert workflow keeps it.
import type { FailureInfo } from './failure.ts'

export const ALERT_KINDS = ['failed', 'warned', 'recovered', 'slow', 'stale'] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

/** Whom to tell and of what; without secrets, because it stands in plans. Durations in milliseconds. */
export interface PlannedAlerts {
  readonly on: readonly AlertKind[]
  readonly email: readonly string[]
  readonly slack: string | null
  readonly slowAfterMs: number | null
  /** Instead of two intervals of the schedule. */
  readonly staleAfterMs: number | null
  /** How often one is told that it is still failing or stale. */
  readonly remindMs: number
  /** How long a message is tried, and the first pause between two tries. */
  readonly giveUpMs: number
  readonly retryMs: number
}

/** What a run did, in three numbers. */
export interface RefreshCounts {
  /** Models that dbt built for it, those of a run that it took over included. */
  readonly models: number
  /** Rows that the loads inserted. */
  readonly rows: number
  /** `4/4 marts validated`. */
  readonly marts: string
}

/** What a message says of a run. */
export interface RunFacts {
  readonly workflowId: string
  readonly runId: string
  readonly logicalDate: string
  /** running: it takes long, and is not over. */
  readonly outcome: 'succeeded' | 'warned' | 'failed' | 'running'
  /** The first step that failed, else that warned, else that is under way. */
  readonly step: string | null
  readonly failure: FailureInfo | null
  /** A line for each step that warned, at most five. */
  readonly warnings: readonly string[]
  readonly counts: RefreshCounts | null
  readonly startedAtMs: number
  readonly durationMs: number
}

/** The alert workflow of a pipeline and target, one for a task queue's workers. */
export function alertWorkflowId(taskQueue: string, pipeline: string, target: string): string {
  return ['alert', taskQueue, pipeline, target].join('/')
}

/** The signal that it is told events by. */
export const ALERT_SIGNAL = 'told'

/** The query that answers with its AlertState. */
export const ALERT_STATE_QUERY = 'state'

export type AlertEvent =
  /** A run that counts is over: neither skipped nor cancelled, and of all steps. */
  | { readonly kind: 'ended'; readonly run: RunFacts }
  /** A run takes longer than it may. */
  | { readonly kind: 'slow'; readonly run: RunFacts }
  /** The watch has looked; null: it must not be called stale, because its schedules are paused. */
  | { readonly kind: 'watched'; readonly deadline: StaleDeadline | null }

/** When a pipeline that does not succeed again is stale. `of` changes when the schedules do. */
export interface StaleDeadline {
  readonly atMs: number
  readonly of: string
}

/** Durable as long as the alert workflow runs; times in ms since 1970. */
export interface AlertState {
  readonly outcome: 'succeeded' | 'warned' | 'failed'
  /** When the outcome became what it is, and how many runs ended so since. */
  readonly sinceMs: number
  readonly runs: number
  /** Run id of the last run that took too long; null once one took less. */
  readonly slowRun: string | null
  readonly stale: boolean
  /** Which of the bad things somebody was told of: only these are taken back. */
  readonly told: readonly ('failed' | 'warned' | 'slow' | 'stale')[]
  readonly lastRun: RunFacts | null
  readonly lastSuccessMs: number | null
  /** Null until the watch has looked after the last success. */
  readonly deadline: StaleDeadline | null
  /** When somebody was last told that it is failing or stale. */
  readonly redToldMs: number | null
}

export const CALM: AlertState = {
  outcome: 'succeeded',
  sinceMs: 0,
  runs: 0,
  slowRun: null,
  stale: false,
  told: [],
  lastRun: null,
  lastSuccessMs: null,
  deadline: null,
  redToldMs: null,
}

export type MessageKind = AlertKind | 'reminder' | 'undelivered' | 'test'

/** What is told, as data: each channel makes its own text of it. */
export interface AlertMessage {
  /** The same for each try: receivers that look at it see a message once. */
  readonly id: string
  readonly kind: MessageKind
  readonly pipeline: string
  readonly target: string
  readonly atMs: number
  readonly run: RunFacts | null
  /** recovered, reminder: from what, since when, after how many runs. */
  readonly was: readonly ('failed' | 'warned' | 'slow' | 'stale')[]
  readonly sinceMs: number | null
  readonly runs: number
  readonly lastSuccessMs: number | null
  readonly slowAfterMs: number | null
  /** undelivered: which channel could not be reached, and why. */
  readonly note: string | null
}

/** A message without what the alert workflow knows by itself. */
export type Decided = Pick<AlertMessage, 'kind' | 'run' | 'was' | 'sinceMs' | 'runs' | 'lastSuccessMs'>

export interface Decision {
  readonly state: AlertState
  readonly message: Decided | null
}

/** The state after an event, and what is to be told of it: at most one message, only for a change, only of what was asked for. */
export function decide(before: AlertState, event: AlertEvent, on: readonly AlertKind[], nowMs: number): Decision {
  switch (event.kind) {
    case 'ended':
      return event.run.outcome === 'failed'
        ? afterFailure(before, event.run, on, nowMs)
        : afterSuccess(before, event.run, on, nowMs)
    case 'slow': {
      const state: AlertState = { ...before, slowRun: event.run.runId }
      return before.slowRun === null ? tell(state, 'slow', event.run, on, nowMs) : { state, message: null }
    }
    case 'watched':
      return afterWatch(before, event.deadline, on, nowMs)
  }
}

function afterFailure(before: AlertState, run: RunFacts, on: readonly AlertKind[], nowMs: number): Decision {
  if (before.outcome === 'failed') return { state: { ...before, runs: before.runs + 1, lastRun: run }, message: null }
  const state: AlertState = { ...before, outcome: 'failed', sinceMs: nowMs, runs: 1, lastRun: run }
  return tell(state, 'failed', run, on, nowMs)
}

function afterSuccess(before: AlertState, run: RunFacts, on: readonly AlertKind[], nowMs: number): Decision {
  const outcome = run.outcome === 'warned' ? 'warned' : 'succeeded'
  // A slow run says so while it runs: one that has not said it took less.
  const stillSlow = before.slowRun === run.runId
  const same = before.outcome === outcome
  const state: AlertState = {
    ...before,
    outcome,
    sinceMs: same ? before.sinceMs : nowMs,
    runs: same ? before.runs + 1 : 1,
    slowRun: stillSlow ? before.slowRun : null,
    stale: false,
    lastRun: run,
    lastSuccessMs: nowMs,
    deadline: null,
    redToldMs: null,
    told: before.told.filter((kind) => (kind === 'warned' && outcome === 'warned') || (kind === 'slow' && stillSlow)),
  }
  const was = before.told.filter((kind) => !state.told.includes(kind))
  const startsToWarn = outcome === 'warned' && before.outcome !== 'warned'
  if (was.length > 0 && on.includes('recovered')) {
    // Said in the same message: what it recovered to is not wholly well.
    const told = startsToWarn && on.includes('warned') ? [...state.told, 'warned' as const] : state.told
    return {
      state: { ...state, told },
      message: {
        kind: 'recovered',
        run,
        was,
        sinceMs: before.sinceMs,
        runs: before.runs,
        lastSuccessMs: before.lastSuccessMs,
      },
    }
  }
  return startsToWarn ? tell(state, 'warned', run, on, nowMs) : { state, message: null }
}

function afterWatch(
  before: AlertState,
  deadline: StaleDeadline | null,
  on: readonly AlertKind[],
  nowMs: number,
): Decision {
  // Paused schedules: silence is what was asked for.
  if (deadline === null) return { state: { ...before, deadline: null }, message: null }
  const kept = before.deadline?.of === deadline.of ? before.deadline : deadline
  const state: AlertState = { ...before, deadline: kept }
  if (before.stale || nowMs <= kept.atMs) return { state, message: null }
  const stale: AlertState = { ...state, stale: true }
  // Who knows that every run fails need not be told that none succeeds.
  if (before.told.includes('failed')) return { state: stale, message: null }
  return tell(stale, 'stale', before.lastRun, on, nowMs)
}

function tell(
  state: AlertState,
  kind: 'failed' | 'warned' | 'slow' | 'stale',
  run: RunFacts | null,
  on: readonly AlertKind[],
  nowMs: number,
): Decision {
  if (!on.includes(kind)) return { state, message: null }
  const isRed = kind === 'failed' || kind === 'stale'
  return {
    state: {
      ...state,
      told: [...state.told.filter((told) => told !== kind), kind],
      redToldMs: isRed ? nowMs : state.redToldMs,
    },
    message: { kind, run, was: [], sinceMs: null, runs: state.runs, lastSuccessMs: state.lastSuccessMs },
  }
}

/** When one is to be told that it is still failing or stale; null while it is not. */
export function reminderAtMs({ redToldMs }: AlertState, remindMs: number): number | null {
  return redToldMs === null ? null : redToldMs + remindMs
}

/** The daily digest while it stays red. */
export function remind(before: AlertState, nowMs: number): Decision {
  return {
    state: { ...before, redToldMs: nowMs },
    message: {
      kind: 'reminder',
      run: before.lastRun,
      was: before.told.filter((kind) => kind === 'failed' || kind === 'stale'),
      sinceMs: before.sinceMs,
      runs: before.runs,
      lastSuccessMs: before.lastSuccessMs,
    },
  }
}

/** Nothing is known that the next event would have to be compared with. */
export function isCalm({ outcome, slowRun, stale }: AlertState, on: readonly AlertKind[]): boolean {
  return outcome === 'succeeded' && slowRun === null && !stale && !on.includes('stale')
}
