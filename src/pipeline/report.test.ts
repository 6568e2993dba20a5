// What a run leaves behind, in one line, one table and one word.
import { describe, expect, test } from 'vitest'
import type { DbtVerb } from './dbt-command.ts'
import { countsText, formatCount, hasChangedTables, outcomeOf, stepsTable, stepSummary } from './report.ts'
import type { DbtProgress, DbtReport, LoadReport, StepReport, StepState } from './report.ts'

function step(part: Partial<StepReport> = {}): StepReport {
  const nothing = {
    startedAtMs: null,
    durationMs: null,
    failure: null,
    loads: [],
    dbt: null,
    dbtProgress: null,
    marts: [],
    published: null,
    warmed: [],
    bytesBilled: null,
  }
  return { id: 'dbt-run', kind: 'dbt', title: 'dbt run', state: 'succeeded', attempts: 1, ...nothing, ...part }
}

const PROGRESS: DbtProgress = {
  phase: 'dbt',
  done: 3,
  failed: 1,
  warned: 0,
  skipped: 2,
  total: 12,
  running: [],
  slowest: [],
  leftMs: null,
}

function load(part: Partial<LoadReport>): StepReport['loads'][number] {
  const { status = 'loaded', loaded = 0, rejected = 0 } = part
  const report: LoadReport = {
    loadId: 'abc',
    into: 'raw.logs',
    file: 'logs.csv',
    files: 1,
    identicalFiles: [],
    removed: 0,
    status,
    read: loaded + rejected,
    loaded,
    superseded: 0,
    rejected,
    rejectReasons: [],
    rejectsTable: 'raw.logs__rejects',
    bytesBilled: null,
    loadedAt: '2026-11-19T02:00:00Z',
    durationMs: 400,
  }
  return { into: 'raw.logs', file: 'logs.csv', state: 'succeeded', report, failure: null }
}

describe('the outcome is the worst of the steps', () => {
  test.each<[readonly StepState[], string]>([
    [['succeeded', 'succeeded'], 'succeeded'],
    [['succeeded', 'skipped'], 'succeeded'],
    [['succeeded', 'warned', 'succeeded'], 'warned'],
    [['warned', 'failed', 'succeeded'], 'failed'],
    [['failed', 'cancelled', 'pending'], 'cancelled'],
    [['skipped', 'skipped'], 'skipped'],
    [[], 'skipped'],
  ])('%j: %s', (states, outcome) => {
    expect(outcomeOf(states.map((state) => step({ state })))).toBe(outcome)
  })
})

describe('whether a dbt step may have changed tables', () => {
  const began = { startedAtMs: 0 }
  const dbt = (total: number, takenOver: number): DbtReport => ({
    command: 'run',
    invocationId: 'i',
    counts: {},
    total,
    takenOver,
    nodes: [],
    bytesBilled: null,
    bytesEstimated: null,
    notEstimated: 0,
    marts: null,
  })

  test.each<[string, DbtVerb, Partial<StepReport>, boolean]>([
    ['a run that did some of its nodes', 'run', { ...began, dbt: dbt(3, 2) }, true],
    ['a run that is wholly taken over', 'run', { ...began, dbt: dbt(3, 3) }, false],
    ['one that failed before it could report', 'run', { ...began, state: 'failed' }, true],
    ['one that still runs', 'build', { ...began, state: 'running' }, true],
    ['one that was left out, or not come to', 'run', { state: 'pending' }, false],
    ['seeds', 'seed', { ...began, dbt: dbt(1, 0) }, true],
    ['snapshots', 'snapshot', { ...began, dbt: dbt(1, 0) }, true],
    ['an operation, which has no nodes', 'run-operation', { ...began, dbt: dbt(0, 0) }, true],
    ['an operation without a report', 'run-operation', { ...began, state: 'failed' }, true],
    ['freshness, which only looks', 'source freshness', { ...began, dbt: dbt(3, 0) }, false],
    ['tests, which only look', 'test', { ...began, dbt: dbt(3, 0) }, false],
    ['packages that were installed', 'deps', { ...began, dbt: dbt(0, 0) }, false],
  ])('%s', (_what, command, part, changed) => {
    expect(hasChangedTables(command, step(part))).toBe(changed)
  })
})

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [6120, '6,120'],
  [1234567, '1,234,567'],
  [100000, '100,000'],
  [-1234, '-1,234'],
])('%i reads %s', (value, text) => {
  expect(formatCount(value)).toBe(text)
})

