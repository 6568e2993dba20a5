// Messages that dbt 1.12 really wrote on DuckDB and Postgres, and BigQuery's documented ones, each with its class.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { retriesWorthwhile } from '../pipeline/failure.ts'
import { classify, FAILURE_CLASSES, type FailureClass } from './failure-class.ts'

const root = path.join(import.meta.dirname, '../..')
const messages = z
  .array(
    z.strictObject({
      adapter: z.enum(['duckdb', 'postgres', 'bigquery', 'dbt']),
      source: z.enum(['recorded', 'documented']),
      text: z.string().min(1),
      class: z.string(),
    }),
  )
  .parse(JSON.parse(readFileSync(path.join(root, 'tests/fixtures/dbt/messages.json'), 'utf8')))
const classes = Object.entries(FAILURE_CLASSES)

describe('a message has its class', () => {
  test.each(messages.map(({ adapter, text, class: expected }) => [expected, adapter, text]))(
    '%s, %s: %j',
    (expected, _adapter, text) => {
      expect(classify(text)).toBe(expected)
    },
  )

  // `dbt` prints it like this, and the ledger joins several.
  test.each(messages)('also with other lines around it: $adapter, $class', ({ text, class: expected }) => {
    expect(classify(`Encountered an error:\n${text}\n`)).toBe(expected)
  })
})

const inModel = (text: string) =>
  `Database Error in model orders (models/orders.sql)\n  ${text}\n  compiled code at target/run/shop/models/orders.sql`

const nearMisses: readonly (readonly [FailureClass, string])[] = [
  // Numbers that look like HTTP.
  ['data', 'Got 503 results, configured to fail if != 0'],
  ['data', 'Got 502 results, configured to warn if != 0'],
  ['database', 'Binder Error: Referenced column "user_idd" not found\n\nLINE 503: select user_idd'],
  ['database', 'Parser Error: syntax error at or near "504"'],
  ['database', inModel('syntax error at or near "selec"\n  LINE 502:     selec 1')],
  ['database', inModel('Syntax error: Unexpected integer literal "503" at [502:1]')],
  ['transient warehouse', '502 Bad Gateway'],
  ['transient warehouse', '504 Deadline Exceeded'],
  ['transient warehouse', 'HTTP 503'],
  [
    'transient warehouse',
    inModel('503 POST https://bigquery.googleapis.com/bigquery/v2/projects/shop/jobs: Service Unavailable'),
  ],
  // Names and values that read like the words of another class.
  ['database', inModel('Unrecognized name: backendError at [3:5]')],
  ['database', inModel('Unrecognized name: quotaExceeded at [3:5]')],
  ['database', 'Catalog Error: Table with name accessDenied does not exist!'],
  ['database', "Conversion Error: Could not convert string 'Connection refused' to INT32"],
  ['database', inModel('invalid input syntax for type integer: "deadlock detected"')],
  ['database', inModel('Bad int64 value: No space left on device')],
  [
    'database',
    'Runtime Error in model gone (models/gone.sql)\n  Catalog Error: Table with name lock_file does not exist',
  ],
  ['compile', 'Compilation Error in model orders (models/orders.sql)\n  connection refused by the macro'],
  ['compile', 'Compilation Error in model orders (models/orders.sql)\n  Got 3 results, too many'],
  // A 'Database Error' is dbt's word for anything that the adapter throws.
  ['transient network', inModel('could not receive data from server: Connection reset by peer')],
  ['transient network', inModel('SSL SYSCALL error: EOF detected')],
  ['transient network', inModel('terminating connection due to administrator command')],
  ['unknown', inModel('something new')],
  [
    'resource',
    'Invalid Input Error: Attempting to execute an unsuccessful or closed pending query result\nError: Out of Memory Error: failed to pin block',
  ],
  // Three meanings of HTTP 403, and quotas that are over in seconds.
  ['transient warehouse', 'googleapi: Error 403: Exceeded rate limits: too many jobs, rateLimitExceeded'],
  ['quota', 'googleapi: Error 403: Too many imports for this table, quotaExceeded'],
  ['auth', 'googleapi: Error 403: Permission bigquery.tables.create denied on dataset shop:analytics, accessDenied'],
  [
    'transient warehouse',
    inModel(
      'Quota exceeded: Your project and region exceeded quota for max number of jobs that can be queued per project.',
    ),
  ],
  ['disk', 'OSError: [Errno 122] Disk quota exceeded'],
  [
    'transient warehouse',
    'googleapi: Error 400: Could not serialize access to table shop:a.b due to concurrent update; reason: invalidQuery',
  ],
  ['database', '400 Something about the query; reason: invalidQuery, location: query'],
  // What does not exist: the table, the role, or the database of the profile.
  ['database', inModel('relation "shop.raw_payments" does not exist')],
  ['auth', 'connection to server at "127.0.0.1", port 5432 failed: FATAL:  role "dbt" does not exist'],
  [
    'auth',
    inModel(
      'Access Denied: Table shop:raw.a: User does not have permission to query it, or perhaps it does not exist.',
    ),
  ],
  // Time-outs: a limit on the statement is spent again by the next try, a lost packet is not.
  ['resource', 'canceling statement due to statement timeout'],
  ['transient network', 'connection to server at "127.0.0.1", port 5432 failed: timeout expired'],
  ['unknown', ''],
]

