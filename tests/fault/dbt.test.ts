// dbt, its worker or the server die, or stop for a while, in the middle of a build: the run finishes, nothing that was
// done is done again, nothing stays behind.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { RunReport } from '../../src/pipeline/report.ts'
import { INSTALLATION, workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { startWorkerProcess, taskQueueOf, type WorkerProcess } from '../support/cli.ts'
import { dbtPid, finishedNodes, processesNaming, stepLedger, until } from '../support/dbt-run.ts'
import { barsOf } from '../support/history.ts'
import { QUICK_POLICIES } from '../support/quick-policies.ts'
import { modelName, writeGeneratedProject } from '../support/generated-project.ts'
import { query, queryCount } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'

const MODELS = 6
/** About half a second of work in each model: time to hit one. */
const WORK = 15_000_000

/**
 * dbt itself goes on, with nobody to read what it says: whoever takes over ends it. The last polls of the first worker
 * swallow tasks until those time out, a minute or two: so only where faults are looked for.
 */
const TAKEN_OVER: Disturbance = {
  work: 80_000_000,
  name: 'the worker hangs until it is taken for dead, another one takes over, and it comes to again',
  attempts: 1,
  async disturb({ workspace, worker }) {
    const before = await dbtPid(workspace)
    worker.process.kill('SIGSTOP')
    onTestFinished(() => void worker.process.kill('SIGCONT'))
    await startWorker(workspace)
    await until(async () => ![undefined, before].includes(await dbtPid(workspace)))
    worker.process.kill('SIGCONT')
  },
}

const ROUNDS = Number(process.env['MILLRACE_FAULT_ROUNDS'] ?? 1)

interface Disturbed {
  readonly workspace: Workspace
  readonly worker: WorkerProcess
  readonly server: { readonly pid: number; restart(): Promise<void> } | undefined
}

interface Disturbance {
  readonly name: string
  /** A retry is counted only where the work itself failed. */
  readonly attempts: number
  /** One that can be killed; only the first worker knows it. */
  readonly ownServer?: true
  /** Of each model, where the usual half second is too short. */
  readonly work?: number
  readonly disturb: (run: Disturbed) => Promise<void>
}

const DISTURBANCES: readonly Disturbance[] = [
  {
    name: 'dbt is killed',
    attempts: 2,
    async disturb({ workspace }) {
      process.kill((await dbtPid(workspace)) ?? 0, 'SIGKILL')
    },
  },
  {
    name: 'the worker is killed',
    attempts: 1,
    async disturb({ workspace, worker }) {
      worker.process.kill('SIGKILL')
      await worker.ended
      await startWorker(workspace)
    },
  },
  {
    name: 'the worker is stopped in order, as by a deploy',
    attempts: 1,
    async disturb({ workspace, worker }) {
      await worker.stop()
      await startWorker(workspace)
    },
  },
  {
    name: 'the worker hangs until it is taken for dead, and comes to again',
    attempts: 1,
    async disturb({ worker }) {
      worker.process.kill('SIGSTOP')
      onTestFinished(() => void worker.process.kill('SIGCONT'))
      await pause(QUICK_POLICIES.dbt.heartbeatMs + 3_000)
      worker.process.kill('SIGCONT')
    },
  },
  {
    name: 'the Temporal server is killed, and comes back on its files',
    attempts: 1,
    ownServer: true,
    async disturb({ server }) {
      process.kill(server?.pid ?? 0, 'SIGKILL')
      await pause(2_000)
      await server?.restart()
    },
  },
]

/** Of the command line alone only what the warm process has a part in. */
const CHOSEN = [
  ...(ROUNDS > 1 ? [...DISTURBANCES, TAKEN_OVER] : DISTURBANCES).map(
    (chosen) => [chosen.name, 'warm', chosen] as const,
  ),
  ...DISTURBANCES.slice(0, 2).map((chosen) => [chosen.name, 'cli', chosen] as const),
]

test.each(Array.from({ length: ROUNDS }).flatMap(() => CHOSEN))(
  '%s (%s): the run finishes, no node that was done is done again, nothing is left behind',
  async (_name, launcher, { disturb, attempts, ownServer, work = WORK }) => {
    const workspace = await makeWorkspace(work, launcher)
    const server = ownServer === true ? await startServer(workspace) : undefined
    const address = server?.address ?? inject('temporalAddress')
    const worker = await startWorkerProcess(workspace, { TEMPORAL_ADDRESS: address })
    const client = new Client({ connection: await Connection.connect({ address }) })
    const workflowId = taskQueueOf(workspace)
    const start = { workflowId, taskQueue: workflowId, args: [{ policies: QUICK_POLICIES }] }
    await client.workflow.start('generated', start)
    await until(async () => (await finishedNodes(workspace)).length >= 5)

    const doneBefore = await finishedNodes(workspace)
    await disturb({ workspace, worker, server })
    const report = await resultOf(client, workflowId)
    const { bars, refusedTasks } = await barsOf(client.workflow.getHandle(workflowId))
    await client.connection.close()

    expect(report).toMatchObject({ outcome: 'succeeded', run: 'succeeded', test: 'succeeded' })
    expect(report.steps[0]).toMatchObject({ id: 'dbt-build', attempts, dbt: { counts: { success: 6, pass: 12 } } })
    // One that is open when the run ends would look as if it ran for ever.
    expect(bars.filter(({ end }) => end === undefined)).toEqual([])
    expect(bars.length).toBeGreaterThan(0)
    expect(refusedTasks).toEqual([])
    const ledger = new Map((await stepLedger(workspace, 'dbt-build')).map((node) => [node.uniqueId, node]))
    expect(ledger.size).toBe(MODELS * 3)
    expect(doneBefore.map((id) => [id, ledger.get(id)?.attempt])).toEqual(doneBefore.map((id) => [id, 1]))
    // The test's own server names its file there.
    expect(await processesNaming(workspace.root, 'start-dev')).toEqual([])
    // The warehouse's own count, written by each model within its transaction.
    const built = new Map(
      (await query(workspace, 'select node, count(*) as n from audit group by node')).map((row) => [
        row['node'],
        row['n'],
      ]),
    )
    const models = doneBefore.flatMap((id) => (id.startsWith('model.') ? [id.split('.').at(-1)] : []))
    expect(models.length).toBeGreaterThan(0)
    expect(models.map((name) => [name, built.get(name)])).toEqual(models.map((name) => [name, 1]))
    for (let index = 0; index < MODELS; index++) {
      expect(await queryCount(workspace, `select count(*) from ${modelName(index)}`)).toBe(100)
    }
  },
  300_000,
)

async function makeWorkspace(work: number, launcher: 'warm' | 'cli'): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-dbt-fault-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const commands = ['{ command: build, retries: 2, retry_delay: 1s }']
  await writeGeneratedProject(root, { models: MODELS, work, commands, launcher })
  return workspaceAt(root)
}

