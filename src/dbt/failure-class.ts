// What a dbt error text says about its cause, in one table: whether another try helps, and what a person does next.
import type { FailureType } from '../pipeline/failure.ts'

export type FailureClass =
  | 'transient warehouse'
  | 'transient network'
  | 'lock'
  | 'resource'
  | 'quota'
  | 'auth'
  | 'compile'
  | 'database'
  | 'data'
  | 'killed'
  | 'disk'
  | 'unknown'

export interface ClassRule {
  /** Whether doing it again can help: as often as the step says, once, or not at all. */
  readonly retry: 'yes' | 'once' | 'no'
  /** Pause before the first retry where the step names none; it doubles up to maxDelayMs. */
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** The failure that a command fails with when this is what its nodes (or its start) failed of. */
  readonly type: FailureType
  /** What a person does next: one sentence, shown in messages and in docs/operations.md. */
  readonly advice: string
  readonly patterns: readonly RegExp[]
}

const AGAIN = { retry: 'yes', firstDelayMs: 5_000, maxDelayMs: 300_000 } as const
const ONCE = { retry: 'once', firstDelayMs: 5_000, maxDelayMs: 5_000 } as const
const NEVER = { retry: 'no', firstDelayMs: 0, maxDelayMs: 0 } as const

/**
 * In the order in which the patterns are tried. Adapters hand on texts only (BigQuery's reasons are mostly dropped, DuckDB
 * has no SQLSTATE), and a text quotes the query and its values: a column may be called backendError, a value that
 * cannot be cast may read 'connection refused'. So the classes whose texts begin in a known way come first and match
 * only at the start of a line (`^` with the flag m); those known by words inside a text come after them.
 */
