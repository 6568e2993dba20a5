// What a person sees of the steps: while they run, and when some of it failed.
import { describe, expect, test } from 'vitest'
import { stripVTControlCharacters as plain } from 'node:util'
import {
  stepsTable,
  type DbtProgress,
  type DbtReport,
  type LoadProgress,
  type Progress,
  type RunReport,
  type StepReport,
} from '../pipeline/report.ts'
import { liveLines, stepLines, summaryLines } from './view.ts'

const step: StepReport = {
  id: 'dbt-build',
  kind: 'dbt',
  title: 'dbt build',
  state: 'running',
  startedAtMs: 0,
  durationMs: null,
  attempts: 1,
  failure: null,
  loads: [],
  dbt: null,
  dbtProgress: null,
  marts: [],
  published: null,
  warmed: [],
  bytesBilled: null,
}

const progress: DbtProgress = {
  phase: 'dbt',
  done: 4,
  failed: 1,
  warned: 0,
  skipped: 1,
  total: 12,
  running: [{ name: 'mart_users', startedAtMs: 20_000, usualMs: 2_000, slow: true }],
  slowest: [],
  leftMs: 7_000,
}

const live = (part: Partial<StepReport>, beats: [string, DbtProgress][] = []) =>
  liveLines({ steps: [{ ...step, ...part }], progress: new Map(beats), frame: 0, nowMs: 60_000, width: 120 }).map(plain)

test('a dbt step that runs has a bar, what runs, what went wrong, what is left, and a line for what is slow', () => {
  const [first, second] = live({}, [['dbt-build/1', progress]])

  expect(first).toMatch(/█{12}░{12} {2}6\/12 {2}1 failed, 1 skipped {2}mart_users 40\.0 s · about 7\.0 s left/)
  expect(second?.trim()).toBe('slow: mart_users, usually 2.0 s')
})

test('where no heartbeat is there, what the run itself knows is shown; before dbt counts its nodes, that it starts', () => {
  expect(live({ dbtProgress: progress })[0]).toContain('6/12')
  expect(live({})[0]).toContain('starting dbt')
  expect(live({ dbtProgress: { ...progress, total: 0 } })[0]).toContain('starting dbt')
})

test('a failed step says which marts are sound, which are not, and how much was done before', () => {
  const dbt: DbtReport = {
    command: 'build',
    invocationId: 'i',
    counts: { success: 3, error: 1 },
    total: 4,
    takenOver: 2,
    nodes: [],
    bytesBilled: null,
    bytesEstimated: null,
    notEstimated: 0,
    marts: { unbroken: ['mart_content'], broken: [{ mart: 'mart_users', because: 'stg_users' }] },
  }
  const lines = stepLines({ ...step, state: 'failed', durationMs: 1_000, dbt }).map((line) => plain(line).trim())

  expect(lines[0]).toContain('3 success, 1 error')
  expect(lines[0]).toContain('2 of them done before')
  expect(lines.slice(1)).toEqual(['sound   mart_content', 'broken  mart_users  behind stg_users'])
})

describe('where the warehouse bills by bytes', () => {
  const dbt: DbtReport = {
    command: 'run',
    invocationId: 'i',
    counts: { success: 3 },
    total: 3,
    takenOver: 0,
    nodes: [],
    bytesBilled: 4_210_000_000,
    bytesEstimated: 4_000_000_000,
    notEstimated: 1,
    marts: null,
  }
  const report: RunReport = {
    pipeline: 'daily',
    target: 'prod',
    logicalDate: '2026-11-18',
    params: {},
    outcome: 'succeeded',
    run: 'succeeded',
    test: null,
    steps: [{ ...step, state: 'succeeded', durationMs: 1_000, dbt }],
    failure: null,
    note: null,
    takeOver: null,
    bytesBilled: 5_000_000_000,
    bytesEstimated: 4_000_000_000,
    workflowId: 'daily-1',
    runId: 'r',
    startedAt: '2026-11-19T02:00:00Z',
    finishedAt: '2026-11-19T02:00:01Z',
    durationMs: 1_000,
  }
  const summary = (part: Partial<RunReport>) =>
    summaryLines({ ...report, ...part }, { runLink: undefined, reportFile: 'report.json' }).map(plain)

  test('the end of a run says what it was billed, and what dbt was expected to read', () => {
    expect(summary({}).at(-1)).toBe(' Billed       5 GB; dbt: about 4 GB estimated and 1 node unknown')
    expect(summary({ bytesEstimated: null }).at(-1)).toBe(' Billed       5 GB')
    expect(summary({ bytesBilled: null, bytesEstimated: null }).at(-1)).toBe(' Report       report.json')
  })

  test('so does the line of a dbt step', () => {
    expect(summary({})[2]).toContain('4.21 GB billed')
    const [line = ''] = stepLines({ ...step, state: 'succeeded', dbt: { ...dbt, bytesBilled: null } })
    expect(plain(line)).not.toContain('billed')
  })
})