/** The server may be away when one asks. */
async function resultOf(client: Client, workflowId: string): Promise<RunReport> {
  for (;;) {
    try {
      return (await client.workflow.getHandle(workflowId).result()) as RunReport
    } catch (error) {
      if (!/UNAVAILABLE|ECONNREFUSED|Failed to connect|unavailable/i.test(String(error))) throw error
      await pause(500)
    }
  }
}

async function startServer(workspace: Workspace) {
  await mkdir(workspace.stateDir, { recursive: true })
  const [port, uiPort] = [await freePort(), await freePort()]
  const start = async () => {
    const args = ['server', 'start-dev', '--ip=127.0.0.1', `--port=${port}`, `--ui-port=${uiPort}`, '--log-level=error']
    const file = `--db-filename=${path.join(workspace.stateDir, 'temporal.db')}`
    const child = spawn(INSTALLATION.temporalServer, [...args, file], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    for (;;) {
      const connection = await Connection.connect({ address, connectTimeout: 1_000 }).catch(() => undefined)
      if (connection !== undefined) {
        await connection.close()
        return child.pid ?? 0
      }
      await pause(100)
    }
  }
  const address = `127.0.0.1:${port}`
  const server = { address, pid: await start(), restart: async () => void (server.pid = await start()) }
  return server
}

function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
  })
  return promise
}
