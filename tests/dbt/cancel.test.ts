// dbt does not outlive whoever wants it ended: a cancelled run, or a worker that was killed.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { expect, test } from 'vitest'

import { isAlive } from '../../src/platform/subprocess.ts'
import type { Workspace } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess, type WorkerProcess } from '../support/cli.ts'
import { processesNow } from '../support/dbt-run.ts'
import { query } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

/** Far longer than any test: it only ends by being interrupted. */
const ENDLESS_MODEL = `{{ config(materialized='table', contract={'enforced': false}) }}
select count(*) as n from range(1000000000000) as r(i) where sqrt(i) < 0`

async function startEndlessRun(workspace: Workspace): Promise<string> {
  await writeFile(path.join(workspace.root, 'dbt/models/marts/endless.sql'), ENDLESS_MODEL)
  const { stdout } = await millrace(workspace, [
    'run',
    'daily',
    '--date',
    '2026-11-18',
    '--from',
    'dbt-run',
    '--detach',
  ])
  const workflowId = /^\S+/.exec(stdout)?.[0] ?? ''
  await untilTrue(async () => (await dbtProcesses(workspace)).length > 0 && (await modelStarted(workspace, workflowId)))
  return workflowId
}

async function modelStarted(workspace: Workspace, workflowId: string): Promise<boolean> {
  const { stdout } = await execa('find', [path.join(workspace.stateDir, 'runs', workflowId), '-name', 'dbt.log'])
  const log = stdout.split('\n').find((file) => file.includes('dbt-run'))
  return log !== undefined && (await readFile(log, 'utf8')).includes('START sql table model analytics_dev.endless')
}

/** Processes of this workspace's dbt, and their watchers. */
const dbtProcesses = (workspace: Workspace) => processesNow(workspace.root)

/** The warm process of a worker, where it has one. */
async function hostsOf(worker: WorkerProcess): Promise<number[]> {
  const { stdout } = await execa('ps', ['-eo', 'ppid=,pid=,args='])
  return stdout.split('\n').flatMap((line) => {
    const [parent, pid] = line.trim().split(/\s+/).map(Number)
    return parent === worker.process.pid && line.includes('host.py') ? [pid ?? 0] : []
  })
}

/** `warm` fails where it would have to be something else. */
async function makeLaunching(launcher: 'warm' | 'cli'): Promise<Workspace> {
  const workspace = await makeWorkspace()
  const daily = path.join(workspace.pipelinesDir, 'daily.yml')
  const yaml = await readFile(daily, 'utf8')
  const named = yaml.replace('project_dir: dbt }', `project_dir: dbt, launcher: ${launcher} }`)
  expect(named).toContain(launcher)
  await writeFile(daily, named)
  return workspace
}

async function untilTrue(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(100)
}

const LAUNCHERS = ['warm', 'cli'] as const

test.each(LAUNCHERS)(
  'cancelling a run ends dbt (%s) in the middle of a query, and the run is recorded as cancelled',
  async (launcher) => {
    const workspace = await makeLaunching(launcher)
    const worker = await startWorker(workspace)
    await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--only', 'ingest'])
    const workflowId = await startEndlessRun(workspace)
    await millrace(workspace, ['cancel', workflowId])
    const followed = await millrace(workspace, ['follow', workflowId])
    expect(followed.code).toBe(130)
    expect(followed.stdout).toContain('cancelled')
    expect(await dbtProcesses(workspace)).toEqual([])
    await worker.stop()
    const log = await query(workspace, 'select success, outcome from analytics_dev.dbt_refresh_log order by started_at')
    expect(log).toEqual([
      { success: true, outcome: 'succeeded' },
      { success: false, outcome: 'cancelled' },
    ])
  },
)

test("a step that takes longer than its timeout is ended and fails as that, without Temporal's repeating it", async () => {
  const workspace = await makeWorkspace()
  await startWorker(workspace)
  await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--only', 'ingest'])
  const daily = path.join(workspace.pipelinesDir, 'daily.yml')
  const yaml = await readFile(daily, 'utf8')
  await writeFile(daily, yaml.replace('retries: 2, retry_delay: 30s, timeout: 10m', 'retries: 0, timeout: 6s'))
  await writeFile(path.join(workspace.root, 'dbt/models/marts/endless.sql'), ENDLESS_MODEL)
  const run = await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--from', 'dbt-run'])
  expect(run.stdout).toMatch(/StepTimedOut: dbt run took longer than the step's timeout of 6\.0 s and was stopped/)
  expect(run.code).toBe(1)
  expect(await dbtProcesses(workspace)).toEqual([])
})

test.each(LAUNCHERS)('a worker that is killed takes its dbt (%s) and its warm process along', async (launcher) => {
  const workspace = await makeLaunching(launcher)
  const worker = await startWorkerProcess(workspace)
  await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--only', 'ingest'])
  await startEndlessRun(workspace)
  const hosts = await hostsOf(worker)
  expect(hosts).toHaveLength(1)
  worker.process.kill('SIGKILL')
  await worker.ended
  // Without the watcher it would go on for hours.
  const left = async () => [...(await dbtProcesses(workspace)), ...hosts.filter(isAlive)]
  await expect.poll(left, { timeout: 15_000, interval: 200 }).toEqual([])
})
