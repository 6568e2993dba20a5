// Which days the refresh log calls good.
import { expect, test } from 'vitest'
import type { LoggedRun } from '../warehouses/warehouse.ts'
import { daysWithGoodRuns } from './good-days.ts'

const RUN: LoggedRun = {
  startedAt: '2026-11-20T02:00:00Z',
  pipeline: 'daily',
  target: 'dev',
  logicalDate: '2026-11-17',
  outcome: 'succeeded',
  failureType: null,
  modelsUpdated: 1,
  rowsInserted: 1,
  executionTimeSeconds: 1,
  marts: null,
  bytesBilled: null,
  bytesEstimated: null,
  notes: 'daily refresh - 2/2 marts validated',
  workflowId: 'w',
  runId: 'r',
}
const good = (...newestFirst: Partial<LoggedRun>[]) =>
  daysWithGoodRuns(
    newestFirst.map((run) => ({ ...RUN, ...run })),
    { pipeline: 'daily', target: 'dev' },
    '2026-11-17',
    '2026-11-19',
  )

test('a day is good whose last whole run succeeded or warned', () => {
  expect(good({ logicalDate: '2026-11-19', outcome: 'warned' }, {})).toEqual(['2026-11-17', '2026-11-19'])
  expect(good({ outcome: 'failed' }, {})).toEqual([])
  expect(good({}, { outcome: 'failed' })).toEqual(['2026-11-17'])
})

test('skipped and cancelled runs, and those of some steps only, say nothing', () => {
  expect(good({ outcome: 'skipped' }, { outcome: 'cancelled' }, {})).toEqual(['2026-11-17'])
  expect(good({ notes: 'daily refresh - no marts validated - only ingest' })).toEqual([])
})

test('other pipelines, targets and days do not count', () => {
  expect(
    good({ pipeline: 'other' }, { target: 'prod' }, { logicalDate: '2026-11-16' }, { logicalDate: '2026-11-20' }),
  ).toEqual([])
})