test("counts stand with dbt's own words", () => {
  expect(countsText({ pass: 1031, warn: 1 })).toBe('1,031 pass, 1 warn')
  expect(countsText({})).toBe('')
})

describe('one line says what a step did', () => {
  const dbt = {
    command: 'run',
    invocationId: 'i',
    counts: { success: 6 },
    total: 6,
    takenOver: 0,
    nodes: [],
    bytesBilled: null,
    bytesEstimated: null,
    notEstimated: 0,
    marts: null,
  }
  const failure = { type: 'FileMissing', message: 'logs.csv does not exist\nmore' } as const
  const pending = { into: 'raw.logs', file: 'logs.csv', state: 'pending', report: null, failure: null } as const
  const mart = { mart: 'mart_users', relation: 'a.b', verdict: 'VALID', rows: 1200, checks: [] } as const

  test.each<[string, Partial<StepReport>]>([
    ['raw.logs 6,117 loaded, 3 rejected', { kind: 'ingest', loads: [load({ loaded: 6117, rejected: 3 })] }],
    [
      'raw.logs already loaded (2,804 records) · raw.logs pending',
      { kind: 'ingest', loads: [load({ status: 'already loaded', loaded: 2804 }), pending] },
    ],
    ['6 success', { dbt }],
    ['', { state: 'running' }],
    ['1,200 of 3,000 done', { state: 'running', dbtProgress: { ...PROGRESS, done: 1200, total: 3000 } }],
    ['mart_users VALID (1,200 rows)', { kind: 'validate', marts: [mart] }],
    ['', { state: 'skipped', dbt }],
    ['FileMissing: logs.csv does not exist', { state: 'failed', failure, dbt }],
    ['', { kind: 'record' }],
  ])('%s', (line, part) => {
    expect(stepSummary(step(part))).toBe(line)
  })
})

test('the steps are a Markdown table: a row each, in order', () => {
  const table = stepsTable([
    step({ kind: 'ingest', title: 'ingest', loads: [load({ loaded: 2 })], durationMs: 412 }),
    step({ state: 'running' }),
    step({
      title: 'dbt test',
      state: 'failed',
      failure: { type: 'DbtTestsFailed', message: 'a || b' },
      durationMs: 65_000,
    }),
  ])

  expect(table.split('\n')).toEqual([
    '| step | state | what | time |',
    '|---|---|---|---|',
    '| ingest | succeeded | raw.logs 2 loaded, 0 rejected | 0.4 s |',
    '| dbt run | running |  |  |',
    '| dbt test | failed | DbtTestsFailed: a \\|\\| b | 1 min 5 s |',
  ])
})

describe('a dbt step that runs has a table of its own below', () => {
  const table = (part: Partial<DbtProgress>) =>
    stepsTable([step({ state: 'running', dbtProgress: { ...PROGRESS, ...part } }), step({ state: 'pending' })])
      .split('\n')
      .slice(4)

  test('with what runs and how slow it is, counts, the slowest and what is left', () => {
    const running = [
      { name: 'orders', startedAtMs: 0, usualMs: 2_000, slow: true },
      { name: 'a|b', startedAtMs: 5, usualMs: null, slow: false },
    ]

    expect(table({ running, slowest: [{ name: 'users', durationMs: 61_000 }], leftMs: 90_000 })).toEqual([
      '',
      '| dbt run | |',
      '|---|---|',
      '| running | orders **slow** (usually 2.0 s), a\\|b |',
      '| done | 3 of 12 |',
      '| failed | 1 |',
      '| skipped | 2 |',
      '| slowest | users 1 min 1 s |',
      '| left | about 1 min 30 s |',
    ])
  })

  test('that says so where nobody knows how long it takes', () => {
    expect(table({}).at(-1)).toBe('| left | not known yet |')
  })
})
