// A retried run: when what the failed one finished still stands, and why it does not.
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ingestEntry } from '../../tests/support/ingest-entry.ts'
import type { Manifest } from '../dbt/manifest.ts'
import type { DbtVerb } from '../pipeline/dbt-command.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { Plan, PlannedStep, RunReference } from '../pipeline/plan.ts'
import { DEFAULT_POLICIES } from '../pipeline/policies.ts'
import type { DbtReport, LoadReport, RunReport, StepReport } from '../pipeline/report.ts'
import { runFolder, workspaceAt, type Workspace } from '../platform/workspace.ts'
import { resolveTakeOver } from './take-over.ts'

const HOUR_MS = 3_600_000
const NOW_MS = Date.now()
const hoursAgo = (hours: number) => new Date(NOW_MS - hours * HOUR_MS).toISOString()

/** Runs by a number, each of its own workflow. */
const run = (number: number): RunReference => ({
  workflowId: `daily-${number}`,
  runId: `00000000-0000-0000-0000-${String(number).padStart(12, '0')}`,
})
const FAILED = run(1)
const OWN = run(9)

let workspace: Workspace
beforeEach(async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'millrace-take-over-'))
  onTestFinished(() => rm(root, { recursive: true }))
  workspace = workspaceAt(root)
})

const step = { onFailure: 'fail', skipped: false } as const
const INGEST: PlannedStep = { ...step, kind: 'ingest', id: 'ingest', entries: [ingestEntry()] }
const work = { exclude: [], options: {}, retries: 0, retryDelayMs: null, retryTests: false, timeoutMs: 1 }

function dbtStep(command: DbtVerb, select: readonly string[] = []): PlannedStep {
  return { ...step, ...work, kind: 'dbt', id: `dbt-${command}`, command, select }
}

const PLAN: Plan = {
  pipeline: 'daily',
  description: '',
  target: 'dev',
  logicalDate: '2026-11-18',
  runTime: '2026-11-19T02:00:00.000Z',
  params: { region: 'eu', day: '18' },
  lease: { lock: 'daily', target: 'dev', taskQueue: 'millrace' },
  warehouse: { kind: 'duckdb', label: 'w.duckdb', schema: identifier('analytics'), taskQueue: 'w' },
  dbt: { projectDir: 'dbt', profilesDir: 'dbt', executable: null, digest: 'd', nodeBars: true, marts: [] },
  steps: [INGEST, dbtStep('run'), dbtStep('test')],
  bigquery: { stagingBucket: null, maxBytesBilled: null },
  timeoutMs: 1,
  policies: DEFAULT_POLICIES,
  searchAttributes: false,
  takeOver: null,
  obstacle: null,
}

const ELSEWHERE = { ...PLAN.warehouse, taskQueue: 'another' }

const source = (table: string) => ({
  uniqueId: `source.shop.raw.${table}`,
  schema: 'raw',
  table,
  file: 'models/sources.yml',
  sourceName: 'raw',
  tags: [],
  columns: [],
})
const MANIFEST: Manifest = {
  digest: 'd',
  sources: [source('logs')],
  nodes: [],
  endHooks: [],
  hasDefaultSelector: false,
  exposed: [],
}

const dbtReport = (takenOver: number): DbtReport => ({
  command: 'run',
  invocationId: 'i',
  counts: {},
  total: 3,
  takenOver,
  nodes: [],
  bytesBilled: null,
  bytesEstimated: null,
  notEstimated: 0,
  marts: null,
})

function loadReport(status: LoadReport['status']): StepReport['loads'][number] {
  const counts = { files: 1, read: 1, loaded: 1, superseded: 0, rejected: 0, removed: 0, durationMs: 1 }
  const names = {
    loadId: 'load-1',
    into: 'raw.logs',
    file: 'logs.csv',
    rejectsTable: 'raw.logs__rejects',
    bytesBilled: null,
  }
  const report = { ...names, ...counts, status, identicalFiles: [], rejectReasons: [], loadedAt: hoursAgo(2) }
  return { into: 'raw.logs', file: 'logs.csv', state: 'succeeded', report, failure: null }
}

function stepReport(id: string, part: Partial<StepReport> = {}): StepReport {
  const nothing = {
    failure: null,
    loads: [],
    dbt: null,
    dbtProgress: null,
    marts: [],
    published: null,
    warmed: [],
    bytesBilled: null,
  }
  const began = { startedAtMs: 0, durationMs: 1, attempts: 1 }
  const kind = id === 'ingest' ? 'ingest' : 'dbt'
  return { id, kind, title: id, state: 'succeeded', ...began, ...nothing, ...part }
}

const LOADED = stepReport('ingest', { loads: [loadReport('loaded')] })
const ALREADY_LOADED = stepReport('ingest', { loads: [loadReport('already loaded')] })
const BUILT = stepReport('dbt-run', { dbt: dbtReport(1) })
const TAKEN_OVER = stepReport('dbt-run', { dbt: dbtReport(3) })

