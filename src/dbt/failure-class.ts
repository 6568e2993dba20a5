// What kind of failure a dbt error text describes: only some kinds are worth another try.
import type { FailureType } from '../pipeline/failure.ts'

/** Adapters hand on texts only (their structured reasons are dropped), so texts are all there is to go by. */
const PATTERNS: readonly [RegExp, FailureType][] = [
  [/could not set lock on file|conflicting lock is held/i, 'WarehouseBusy'],
  [/no space left on device|disk quota exceeded|could not (?:write|extend) file.*no space/i, 'DiskFull'],
  [/rateLimitExceeded|backendError|internalError|retrying may solve the problem/i, 'DbtTransient'],
  // With the words around it: "Got 503 results" is a failing test and "LINE 502:" a place in a query.
  [
    /\b50[234] (?:get|post|put|patch|delete|bad gateway|service unavailable|gateway time-?out|deadline exceeded)\b/i,
    'DbtTransient',
  ],
  [/\b(?:http|error|status|code)(?: code)?[ :=]+50[234]\b/i, 'DbtTransient'],
  [/connection (?:reset|refused|aborted|timed out)|could not connect|server closed the connection/i, 'DbtTransient'],
  [/could not serialize access|deadlock detected|too many connections|TransactionContext Error/i, 'DbtTransient'],
]

/** Undefined when the text fits no pattern: then it is an error of the SQL, the data or the project. */
export function classifyText(text: string): FailureType | undefined {
  return PATTERNS.find(([pattern]) => pattern.test(text))?.[1]
}
