// What went wrong at BigQuery, in its own words, and whether asking again can help.

/** An HTTP call that failed, or a job that ended with an error. */
export class BigQueryError extends Error {
  override readonly name = 'BigQueryError'
  /** BigQuery's own word for it (`notFound`, `backendError`, …), or ours: `unreachable`, `unauthenticated`. */
  readonly reason: string
  /** HTTP status; undefined where no answer came, and for a job that ended with an error. */
  readonly status: number | undefined
  /** The job that ended with it. */
  readonly jobId: string | undefined
  /** How long the service asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(
    what: {
      readonly reason: string
      readonly status?: number | undefined
      readonly jobId?: string | undefined
      readonly retryAfterMs?: number | undefined
    },
    message: string,
  ) {
    super(message)
    this.reason = what.reason
    this.status = what.status
    this.jobId = what.jobId
    this.retryAfterMs = what.retryAfterMs
  }
}

// https://cloud.google.com/bigquery/docs/error-messages, and what python-bigquery and dbt-bigquery retry.
const TRANSIENT_STATUSES = new Set([408, 429, 500, 502, 503, 504])
const TRANSIENT_REASONS = new Set([
  'unreachable',
  'rateLimitExceeded',
  'userRateLimitExceeded',
  'backendError',
  'internalError',
  'badGateway',
])
const TRANSIENT_JOB_REASONS = new Set([
  'rateLimitExceeded',
  'backendError',
  'internalError',
  'jobBackendError',
  'jobInternalError',
  'jobRateLimitExceeded',
])

/** The same call may succeed in a moment. A rate limit comes as HTTP 403 or 400, so the reason counts too. */
export function isTransientCall(error: unknown): error is BigQueryError {
  if (!(error instanceof BigQueryError) || error.jobId !== undefined) return false
  return (error.status !== undefined && TRANSIENT_STATUSES.has(error.status)) || TRANSIENT_REASONS.has(error.reason)
}

/** The same work may succeed as a new job; the one that ended stays ended. */
export function isTransientJob(error: unknown): error is BigQueryError {
  if (!(error instanceof BigQueryError) || error.jobId === undefined) return false
  return TRANSIENT_JOB_REASONS.has(error.reason) || isConflict(error)
}

/** Two transactions changed one table: the first to commit wins. BigQuery's reason for it is only `invalidQuery`. */
export function isConflict({ reason, message }: BigQueryError): boolean {
  return reason === 'aborted' || /concurrent update|could not serialize access/i.test(message)
}

export function hasReason(error: unknown, ...reasons: readonly string[]): error is BigQueryError {
  return error instanceof BigQueryError && reasons.includes(error.reason)
}

export function hasStatus(error: unknown, ...statuses: readonly number[]): error is BigQueryError {
  return error instanceof BigQueryError && error.status !== undefined && statuses.includes(error.status)
}
