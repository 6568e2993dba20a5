// `millrace logs`: what a run wrote down, for a person and for a program, of runs that ended and of one that goes on.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import { openRunLog, type RunEvent } from '../../src/platform/run-log.ts'
import { INSTALLATION, runFolder, workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { millrace, taskQueueOf, testEnvironment } from '../support/cli.ts'
import { startWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

/** Its address is nobody's: these commands need no server. */
const NO_SERVER = { TEMPORAL_ADDRESS: '127.0.0.1:1' }
const RUN_ID = '01a1fea1-1411-7c1c-973c-000000000001'

/** A workspace of pipelines that nobody has run. */
async function emptyWorkspace(...pipelines: readonly string[]): Promise<Workspace> {
  const workspace = workspaceAt(await mkdtemp(path.join(tmpdir(), 'millrace-logs-')))
  onTestFinished(() => rm(workspace.root, { recursive: true }))
  await mkdir(workspace.pipelinesDir)
  for (const name of pipelines) await writeFile(path.join(workspace.pipelinesDir, `${name}.yml`), '')
  return workspace
}

interface MadeRun {
  readonly runId?: string
  /** The pipeline that its report names; null for a run that goes on. */
  readonly pipeline?: string | null
  /** When it began, as minutes after midnight. */
  readonly minutes?: number
}

const event = (minutes: number, step: string, level: RunEvent['level'], text: string): RunEvent => ({
  at: new Date(Date.UTC(2026, 10, 18, 0, minutes)).toISOString(),
  step,
  attempt: '1.1',
  level,
  text,
})

/** A run with a log of four lines, one of which says which run it is. */
async function makeRun(workspace: Workspace, workflowId: string, made: MadeRun = {}): Promise<string> {
  const { runId = RUN_ID, pipeline = 'daily', minutes = 0 } = made
  const folder = runFolder(workspace, workflowId, runId)
  await mkdir(folder, { recursive: true })
  const events = [
    event(minutes, 'plan', 'info', `planning for ${workflowId}`),
    event(minutes + 1, 'ingest', 'warn', 'raw.logs: 3 read, 2 loaded\n1 × not int (id)'),
    event(minutes + 2, 'dbt-run', 'debug', '\u001B[32mOK\u001B[0m created mart_users'),
    event(minutes + 3, 'record', 'error', 'the run failed in 1.0 s'),
  ]
  await writeFile(path.join(folder, 'events.jsonl'), events.map((line) => `${JSON.stringify(line)}\n`).join(''))
  if (pipeline !== null) await writeFile(path.join(folder, 'report.json'), JSON.stringify({ pipeline }))
  return folder
}

const logs = (workspace: Workspace, ...args: readonly string[]) =>
  millrace(workspace, ['logs', ...args], testEnvironment(workspace, NO_SERVER))

test('for a person: UTC time, step and text, further lines below their first, no colours but the own ones', async () => {
  const workspace = await emptyWorkspace('daily')
  await makeRun(workspace, 'daily-dev-1')
  const { code, stdout, stderr } = await millrace(
    workspace,
    ['logs', 'daily-dev-1'],
    testEnvironment(workspace, { ...NO_SERVER, TZ: 'Asia/Tokyo' }),
  )
  expect(stdout.split('\n')).toEqual([
    '00:00:00  plan        planning for daily-dev-1',
    '00:01:00  ingest      raw.logs: 3 read, 2 loaded',
    '                      1 × not int (id)',
    '00:02:00  dbt-run     OK created mart_users',
    '00:03:00  record      the run failed in 1.0 s',
    '',
  ])
  expect(stderr).toBe(`.millrace/runs/daily-dev-1/${RUN_ID}\n`)
  expect(code).toBe(0)
})

test('warnings are yellow and errors red, where colours are wanted', async () => {
  const workspace = await emptyWorkspace('daily')
  await makeRun(workspace, 'daily-dev-1')
  const { NO_COLOR: _off, ...environment } = testEnvironment(workspace, { ...NO_SERVER, FORCE_COLOR: '1' })
  const { stdout } = await millrace(workspace, ['logs', 'daily-dev-1'], environment)
  expect(stdout).toContain('\u001B[33m1 × not int (id)\u001B[39m')
  expect(stdout).toContain('\u001B[31mthe run failed in 1.0 s\u001B[39m')
})

test('for a program: the lines as they are, nothing else', async () => {
  const workspace = await emptyWorkspace('daily')
  const folder = await makeRun(workspace, 'daily-dev-1')
  const { stdout, stderr } = await logs(workspace, 'daily-dev-1', '--json')
  expect(stdout).toBe(await readFile(path.join(folder, 'events.jsonl'), 'utf8'))
  expect(stderr).toBe('')
})

test('--step and --tail choose lines, the last of the step where both are given', async () => {
  const workspace = await emptyWorkspace('daily')
  const folder = await makeRun(workspace, 'daily-dev-1')
  openRunLog(folder).append({ step: 'ingest', level: 'info', text: 'the second' })
  const texts = async (...args: readonly string[]) => {
    const { stdout } = await logs(workspace, 'daily', '--json', ...args)
    return stdout.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line) as RunEvent).text.split('\n')[0]))
  }
  expect(await texts('--step', 'ingest')).toEqual(['raw.logs: 3 read, 2 loaded', 'the second'])
  expect(await texts('--tail', '2')).toEqual(['the run failed in 1.0 s', 'the second'])
  expect(await texts('--tail', '1', '--step', 'ingest')).toEqual(['the second'])
  expect(await texts('--tail', '99')).toHaveLength(5)
  expect(await texts('--tail', '0', '--follow')).toEqual([])
})

