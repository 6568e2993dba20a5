// A line per run of `millrace history`.
import { stripVTControlCharacters as plain } from 'node:util'
import { expect, test } from 'vitest'
import type { LoggedRun } from '../warehouses/warehouse.ts'
import { historyLines } from './history.ts'

const run: LoggedRun = {
  startedAt: '2026-11-19T02:00:00Z',
  pipeline: 'daily',
  target: 'prod',
  logicalDate: '2026-11-18',
  outcome: 'succeeded',
  failureType: null,
  modelsUpdated: 6,
  rowsInserted: 8921,
  executionTimeSeconds: 41.25,
  bytesBilled: 5_000_000_000,
  bytesEstimated: 4_100_000_000,
  notes: 'daily refresh',
  marts: { mart_users: { rows: 1132, verdict: 'VALID' } },
  workflowId: 'daily-1',
  runId: 'r',
}

const line = (part: Partial<LoggedRun>) => historyLines([{ ...run, ...part }]).map(plain)[0]

test('a run says what it was billed and what was estimated, as far as that is known', () => {
  expect(line({})).toMatch(
    /2026-11-19 02:00 {2}succeeded.*8,921 rows.* 1\/1 marts.* {2}5 GB billed \(about 4\.1 GB estimated\) {2}daily refresh$/,
  )
  expect(line({ bytesEstimated: null })).toMatch(/ {2}5 GB billed {2}daily refresh$/)
  expect(line({ bytesBilled: null, bytesEstimated: null })).not.toContain('billed')
})