/** Texts out of the sources of Postgres, libpq, google-auth, requests and DuckDB that are hard to bring about here. */
const fromSources: readonly (readonly [FailureClass, string])[] = [
  // The last line alone, as standard error gives it.
  ['compile', "Model 'model.shop.a' (models/a.sql) depends on a node named 'payments' which was not found"],
  ['compile', "Env var required but not provided: 'SHOP_WAREHOUSE'"],
  ['database', 'Dependency Error: Cannot drop entry "orders" because there are entries that depend on it.'],
  [
    'lock',
    'IO Error: Cannot open file "w.duckdb": The process cannot access the file because it is being used by another process.',
  ],
  [
    'resource',
    inModel('Resources exceeded during query execution: The query could not be executed in the allotted memory.'),
  ],
  ['transient warehouse', inModel('400 The job failed; reason: jobInternalError')],
  [
    'transient warehouse',
    inModel(
      '503 GET https://bigquery.googleapis.com/bigquery/v2/projects/shop/jobs/x: Visibility check was unavailable.',
    ),
  ],
  ['transient network', inModel("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))")],
  ['transient network', inModel('Failed to resolve host: [Errno -3] Temporary failure in name resolution')],
  ['database', inModel('value too long for type character varying(2)')],
  ['database', inModel('column reference "id" is ambiguous')],
  ['database', inModel('new row for relation "orders" violates check constraint "positive"')],
  ['resource', 'FATAL:  terminating connection due to idle-in-transaction timeout'],
  ['resource', inModel('out of shared memory\n  HINT:  You might need to increase "max_locks_per_transaction".')],
  ['resource', 'OSError: [Errno 12] Cannot allocate memory'],
  [
    'resource',
    inModel('Response too large to return. Consider specifying a destination table in your job configuration.'),
  ],
  ['auth', 'FATAL:  permission denied for database "shop"\nDETAIL:  User does not have CONNECT privilege.'],
  [
    'auth',
    'Your default credentials were not found. To set up Application Default Credentials, see https://cloud.google.com',
  ],
  ['auth', inModel("VPC Service Controls: Request is prohibited by organization's policy.")],
  ['auth', inModel('Billing has not been enabled for this project. DML queries are not allowed in the free tier.')],
  ['auth', 'HTTP Error: Unable to connect to URL "https://files.example/a.csv": 403 (Forbidden), HTTP code 403'],
  ['auth', 'IO Error: Cannot open file "w.duckdb": Permission denied'],
  ['transient warehouse', inModel('could not obtain lock on row in relation "orders"')],
  [
    'transient network',
    'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
  ],
  ['transient network', inModel('connection already closed')],
  [
    'transient network',
    "HTTPSConnectionPool(host='bigquery.googleapis.com', port=443): Max retries exceeded with url: /",
  ],
  ['transient network', inModel("Timeout of 600.0s exceeded, last exception: SSLEOFError(8, '')")],
  ['transient network', 'IO Error: Connection error for HTTP HEAD to https://files.example/a.csv'],
]

test.each(nearMisses)('a near miss: %s: %j', (expected, text) => {
  expect(classify(text)).toBe(expected)
})

test.each(fromSources)('a text that other programs can write: %s: %j', (expected, text) => {
  expect(classify(text)).toBe(expected)
})

describe('the table', () => {
  test('has no class without a message; only a killed dbt is told by a signal', () => {
    const seen = new Set([...messages.map((message) => message.class), 'killed'])
    expect([...seen].toSorted()).toEqual(Object.keys(FAILURE_CLASSES).toSorted())
  })

  test('has no pattern that no text needs', () => {
    const texts = [
      ...messages.map(({ text }) => text),
      ...nearMisses.map(([, text]) => text),
      ...fromSources.map(([, text]) => text),
    ]
    const idle = classes.flatMap(([name, { patterns }]) => {
      const told = texts
        .filter((text) => classify(text) === name)
        .map((text) => patterns.filter((pattern) => pattern.test(text)))
      return patterns.filter((pattern) => !told.some((fitting) => fitting.length === 1 && fitting[0] === pattern))
    })
    expect(idle).toEqual([])
  })

  test.each(classes)('%s has an advice that fits a line, and pauses where it is tried again', (_name, rule) => {
    expect(rule.advice.length).toBeLessThan(160)
    expect(rule.advice).toMatch(/^\S[^\n]*\.$/)
    expect(rule.firstDelayMs).toBeLessThanOrEqual(rule.maxDelayMs)
    expect(rule.firstDelayMs > 0).toBe(rule.retry !== 'no')
  })

  test.each(classes)('%s is tried again as its failure type is', (_name, { retry, type }) => {
    expect(retriesWorthwhile(type)).toBe({ yes: Infinity, once: 1, no: 0 }[retry])
  })

  test('patterns keep no place between two texts', () => {
    const flags = classes.flatMap(([, { patterns }]) => patterns.map((pattern) => pattern.flags))
    expect(flags.filter((flag) => /[gy]/.test(flag))).toEqual([])
  })

  test('is the one in docs/operations.md, row by row', () => {
    const words = { yes: 'as often as `retries` says, after 5 s, 10 s, … at most 5 min', once: 'once', no: 'no' }
    const section = readFileSync(path.join(root, 'docs/operations.md'), 'utf8')
      .split(/^## /m)
      .find((text) => text.startsWith('Why dbt failed\n'))
    const rows = (section ?? '')
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .slice(2)
      .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '')))
    expect(rows.map(([name, , again, advice]) => [name, again, advice])).toEqual(
      classes.map(([name, { retry, advice }]) => [name, words[retry], advice]),
    )
    expect(rows.every((row) => row.length === 4 && row[1] !== '')).toBe(true)
  })
})
