// Which error texts of dbt are worth another try, and which are the data's or the project's own.
import { expect, test } from 'vitest'
import { classifyText } from './failure-class.ts'

test.each([
  ['WarehouseBusy', 'IO Error: Could not set lock on file "w.duckdb": Conflicting lock is held in python3 (PID 7)'],
  ['DiskFull', 'IO Error: Could not write file "w.duckdb": No space left on device'],
  ['DiskFull', 'could not extend file "base/5/16384": No space left on device'],
  ['DbtTransient', 'Database Error\n  Exceeded rate limits: rateLimitExceeded'],
  ['DbtTransient', '503 POST https://bigquery.example/queries: Service Unavailable'],
  ['DbtTransient', '502 Bad Gateway'],
  ['DbtTransient', '504 Deadline Exceeded'],
  ['DbtTransient', 'HTTP 503'],
  ['DbtTransient', 'Retrying the job with back-off: backendError. Retrying may solve the problem.'],
  ['DbtTransient', 'could not connect to server: Connection refused'],
  ['DbtTransient', 'server closed the connection unexpectedly'],
  ['DbtTransient', 'could not serialize access due to concurrent update'],
  ['DbtTransient', 'deadlock detected'],
  ['DbtTransient', 'TransactionContext Error: Conflict on update!'],
])('%s: %s', (type, text) => {
  expect(classifyText(text)).toBe(type)
})

test.each([
  'Got 503 results, configured to fail if != 0',
  'Got 502 results, configured to fail if != 0',
  "Runtime Error in model broken (models/broken.sql)\n  Conversion Error: Could not convert string '1a' to INT32",
  'Binder Error: Referenced column "user_idd" not found\n\nLINE 503: select user_idd',
  'Parser Error: syntax error at or near "504"',
  'Compilation Error in model zz (models/zz.sql)',
  'Catalog Error: Table with name lock_file does not exist',
  '',
])('no class of its own, so no retry: %s', (text) => {
  expect(classifyText(text)).toBeUndefined()
})