interface RunLeft {
  readonly plan?: Partial<Plan>
  readonly report?: Partial<RunReport>
  /** What is in its folder beside plan and report: a folder per dbt step that it came to. */
  readonly folders?: readonly string[]
}

/** What a run that began two hours ago and ended an hour ago leaves behind. */
async function leaveRun(of: RunReference, { plan, report, folders = ['dbt-run'] }: RunLeft = {}): Promise<void> {
  await leaveUnended(of, plan, folders)
  const { pipeline, target, logicalDate, params } = { ...PLAN, ...plan }
  const whole: RunReport = {
    ...of,
    pipeline,
    target,
    logicalDate,
    params,
    outcome: 'failed',
    run: 'failed',
    test: null,
    failure: null,
    note: null,
    takeOver: null,
    bytesBilled: null,
    bytesEstimated: null,
    startedAt: hoursAgo(2),
    finishedAt: hoursAgo(1),
    durationMs: HOUR_MS,
    steps: [LOADED, BUILT],
    ...report,
  }
  await writeFile(path.join(runFolder(workspace, of.workflowId, of.runId), 'report.json'), JSON.stringify(whole))
}

/** Of one that has not ended, or was terminated: its plan, and what it came to. */
async function leaveUnended(of: RunReference, plan: Partial<Plan> = {}, folders: readonly string[] = []) {
  const folder = runFolder(workspace, of.workflowId, of.runId)
  await mkdir(folder, { recursive: true })
  for (const name of folders) await mkdir(path.join(folder, name, '1.1'), { recursive: true })
  await writeFile(path.join(folder, 'plan.json'), JSON.stringify({ ...PLAN, ...plan }))
}

const takeOver = (plan: Partial<Plan> = {}, manifest = MANIFEST) =>
  resolveTakeOver(workspace, FAILED, { ...PLAN, ...plan }, manifest, OWN)

const NODES = { kind: 'nodes', of: FAILED, loadIds: ['load-1'] }

function afresh(why: string, of = FAILED) {
  return { kind: 'afresh', of, why: expect.stringContaining(why) }
}

test('nothing has changed: its nodes are taken over, as long as its loads are the same', async () => {
  await leaveRun(FAILED)
  await leaveUnended(OWN, {}, ['dbt-run'])

  expect(await takeOver()).toEqual(NODES)
  expect(await takeOver({ params: { day: '18', region: 'eu' } })).toEqual(NODES)
})

describe('all is done afresh, where that run', () => {
  test('left no report: it was terminated, or ran elsewhere', async () => {
    await leaveUnended(FAILED, {}, ['dbt-run'])

    expect(await takeOver()).toEqual(afresh('that run left no report on this machine'))
  })

  test('left nothing at all', async () => {
    expect(await takeOver()).toEqual(afresh('that run left no report on this machine'))
  })

  test.each<[string, Partial<Plan>, string]>([
    [
      'was of another state of the project',
      { dbt: { ...PLAN.dbt, digest: 'another' } },
      'the dbt project, its profile',
    ],
    ['had another dbt step', { steps: [INGEST, dbtStep('run')] }, 'the dbt steps of the pipeline changed'],
    ['selected otherwise', { steps: [INGEST, dbtStep('run', ['tag:x']), dbtStep('test')] }, 'the dbt steps of'],
    ['had another param', { params: { region: 'us', day: '18' } }, 'another target or other params'],
    ['had one param less', { params: { region: 'eu' } }, 'another target or other params'],
    ['was of another day', { logicalDate: '2026-11-17' }, 'another target or other params'],
    ['had another target', { target: 'prod' }, 'another target or other params'],
    ['was of another pipeline', { pipeline: 'hourly' }, 'another target or other params'],
    ['wrote to another warehouse', { warehouse: ELSEWHERE }, 'another target or other params'],
  ])('%s', async (_what, plan, why) => {
    await leaveRun(FAILED, { plan })

    expect(await takeOver()).toEqual(afresh(why))
  })

  test('other steps than those of dbt may differ: loads are known by their content', async () => {
    await leaveRun(FAILED, { plan: { steps: [dbtStep('run'), dbtStep('test')] } })

    expect(await takeOver()).toEqual(NODES)
  })
})

