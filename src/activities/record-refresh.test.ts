// A run's row of the refresh log, as the pipelines that this replaces wrote it.
import { describe, expect, test } from 'vitest'
import type { LoadReport, MartReport, RunReport, StepReport } from '../pipeline/report.ts'
import { refreshRow } from './record-refresh.ts'

function step(part: Partial<StepReport>): StepReport {
  const nothing = {
    startedAtMs: 0,
    durationMs: 1,
    failure: null,
    loads: [],
    dbt: null,
    dbtProgress: null,
    marts: [],
    published: null,
    warmed: [],
    bytesBilled: null,
  }
  return { id: 'x', kind: 'dbt', title: 'x', state: 'succeeded', attempts: 1, ...nothing, ...part }
}

function load(status: LoadReport['status'], loaded: number): StepReport['loads'][number] {
  const counts = { read: loaded + 1, loaded, superseded: 0, rejected: 1, removed: 0, rejectReasons: [] }
  const names = {
    loadId: 'l',
    into: 'raw.logs',
    file: 'logs.csv',
    files: 1,
    identicalFiles: [],
    rejectsTable: 'raw.logs__rejects',
    bytesBilled: null,
  }
  const report = { ...names, ...counts, status, loadedAt: '2026-11-19T02:00:00Z', durationMs: 1 }
  return { into: 'raw.logs', file: 'logs.csv', state: 'succeeded', report, failure: null }
}

const dbt = (command: string, counts: Record<string, number>) =>
  step({
    dbt: {
      command,
      invocationId: 'i',
      counts,
      total: 0,
      takenOver: 0,
      nodes: [],
      bytesBilled: null,
      bytesEstimated: null,
      notEstimated: 0,
      marts: null,
    },
  })

const mart = (verdict: MartReport['verdict']): MartReport => ({
  mart: `mart_${verdict.toLowerCase()}`,
  relation: 'a.m',
  verdict,
  rows: 1,
  checks: [
    { check: 'rows', verdict: 'VALID', detail: '1 rows' },
    { check: 'id not null', verdict, detail: 'some NULLs in id' },
  ],
})

function report(part: Partial<RunReport> = {}): RunReport {
  return {
    pipeline: 'daily',
    target: 'dev',
    logicalDate: '2026-11-18',
    params: {},
    outcome: 'succeeded',
    run: 'succeeded',
    test: 'succeeded',
    failure: null,
    note: null,
    takeOver: null,
    bytesBilled: null,
    bytesEstimated: null,
    workflowId: 'daily-1',
    runId: 'r-1',
    startedAt: '2026-11-19T02:00:00Z',
    finishedAt: '2026-11-19T02:00:41Z',
    durationMs: 41_250,
    steps: [
      step({ kind: 'ingest', loads: [load('loaded', 6117), load('already loaded', 500), load('loaded', 2804)] }),
      dbt('run', { success: 6, skipped: 1 }),
      dbt('test', { pass: 31, success: 5 }),
      step({ kind: 'validate', marts: [mart('VALID'), mart('WARNING')] }),
    ],
    ...part,
  }
}

test('counts the models that dbt run built and the rows that this run inserted', () => {
  expect(refreshRow(report())).toEqual({
    refreshId: 'daily-1/r-1',
    runDate: '2026-11-19T02:00:00Z',
    success: true,
    modelsUpdated: 6,
    rowsInserted: 8921,
    executionTimeSeconds: 41.25,
    bytesBilled: null,
    bytesEstimated: null,
    notes: 'daily refresh - 2/2 marts validated - mart_warning WARNING: some NULLs in id',
    marts: { mart_valid: { rows: 1, verdict: 'VALID' }, mart_warning: { rows: 1, verdict: 'WARNING' } },
    report: report(),
  })
})

test('has what the run was billed, and what dbt was expected to read', () => {
  const bytes = { bytesBilled: 5_000_000_000, bytesEstimated: 4_000_000_000 }
  expect(refreshRow(report(bytes))).toMatchObject(bytes)
})

test.each([
  ['succeeded', true],
  ['warned', true],
  ['failed', false],
  ['cancelled', false],
  ['skipped', false],
] as const)('a run that %s is a success: %s', (outcome, success) => {
  expect(refreshRow(report({ outcome })).success).toBe(success)
})

describe('the notes', () => {
  test('count the marts that did not fail', () => {
    const steps = [step({ kind: 'validate', marts: [mart('VALID'), mart('FAILED'), mart('WARNING')] })]

    expect(refreshRow(report({ steps })).notes).toBe(
      'daily refresh - 2/3 marts validated - mart_warning WARNING: some NULLs in id',
    )
  })

  test('end with the failure, its type first', () => {
    const failure = { type: 'FileMissing', message: 'logs.csv does not exist' } as const

    expect(refreshRow(report({ steps: [], outcome: 'failed', failure })).notes).toBe(
      'daily refresh - no marts validated - FileMissing: logs.csv does not exist',
    )
  })
})

test('a run that came to nothing counts nothing', () => {
  const pending = { ...load('loaded', 1), report: null }

  expect(refreshRow(report({ steps: [step({ kind: 'ingest', loads: [pending] })] }))).toMatchObject({
    modelsUpdated: 0,
    rowsInserted: 0,
  })
})
