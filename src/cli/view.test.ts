// What a person sees of a dbt step: while it runs, and when some of it failed.
import { expect, test } from 'vitest'
import { stripVTControlCharacters as plain } from 'node:util'
import type { DbtProgress, DbtReport, StepReport } from '../pipeline/report.ts'
import { liveLines, stepLines } from './view.ts'

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
    marts: { unbroken: ['mart_content'], broken: [{ mart: 'mart_users', because: 'stg_users' }] },
  }
  const lines = stepLines({ ...step, state: 'failed', durationMs: 1_000, dbt }).map((line) => plain(line).trim())

  expect(lines[0]).toContain('3 success, 1 error')
  expect(lines[0]).toContain('2 of them done before')
  expect(lines.slice(1)).toEqual(['sound   mart_content', 'broken  mart_users  behind stg_users'])
})