test('a run is named by its id, by how that begins, or by its pipeline: the newest', async () => {
  const workspace = await emptyWorkspace('daily', 'daily-eu')
  await makeRun(workspace, 'daily-dev-1', { minutes: 1 })
  await makeRun(workspace, 'daily.nightly-2026-11-18T02:00:00Z', { minutes: 3 })
  await makeRun(workspace, 'daily-dev-2', { minutes: 2 })
  await makeRun(workspace, 'daily-eu-dev-1', { minutes: 4, pipeline: null })
  await makeRun(workspace, 'by-hand', { minutes: 5, pipeline: 'daily-eu' })
  const chosen = async (given: string) => {
    const { stdout, stderr } = await logs(workspace, given, '--step', 'plan', '--json')
    return stdout === '' ? stderr : (JSON.parse(stdout) as RunEvent).text.replace('planning for ', '')
  }
  const givens = ['daily-dev-1', 'daily.nightly-2026-11-18T02:00:00Z', 'daily', 'daily-eu', 'daily.n', 'daily-dev']
  const [byId, byScheduledId, byPipeline, byOtherPipeline, byBeginning, bySeveral] = await Promise.all(
    givens.map(chosen),
  )
  expect(byId).toBe('daily-dev-1')
  expect(byScheduledId).toBe('daily.nightly-2026-11-18T02:00:00Z')
  expect(byPipeline).toBe('daily.nightly-2026-11-18T02:00:00Z')
  expect(byOtherPipeline).toBe('by-hand')
  expect(byBeginning).toBe('daily.nightly-2026-11-18T02:00:00Z')
  expect(bySeveral).toMatch(/2 runs begin with 'daily-dev': daily-dev-\d, daily-dev-\d; write more of one/)
})

test('of several runs with one id the newest counts, by its own first line', async () => {
  const workspace = await emptyWorkspace('daily')
  const older = await makeRun(workspace, 'daily-dev-1', { minutes: 1 })
  await makeRun(workspace, 'daily-dev-1', { minutes: 30, runId: RUN_ID.replace(/1$/, '2') })
  // A file that somebody looked at and changed does not make a run newer.
  await utimes(older, new Date(), new Date())
  expect((await logs(workspace, 'daily-dev-1')).stdout).toContain('00:30:00  plan')
})

