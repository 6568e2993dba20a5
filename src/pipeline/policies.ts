// Timeouts and retries per kind of activity. They travel in the plan, so that a running run keeps the ones it began with.

/** Durations in milliseconds. */
export interface Policy {
  /** Of one attempt. */
  readonly startToCloseMs: number
  /** A worker that is silent for so long is taken for dead. */
  readonly heartbeatMs: number
  /** Pause before the next attempt after a lost worker; Temporal doubles it up to ten times. */
  readonly lostWorkerDelayMs: number
  /** Of all attempts together, waiting in the queue included. */
  readonly scheduleToCloseMs: number
  /** How often work that failed with a retryable type is done again, and how long after. */
  readonly retries: number
  readonly retryDelayMs: number
}

export type PolicyName = 'ingest' | 'dbt' | 'validate' | 'publish' | 'warm' | 'record'
export type Policies = Readonly<Record<PolicyName, Policy>>

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/**
 * The defaults. A worker that timed out may live 5 s longer than the server waits for it, so whatever holds the
 * warehouse is tried again after 20 s at the earliest. dbt's retries, delay and timeout come from the pipeline file.
 */
export const DEFAULT_POLICIES: Policies = {
  ingest: {
    startToCloseMs: 2 * HOUR_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 20 * SECOND_MS,
    scheduleToCloseMs: 12 * HOUR_MS,
    retries: 3,
    retryDelayMs: 10 * SECOND_MS,
  },
  dbt: {
    startToCloseMs: 30 * MINUTE_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 20 * SECOND_MS,
    scheduleToCloseMs: 12 * HOUR_MS,
    retries: 0,
    retryDelayMs: 30 * SECOND_MS,
  },
  validate: {
    startToCloseMs: 10 * MINUTE_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 20 * SECOND_MS,
    scheduleToCloseMs: 12 * HOUR_MS,
    retries: 3,
    retryDelayMs: 10 * SECOND_MS,
  },
  publish: {
    startToCloseMs: 30 * MINUTE_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 20 * SECOND_MS,
    scheduleToCloseMs: 12 * HOUR_MS,
    retries: 3,
    retryDelayMs: 10 * SECOND_MS,
  },
  // A step's own requests come on top of startToClose (workflows/steps.ts). Nothing is lost by asking twice.
  warm: {
    startToCloseMs: 30 * SECOND_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 1 * SECOND_MS,
    scheduleToCloseMs: 30 * MINUTE_MS,
    retries: 0,
    retryDelayMs: 0,
  },
  record: {
    startToCloseMs: 2 * MINUTE_MS,
    heartbeatMs: 20 * SECOND_MS,
    lostWorkerDelayMs: 20 * SECOND_MS,
    scheduleToCloseMs: 12 * HOUR_MS,
    retries: 5,
    retryDelayMs: 10 * SECOND_MS,
  },
}