export const FAILURE_CLASSES: Readonly<Record<FailureClass, ClassRule>> = {
  data: {
    ...NEVER,
    type: 'DbtTestsFailed',
    advice: 'Look at the rows that the test finds, correct the data or the model, then start the run again.',
    patterns: [
      /^\s*Got \d+ results?, configured to (?:fail|warn) if /m,
      // The words are coloured: dbt writes escape codes into this message even without a terminal.
      /^\S*actual\S* differs from \S*expected/m,
      /^(?:\d+ of \d+ )?ERROR STALE freshness of /m,
    ],
  },
  compile: {
    ...NEVER,
    type: 'DbtProjectInvalid',
    advice: 'Correct the dbt project or its profile where the message says; `npx millrace check` finds most of this.',
    patterns: [
      /^\s*(?:Compilation|Parsing|Dependency|Semver|Selector) Error(?: in |\s*$)/m,
      /\bdepends on a (?:node|source) named .* which was not found/,
      /^\s*(?:Env var required but not provided|Could not find profile named|The profile '.*' does not have a target named|Credentials in profile )/m,
      /^Error encountered in .*\.ya?ml$/m,
      // Usage of the command line, on standard error.
      /^(?:Error: )?(?:No such option|Invalid value for '|No such command)/m,
      // The profile again: no such database (Postgres), encryption that the server does not speak, a path that is none.
      /\bFATAL: +database ".*" does not exist/,
      /\bserver does not support SSL, but SSL was required/,
      /^\s*IO Error: Cannot open file ".*": No such file or directory/m,
    ],
  },
  database: {
    ...NEVER,
    type: 'DbtNodesFailed',
    advice: 'Correct the SQL of the model, or the data that it cannot take, then start the run again.',
    patterns: [
      // DuckDB. Not its 'IO', 'HTTP' and 'TransactionContext' errors: those have causes outside of the query, nor the
      // 'Invalid Input' that only wraps another error.
      /^\s*(?:Binder|Catalog|Parser|Syntax|Conversion|Constraint|Out of Range|Invalid Input|Invalid Type|Mismatch Type|Not implemented|Dependency|Sequence|Expression) Error: (?!Attempting to execute an unsuccessful)/im,
      /^\s*IO Error: No files found that match the pattern/m,
      // Postgres.
      /^\s*(?:relation|table|view|materialized view|column|function|procedure|aggregate|schema|type|operator|index|sequence|constraint|extension|collation)\b.* (?:does not exist|already exists)/m,
      /^\s*(?:syntax error at|division by zero|cannot cast |invalid input (?:syntax|value) for|date\/time field value out of range)/m,
      /^\s*(?:null value in column|duplicate key value|insert or update on table|new row for relation|update or delete on table).* violates /m,
      /^\s*(?:(?:big|small)?int(?:eger)? out of range|numeric field overflow|value too long for type|value ".*" is out of range)/m,
      /^\s*(?:column reference ".*" is ambiguous|missing FROM-clause entry|column ".*" (?:is of type|must appear)|more than one row returned by a subquery|requested length too large|cannot drop .* because other objects depend on it|cannot execute .* in a read-only transaction|cross-database references are not implemented)/m,
      // BigQuery; a number before it is an HTTP status.
      /^\s*(?:[45]\d\d )?(?:Syntax error:|Unrecognized name:|Function not found:|Type not found:|No matching signature for|Column name .* is ambiguous|Name .* not found inside|Table ".*" must be qualified with a dataset|Invalid (?:value|date|timestamp|datetime|cast|schema)\b|Bad \w+ value:|Could not cast |Query error:|Query column \d+ has type|Query without FROM clause|Cannot (?:parse|access field|replace a table|query over table)|UPDATE\/MERGE must match at most one source row|Provided Schema does not match)/im,
      /\bNot found: (?:Table|Dataset|Routine|Function|Model|Project)\b/,
      /^(?![\s\S]*concurrent update)[\s\S]*\breason\W{1,4}(?:invalidQuery|invalid|notFound|duplicate)\b/i,
    ],
  },
  lock: {
    ...AGAIN,
    type: 'WarehouseBusy',
    advice: 'Close the DuckDB file in the program that the message names.',
    patterns: [
      /^\s*IO Error: (?:Could not set lock on file|.*Conflicting lock is held in |.*being used by another process)/m,
    ],
  },
  disk: {
    ...NEVER,
    type: 'DiskFull',
    advice: 'Free space where the warehouse or its temporary files live, then start the run again.',
    patterns: [/\bNo space left on device\b/i, /\bdisk quota exceeded\b/i],
  },
  resource: {
    ...NEVER,
    type: 'DbtResources',
    advice: 'Make the query smaller (incremental, fewer threads), or raise the limit that the message names.',
    patterns: [
      /^\s*(?:Error: )?Out of Memory Error: /im,
      // Postgres; memory of the server and limits that somebody has set.
      /^\s*(?:out of (?:shared )?memory|stack depth limit exceeded)\b/im,
      /^\s*canceling statement due to (?:statement|transaction) timeout/m,
      /\bterminating connection due to (?:transaction|idle-in-transaction|idle-session) timeout/,
      /^\s*temporary file size exceeds "temp_file_limit"/m,
      /\bMemoryError\b|\bCannot allocate memory\b|\bstd::bad_alloc\b/,
      // BigQuery; the one on bytes billed comes with HTTP status 500 and is no fault of the server.
      /\bResources exceeded during query execution\b|\breason\W{1,4}resourcesExceeded\b/i,
      /\bQuery exceeded (?:limit for bytes billed|resource limits)|\breason\W{1,4}bytesBilledLimitExceeded\b/i,
      /\bNot enough resources for query planning\b|\bThe query is too large\b|\bResponse too large to return\b/i,
      /\bJob timed out after \d|\bBigQuery Timeout Exceeded\b|\bwithin the designated timeout of \d/,
    ],
  },
  auth: {
    ...NEVER,
    type: 'DbtAuth',
    advice:
      'Correct the account or its password in the profile, or have the warehouse give it the right that is missing.',
    patterns: [
      // Postgres.
      /\b(?:password|peer|ident|GSSAPI|LDAP|certificate) authentication failed for user\b/i,
      /\bno password supplied\b|\bno pg_hba\.conf entry for\b|\bFATAL: +role ".*" (?:does not exist|is not permitted to log in)/,
      /\bFATAL: +permission denied for\b/,
      /^\s*(?:permission denied (?:for|to)\b|must be (?:owner of|superuser|able to SET ROLE)\b)/m,
      // BigQuery.
      /\bAccess Denied: |\breason\W{1,4}(?:accessDenied|authError|billingNotEnabled)\b|, accessDenied\b/i,
      /\binvalid_grant\b|\bReauthentication is needed\b|\bUnable to generate access token\b/,
      /\bdefault credentials were not found\b|\bCould not automatically determine credentials\b/i,
      /\binvalid authentication credentials\b|\bRequest is prohibited by organization's policy\b/i,
      /\bBilling has not been enabled\b|\bRequest had insufficient authentication scopes\b/i,
      // Any of them over HTTP or from a file of DuckDB.
      /\b(?:HTTP|error|status|code)(?: code)?[ :=]+40[13]\b(?![\s\S]*(?:rate ?limit|quota))|\b401 (?:get|post|put|patch|delete|unauthorized)\b/i,
      /^\s*IO Error: Cannot open file ".*": Permission denied/m,
    ],
  },
  'transient warehouse': {
    ...AGAIN,
    type: 'DbtTransient',
    advice:
      'Nothing at first: it passes by itself; if it comes back, run less beside it or look at the status page of the warehouse.',
    patterns: [
      // BigQuery. Before quota: "Job exceeded rate limits: Your user exceeded quota for rate …" is over in seconds.
      /\bexceeded rate limits?\b|\bexceeded quota for (?:rate |concurrent |max number of jobs that can be queued)/i,
      /(?:^|[\s:,;(]|\breason\W{1,4})(?:(?:job)?(?:rateLimitExceeded|backendError|internalError)|badGateway)\b/i,
      /\bRetrying (?:the job )?(?:may|with back-off)|\bcould not serialize access\b|\bdue to concurrent (?:update|transaction)/i,
      // HTTP 5xx with the words around it: "Got 503 results" is a failing test and "LINE 502:" a place in a query.
      /\b(?:429|50[0234]) (?:get|post|put|patch|delete|head) http/i,
      /\b50[234] (?:bad gateway|service unavailable|gateway time-?out|deadline exceeded)\b|\b429 too many requests\b/i,
      /\b(?:http|error|status|code)(?: code)?[ :=]+(?:429|50[0234])\b/i,
      // Postgres. A lock that was not got in time is waited for by retries, not like a DuckDB file by 'lock'.
      /^\s*deadlock detected\b/m,
      /^\s*canceling statement due to (?:lock timeout|conflict with recovery)/m,
      /^\s*could not obtain lock on /m,
      // DuckDB: two threads of one dbt changed the same thing.
      /^\s*TransactionContext Error: |\bwrite-write conflict\b/m,
    ],
  },
  quota: {
    ...NEVER,
    type: 'DbtQuota',
    advice: 'Wait until the quota refills (daily ones over 24 hours) or have it raised, then start the run again.',
    patterns: [/\bquota exceeded: /i, /\breason\W{1,4}quotaExceeded\b|(?:^|[\s:,;(])quotaExceeded\b/i],
  },
  'transient network': {
    ...AGAIN,
    type: 'DbtTransient',
    advice: 'See that the warehouse runs and can be reached from the worker, and that its connections are not used up.',
    patterns: [
      /\bconnection (?:reset|refused|aborted|timed out|timeout expired)\b|\bConnection aborted\./i,
      /\bcould not connect to server\b|\bcould not establish connection\b|\bcould not translate host name\b/i,
      /\bconnection to server (?:at|on) .* failed: (?:timeout expired|No such file|No route to host|Network is unreachable|Operation timed out)/,
      /\bserver closed the connection unexpectedly\b|\bSSL connection has been closed unexpectedly\b|\bSSL SYSCALL error\b/,
      /\bterminating connection (?:due to administrator command|because of crash of another server process)/,
      /\bthe database system is (?:starting up|shutting down|in recovery mode|not yet accepting connections)/,
      /\btoo many (?:connections|clients)\b|\bremaining connection slots are reserved\b/i,
      /\b(?:connection|cursor) already closed\b|\bcould not (?:receive data from|send data to) server\b/i,
      // Python's HTTP client (BigQuery).
      /\bRemote end closed connection\b|\bRemoteDisconnected\b|\bMax retries exceeded with url\b|\bRead timed out\b/,
      /\bTemporary failure in name resolution\b|\bName or service not known\b|\bNetwork is unreachable\b/i,
      /\bDeadline of [\d.]+s exceeded\b|\bTimeout of [\d.]+s exceeded\b|\bUnexpected EOF\b|\bEOF occurred in violation of protocol\b/i,
      // DuckDB's httpfs.
      /^\s*(?:IO|HTTP) Error: (?:Connection error|.*\b(?:Timeout was reached|Could not resolve))/im,
    ],
  },
  killed: {
    ...AGAIN,
    type: 'DbtKilled',
    advice:
      'See whether the machine ran out of memory (`dmesg`) or somebody ended dbt; give it fewer threads or more memory.',
    // No text: a signal is what tells, or a dbt that never said that it was done.
    patterns: [],
  },
  unknown: {
    ...ONCE,
    type: 'DbtUnknown',
    advice: 'Read `dbt.log` in the folder of the run, and report the text so that it gets a class of its own.',
    patterns: [],
  },
}

/** The class whose patterns fit first; 'unknown' where nothing fits. */
export function classify(message: string): FailureClass {
  for (const name of failureClasses()) {
    if (FAILURE_CLASSES[name].patterns.some((pattern) => pattern.test(message))) return name
  }
  return 'unknown'
}

function failureClasses(): FailureClass[] {
  // Object.keys says string[]; the type of the table makes them these.
  return Object.keys(FAILURE_CLASSES) as FailureClass[]
}