test.each([
  ['dialy', /no run 'dialy' in \.millrace\/runs \(did you mean 'daily'\?\)/],
  ['daily-dev-3', /no run 'daily-dev-3' in \.millrace\/runs \(did you mean 'daily-dev-1'\?\).*machine whose worker/],
  ['weekly', /pipeline 'weekly' has no run in \.millrace\/runs; a run's log is on the machine whose worker ran it/],
  ['..', /no run '\.\.'/],
])('%s is refused, with the nearest name and what to do', async (given, message) => {
  const workspace = await emptyWorkspace('daily', 'weekly')
  await makeRun(workspace, 'daily-dev-1')
  const { code, stdout, stderr } = await logs(workspace, given)
  expect(stderr).toMatch(message)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
})

test.each([
  [['--step', 'ingets'], /step 'ingets' has no line in this run \(did you mean 'ingest'\?\); steps that have: plan, /],
  [['--tail', 'x'], /--tail 'x' is not a number of lines/],
])('%j is refused', async (args, message) => {
  const workspace = await emptyWorkspace('daily')
  await makeRun(workspace, 'daily-dev-1')
  const { code, stderr } = await logs(workspace, 'daily-dev-1', ...args)
  expect(stderr).toMatch(message)
  expect(code).toBe(2)
})

/** `millrace logs … --follow` under way, in the test's hands. */
function follow(workspace: Workspace, ...args: readonly string[]) {
  return followWith(testEnvironment(workspace, NO_SERVER), workspace, ...args)
}

function followWith(env: NodeJS.ProcessEnv, workspace: Workspace, ...args: readonly string[]) {
  const child = spawn(process.execPath, [path.join(INSTALLATION.root, 'bin/millrace.mjs'), 'logs', '-f', ...args], {
    cwd: workspace.root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = Promise.withResolvers<number | null>()
  const waiting = new Set<() => void>()
  let seen = ''
  const take = (text: string) => {
    seen += text
    for (const look of waiting) look()
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  child.once('close', (code) => ended.resolve(code))
  return {
    interrupt: () => child.kill('SIGINT'),
    ended: ended.promise,
    seen: () => seen,
    async shows(text: string) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const look = () => void (seen.includes(text) && resolve())
      waiting.add(look)
      look()
      await promise
    },
  }
}

test('following shows lines as they come, from before the run began until its report is there', async () => {
  const workspace = await emptyWorkspace('daily')
  const following = follow(workspace, 'daily-dev-9')
  await following.shows("no run 'daily-dev-9' is here yet: waiting for a worker of this workspace to begin it")

  const folder = runFolder(workspace, 'daily-dev-9', RUN_ID)
  const log = openRunLog(folder)
  log.append({ step: 'plan', level: 'info', text: 'planning daily' })
  await following.shows('planning daily')
  log.append({ step: 'dbt-run', level: 'info', text: '1 of 6 OK' })
  await following.shows('1 of 6 OK')
  log.append({ step: 'record', level: 'info', text: 'the run succeeded' })
  await writeFile(path.join(folder, 'report.json'), '{}')

  expect(await following.ended).toBe(0)
  expect(following.seen()).toContain('the run succeeded')
})

test('a run that is terminated ends the following, with a sentence and exit code 1', async () => {
  const workspace = await emptyWorkspace('daily')
  const connection = await Connection.connect({ address: inject('temporalAddress') })
  onTestFinished(() => connection.close())
  const workflowId = `${taskQueueOf(workspace)}-1`
  const run = await new Client({ connection }).workflow.start('daily', {
    taskQueue: taskQueueOf(workspace),
    workflowId,
  })
  onTestFinished(() => void run.terminate().catch(() => undefined))
  await makeRun(workspace, workflowId, { pipeline: null, runId: run.firstExecutionRunId })

  const following = followWith(testEnvironment(workspace), workspace, workflowId)
  await following.shows('the run failed in 1.0 s')
  await run.terminate('for the test')

  expect(await following.ended).toBe(1)
  expect(following.seen()).toContain(
    `the run is over (terminated) and left no report here; see npx millrace show ${workflowId}`,
  )
})

test('Ctrl+C ends the following, not badly', async () => {
  const workspace = await emptyWorkspace('daily')
  await makeRun(workspace, 'daily-dev-1', { pipeline: null })
  const [onRun, onNothing] = [follow(workspace, 'daily', '--step', 'valid'), follow(workspace, 'daily-dev-2')]
  await Promise.all([onRun.shows(RUN_ID), onNothing.shows('waiting')])
  onRun.interrupt()
  onNothing.interrupt()
  expect(await Promise.all([onRun.ended, onNothing.ended])).toEqual([0, 0])
})

test('a real run tells its planning, its loads and its end, also to who follows it from before it began', async () => {
  const workspace = await makeWorkspace()
  await startWorker(workspace)
  const following = follow(workspace, 'daily')
  await following.shows('waiting')
  const run = await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--only', 'ingest'])
  expect(run.code).toBe(0)
  expect(await following.ended).toBe(0)

  const { stdout } = await logs(workspace, 'daily', '--json')
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
  const told = events.map(({ step, attempt, level, text }) => `${step} ${attempt} ${level} ${text.split('\n')[0]}`)
  expect(told.slice(0, 2)).toEqual([
    'plan 1.1 info planning daily',
    'plan 1.1 info planned for dev, 2026-11-18: ingest',
  ])
  expect(told).toContain('ingest 1.1 info raw.viewing_logs ← data/inbox/viewing_logs-2026-11-18.csv')
  expect(told.join('\n')).toMatch(/ingest 1\.1 warn raw\.viewing_logs: 2,888 read, 2,885 loaded, 3 rejected in /)
  expect(told.join('\n')).toMatch(/ingest 1\.1 info raw\.social_interactions: 1,412 read, 1,412 loaded, 0 rejected in /)
  expect(told.at(-1)).toMatch(/^record 1\.1 info the run succeeded in /)
  for (const { text } of events) expect(following.seen()).toContain(text.split('\n')[0])
})

test('a worker that is told to keep no run at all refuses to start', async () => {
  const workspace = await makeWorkspace()
  const env = testEnvironment(workspace, { MILLRACE_KEEP_RUNS: '0' })
  const { code, stderr } = await millrace(workspace, ['worker'], env)
  expect(stderr).toContain("MILLRACE_KEEP_RUNS is '0': set it to a positive whole number, or leave it out")
  expect(code).toBe(2)
})

test('a worker removes old runs when it starts', async () => {
  const workspace = await makeWorkspace()
  await makeRun(workspace, 'daily-dev-1')
  await makeRun(workspace, 'daily-dev-2')
  const longAgo = new Date(Date.now() - 31 * 86_400_000)
  const old = runFolder(workspace, 'daily-dev-1', RUN_ID)
  for (const name of ['events.jsonl', 'report.json', '.']) await utimes(path.join(old, name), longAgo, longAgo)
  const worker = await startWorker(workspace)
  await worker.stop()
  expect((await logs(workspace, 'daily-dev-1', '--json')).code).toBe(2)
  expect((await logs(workspace, 'daily-dev-2', '--json')).code).toBe(0)
})