test('why a step failed that may do so stands in full: a selection of no tests is never just yellow', () => {
  const message = "dbt test --select tag:P2: 'tag:P2' matches nothing in the project"
  const warned: StepReport = {
    ...step,
    title: 'tests',
    state: 'warned',
    failure: { type: 'DbtNothingSelected', message },
  }
  const report: RunReport = {
    pipeline: 'phase2',
    target: 'dev',
    logicalDate: '2026-11-18',
    params: {},
    outcome: 'warned',
    run: null,
    test: 'warned',
    steps: [warned],
    failure: null,
    note: null,
    takeOver: null,
    bytesBilled: null,
    bytesEstimated: null,
    workflowId: 'w',
    runId: 'r',
    startedAt: '',
    finishedAt: '',
    durationMs: 1,
  }
  const lines = summaryLines(report, { runLink: undefined, reportFile: 'report.json' }).map(plain)
  expect(lines).toContain(` DbtNothingSelected: ${message}`)
  expect(lines).toContain('   tests may fail with a warning (on_failure: warn), so the run went on')
})

test('a warm step has a line for each address, while it runs its name, and what it was answered at the end', () => {
  const warmed = [
    { path: '/api/a/summary', status: 200, answer: '200', durationMs: 1200, attempts: 1 },
    { path: '/api/b/summary', status: null, answer: 'connection refused', durationMs: 3, attempts: 2 },
  ]
  const lines = stepLines({ ...step, kind: 'warm', title: 'warm', state: 'warned', warmed }).map(plain)
  expect(lines[0]).toMatch(/^ ! warm +\/api\/a\/summary +200 {2}1\.2 s/)
  expect(lines[1]).toMatch(/^ +\/api\/b\/summary +connection refused {2}0\.0 s/)
})

test('the loads of one table by several values bear their value, while they run and at the end, each with its own bar', () => {
  const load = (forEach: string, state: LoadProgress['state']): LoadProgress => ({
    into: 'raw_weather.observations',
    forEach,
    file: `v1/paquet?id-departement=${forEach}`,
    state,
    report: null,
    failure: null,
  })
  const ingest: StepReport = { ...step, id: 'ingest', kind: 'ingest', title: 'ingest' }
  const beat = (phase: 'reading' | 'loading', doneBytes: number): Progress => ({
    phase,
    doneBytes,
    totalBytes: 4_000_000,
    bytesPerSecond: 1_000_000,
    records: 0,
  })
  const lines = liveLines({
    steps: [{ ...ingest, loads: [load('9', 'running'), load('2A', 'running'), load('971', 'pending')] }],
    progress: new Map([
      ['ingest/raw_weather.observations/2A/1', beat('loading', 3_000_000)],
      ['ingest/raw_weather.observations/9/2', beat('reading', 1_000_000)],
    ]),
    frame: 0,
    nowMs: 1_000,
    width: 160,
  }).map(plain)

  expect(lines[0]).toMatch(/raw_weather\.observations 9 .*reading 1\.0 of 4\.0 MB/)
  expect(lines[1]).toMatch(/raw_weather\.observations 2A .*loading 3\.0 of 4\.0 MB/)
  expect(lines[2]).toMatch(/raw_weather\.observations 971 +pending$/)

  const failed = { type: 'SourceRefused', message: 'm' } as const
  const loads = [load('9', 'skipped'), { ...load('2A', 'failed'), failure: failed }]
  const ended: StepReport = { ...ingest, state: 'failed', loads }
  expect(stepLines(ended).map(plain)).toEqual([
    expect.stringMatching(/raw_weather\.observations 9 +skipped$/),
    expect.stringMatching(/raw_weather\.observations 2A +SourceRefused$/),
  ])
  expect(stepsTable([ended])).toContain('raw_weather.observations 9 skipped · raw_weather.observations 2A failed')
})