describe('a run after it', () => {
  const LATER = run(2)
  const WROTE = afresh('daily-2 has written to target dev since')

  test.each<[string, RunLeft, typeof WROTE | typeof NODES]>([
    ['that built something is in the way', { report: { steps: [ALREADY_LOADED, BUILT] } }, WROTE],
    ['that loaded something is in the way', { report: { steps: [LOADED] } }, WROTE],
    ['whose dbt left no report is in the way', { report: { steps: [stepReport('dbt-run')] } }, WROTE],
    [
      'is in the way though it calls the same warehouse by another target name, in another pipeline',
      { plan: { pipeline: 'hourly', target: 'prod' } },
      WROTE,
    ],
    ['on another warehouse is not, though its target is called the same', { plan: { warehouse: ELSEWHERE } }, NODES],
    ['that found all done is not', { report: { steps: [ALREADY_LOADED, TAKEN_OVER] } }, NODES],
    ['that only looked is not', { report: { steps: [stepReport('dbt-test', { dbt: dbtReport(0) })] } }, NODES],
    [
      'that came to nothing is not',
      { report: { steps: [stepReport('dbt-run', { startedAtMs: null, state: 'pending' })] } },
      NODES,
    ],
    ['that had ended before it is not', { report: { finishedAt: hoursAgo(3) } }, NODES],
    ['that overlapped with it is in the way', { report: { startedAt: hoursAgo(4), finishedAt: hoursAgo(1.5) } }, WROTE],
  ])('%s', async (_what, left, expected) => {
    await leaveRun(FAILED)
    await leaveRun(LATER, left)

    expect(await takeOver()).toEqual(expected)
  })

  const withoutLoads: Partial<Plan> = { steps: [dbtStep('run'), dbtStep('test')] }

  test.each<[string, Partial<Plan>, string[], typeof WROTE | typeof NODES]>([
    ['has come to dbt is in the way', withoutLoads, ['dbt-run'], WROTE],
    ['may load something is in the way', {}, [], WROTE],
    ['has not come to anything yet is not', withoutLoads, [], NODES],
    ['works on another warehouse is not', { warehouse: ELSEWHERE }, ['dbt-run'], NODES],
  ])('that has not ended and %s', async (_what, plan, folders, expected) => {
    await leaveRun(FAILED)
    await leaveUnended(LATER, plan, folders)

    expect(await takeOver()).toEqual(expected)
  })

  test('that was terminated before it began is not', async () => {
    await leaveRun(FAILED)
    await leaveUnended(LATER, {}, ['dbt-run'])
    const folder = runFolder(workspace, LATER.workflowId, LATER.runId)
    const long = new Date(NOW_MS - 3 * HOUR_MS)
    for (const name of ['dbt-run', 'plan.json', '.']) await utimes(path.join(folder, name), long, long)

    expect(await takeOver()).toEqual(NODES)
  })
})

describe('where that run is older than a day', () => {
  const old = { report: { startedAt: hoursAgo(50), finishedAt: hoursAgo(49) } }

  test('its nodes are not taken over: sources that Millrace does not load may be others by now', async () => {
    await leaveRun(FAILED, old)
    const manifest = { ...MANIFEST, sources: [source('logs'), source('orders')] }

    expect(await takeOver({}, manifest)).toEqual(afresh('not all of its sources are loaded by Millrace'))
  })

  test('they are where the run loads all of its sources', async () => {
    await leaveRun(FAILED, old)

    expect(await takeOver()).toEqual(NODES)
  })

  test('a day is trusted: then it does not matter who loads the sources', async () => {
    await leaveRun(FAILED, { report: { startedAt: hoursAgo(25), finishedAt: hoursAgo(23.9) } })

    expect(await takeOver({}, { ...MANIFEST, sources: [source('orders')] })).toEqual(NODES)
  })
})

describe('where that run was itself a retry', () => {
  const FIRST = run(3)
  const retry = { takeOver: { kind: 'nodes', of: FIRST, loadIds: ['load-1'] } } as const

  test('and never came to dbt, the nodes of the first one are taken over', async () => {
    await leaveRun(FIRST)
    await leaveRun(FAILED, { plan: retry, report: { steps: [ALREADY_LOADED] }, folders: [] })

    expect(await takeOver()).toEqual({ ...NODES, of: FIRST })
  })

  test('and loaded something before it failed, they are not', async () => {
    await leaveRun(FIRST)
    await leaveRun(FAILED, { plan: retry, report: { steps: [LOADED] }, folders: [] })

    expect(await takeOver()).toEqual(afresh('daily-1 has written to target dev since', FIRST))
  })

  test('and came to dbt, its own nodes are: what it took over is among them', async () => {
    await leaveRun(FIRST, { report: { startedAt: hoursAgo(4), finishedAt: hoursAgo(3) } })
    await leaveRun(FAILED, { plan: retry })

    expect(await takeOver()).toEqual(NODES)
  })

  test('that started afresh and never came to dbt, it is asked itself', async () => {
    await leaveRun(FIRST)
    await leaveRun(FAILED, {
      plan: { takeOver: { kind: 'afresh', of: FIRST, why: 'x' } },
      report: { startedAt: hoursAgo(0.5), finishedAt: hoursAgo(0.4), steps: [ALREADY_LOADED] },
      folders: [],
    })

    expect(await takeOver()).toEqual(NODES)
  })
})
