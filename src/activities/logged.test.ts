// What the log of a run says of its activities: each with its step and attempt, and never at the price of the work.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CancelledFailure } from '@temporalio/common'
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { failure, type FailureType } from '../pipeline/failure.ts'
import type { LoadReport, MartReport, RunReport } from '../pipeline/report.ts'
import { readRunLog } from '../platform/run-log.ts'
import { runFolder, workspaceAt, type Workspace } from '../platform/workspace.ts'
import { endStory, LOAD_STORY, logged, MARTS_STORY } from './logged.ts'

let workspace: Workspace
beforeEach(async () => {
  workspace = workspaceAt(await mkdtemp(path.join(tmpdir(), 'millrace-logged-')))
})
afterEach(() => rm(workspace.root, { recursive: true }))

const RUN = { workflowId: 'daily-1', runId: 'r-1' }
const STORY = {
  began: (table: string) => `${table} began`,
  subject: (table: string) => table,
  done: (rows: number) => [['info', `${rows} rows`] as const],
}

/** Does the work as an activity for `raw.logs`; the lines that its log has then. */
async function linesOf(work: () => Promise<number>, info: { activityId?: string; attempt?: number } = {}) {
  const deps = { workspace, python: '', searchAttributes: false, serveWarehouse: async () => '' }
  const environment = new MockActivityEnvironment(
    { workflowExecution: RUN, activityId: 'ingest/raw.logs/2', attempt: 1, activityType: 'planRun', ...info },
    { logger: new DefaultLogger('ERROR', () => undefined) },
  )
  const result = await environment.run(logged(deps, work, STORY), 'raw.logs').catch((error: unknown) => error)
  const lines: string[] = []
  for await (const { step, attempt, level, text } of readRunLog(runFolder(workspace, RUN.workflowId, RUN.runId))) {
    lines.push(`${step} ${attempt} ${level} ${text}`)
  }
  return { lines, result }
}

test('a work that succeeds: its beginning, and what came of it', async () => {
  const { lines, result } = await linesOf(async () => 3)
  expect(lines).toEqual(['ingest 2.1 info raw.logs began', 'ingest 2.1 info 3 rows'])
  expect(result).toBe(3)
})

test.each([
  ['FileMissing', 'error'],
  ['WarehouseBusy', 'warn'],
] satisfies [FailureType, string][])(
  'a work that fails with %s: told as %s, with type and message',
  async (type, level) => {
    const own = failure(type, 'no file; put it there')
    const { lines, result } = await linesOf(() => Promise.reject(own))
    expect(lines[1]).toBe(`ingest 2.1 ${level} raw.logs: ${type}: no file; put it there`)
    expect(result).toBe(own)
  },
)

test.each([
  ['WORKER_SHUTDOWN', 'stopped with its worker; the next one begins it again'],
  ['CANCELLED', 'stopped: it was cancelled'],
])('a work that is stopped (%s) is no error', async (reason, text) => {
  const { lines } = await linesOf(() => Promise.reject(new CancelledFailure(reason)))
  expect(lines[1]).toBe(`ingest 2.1 warn raw.logs: ${text}`)
})

test('the second try of a lost worker says so', async () => {
  const { lines } = await linesOf(async () => 3, { attempt: 2 })
  expect(lines[0]).toBe('ingest 2.2 warn begun again: its worker was lost or stopped')
})

test('planning has no step of its own in its id', async () => {
  const { lines } = await linesOf(async () => 3, { activityId: '1' })
  expect(lines[1]).toBe('plan 1.1 info 3 rows')
})

test('a log that cannot be written costs the log, not the work', async () => {
  await mkdir(workspace.stateDir)
  await writeFile(path.join(workspace.stateDir, 'runs'), 'no folder')
  const deps = { workspace, python: '', searchAttributes: false, serveWarehouse: async () => '' }
  const environment = new MockActivityEnvironment({ workflowExecution: RUN })
  expect(
    await environment.run(
      logged(deps, async () => 3, STORY),
      'raw.logs',
    ),
  ).toBe(3)
})

describe('a load', () => {
  const report: LoadReport = {
    loadId: 'l',
    into: 'raw.logs',
    file: 'logs.csv',
    files: 1,
    status: 'loaded',
    read: 6120,
    loaded: 6117,
    superseded: 0,
    rejected: 3,
    removed: 0,
    identicalFiles: [],
    rejectReasons: [
      { code: 'not int', column: 'id', count: 2 },
      { code: 'too many fields', column: null, count: 1 },
    ],
    rejectsTable: 'raw.logs__rejects',
    bytesBilled: null,
    loadedAt: '2026-11-19T02:00:00.000Z',
    durationMs: 412,
  }

  test('with rejects is a warning, with all counts and every reason', () => {
    expect(LOAD_STORY.done?.(report)).toEqual([
      ['warn', 'raw.logs: 6,120 read, 6,117 loaded, 3 rejected in 0.4 s\n2 × not int (id)\n1 × too many fields'],
    ])
  })

  test.each([
    ['already loaded', 'info', 'raw.logs: already loaded (6,117 records, 2026-11-19T02:00:00.000Z)'],
    ['skipped', 'info', 'raw.logs: skipped: no file'],
    ['newer snapshot', 'info', 'raw.logs: left as it is: it holds the snapshot of a later date'],
  ] as const)('that is %s is told in one line', (status, level, text) => {
    expect(LOAD_STORY.done?.({ ...report, status })).toEqual([[level, text]])
  })
})

test('each mart is a line with its verdict and all of its checks', () => {
  const mart = (name: string, verdict: MartReport['verdict']): MartReport => {
    const checks = ['1 rows', 'no NULL in id'].map((detail) => ({ check: 'c', verdict, detail }))
    return { mart: name, relation: 'a.m', verdict, rows: 1, checks }
  }
  const marts = [mart('a', 'VALID'), mart('b', 'WARNING'), mart('c', 'FAILED')]
  expect(MARTS_STORY.done?.({ result: marts, bytesBilled: null })).toEqual([
    ['info', 'a VALID: 1 rows, no NULL in id'],
    ['warn', 'b WARNING: 1 rows, no NULL in id'],
    ['error', 'c FAILED: 1 rows, no NULL in id'],
  ])
})

describe('the end of a run', () => {
  const end = (part: Pick<RunReport, 'outcome' | 'failure'>) => endStory({ durationMs: 6800, ...part } as RunReport) // all that it reads

  test.each([
    ['succeeded', 'info', 'the run succeeded in 6.8 s'],
    ['skipped', 'info', 'the run was skipped in 6.8 s'],
  ] as const)('that %s', (outcome, level, text) => {
    expect(end({ outcome, failure: null })).toEqual([level, text])
  })

  test('that failed says why', () => {
    const failed = end({ outcome: 'failed', failure: { type: 'FileMissing', message: 'no file; put it there' } })
    expect(failed).toEqual(['error', 'the run failed in 6.8 s\nFileMissing: no file; put it there'])
  })
})
