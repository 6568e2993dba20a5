// What a run costs over bare dbt: `dbt build` by hand and the same build as a run, by turns, on generated projects.
// Usage: node bench/dbt.ts [models, default 20,200,1000] [repeats, default 3; 1 from 1000 models on]
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Client } from '@temporalio/client'
import { BAR_TYPES } from '../src/pipeline/node-bars.ts'
import type { RunReport } from '../src/pipeline/report.ts'
import { INSTALLATION, workspaceAt } from '../src/platform/workspace.ts'
import { connectClient, ownServerAddress } from '../src/temporal/connect.ts'
import { ensureDevServer } from '../src/temporal/dev-server.ts'
import { writeGeneratedProject } from '../tests/support/generated-project.ts'
import { howMany } from './arguments.ts'
import { abort, median, start } from './program.ts'

const TARGET = { events: 3_000, historyMebibytes: 2, hostMebibytes: 600 }
/** Of our time to the bare command's. */
const ratioTarget = (models: number) => (models < 200 ? 0.5 : models < 1_000 ? 0.85 : 1)
const ONCE_FROM_MODELS = 1000
const SAMPLE_EVERY_MS = 100

interface BareRun {
  readonly seconds: number
  /** Peaks of resident memory; of dbt and what it starts together. */
  readonly dbtMebibytes: number
}

interface OurRun extends BareRun {
  readonly planSeconds: number
  readonly stepSeconds: number
  readonly idleWorkerMebibytes: number
  readonly workerMebibytes: number
  /** Of the warm process alone, once the run is over. */
  readonly hostMebibytes: number
  readonly events: number
  readonly historyMebibytes: number
  readonly bars: number
}

interface Measured {
  readonly models: number
  readonly bare: readonly BareRun[]
  readonly ours: readonly OurRun[]
}

/** Where there is no /proc, memory is not known. */
const NOTHING = process.platform === 'linux' ? 0 : Number.NaN

function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8')
  } catch {
    return ''
  }
}

function residentMebibytes(pid: number): number {
  return NOTHING + Number(/VmRSS:\s+(\d+)/.exec(readProc(`${pid}/status`))?.[1] ?? 0) / 1024
}

/** Processes that it started, and those that they did: by their first threads, as Node and dbt do. */
function processesBelow(pid: number): number[] {
  const children = readProc(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
  return [...children, ...children.flatMap(processesBelow)]
}

/** Until disposed of: peaks in MiB of the process alone, and of all below it together. */
function watchMemory(pid: number) {
  const peak = { own: NOTHING, below: NOTHING }
  const timer = setInterval(() => {
    peak.own = Math.max(peak.own, residentMebibytes(pid))
    peak.below = Math.max(
      peak.below,
      processesBelow(pid).reduce((sum, child) => sum + residentMebibytes(child), 0),
    )
  }, SAMPLE_EVERY_MS)
  return { peak, [Symbol.dispose]: () => clearInterval(timer) }
}

/** As a person types it in the project's folder. */
async function bareRun(root: string): Promise<BareRun> {
  const executable = path.join(path.dirname(INSTALLATION.python), 'dbt')
  const dbt = async (command: string) => {
    const startedAtMs = performance.now()
    const env = { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false' }
    await using program = start(executable, [command], path.join(root, 'dbt'), env)
    using memory = watchMemory(program.pid)
    const { code, output } = await program.ended
    const seconds = (performance.now() - startedAtMs) / 1000
    abort.signal.throwIfAborted()
    if (code !== 0) throw new Error(`dbt ${command} ended with ${code}: ${output}`)
    return { seconds, dbtMebibytes: memory.peak.own + memory.peak.below }
  }
  await dbt('parse')
  return await dbt('build')
}

/** As a run, on a worker that has done one already. */
async function ourRun(root: string, models: number, client: Client, address: string): Promise<OurRun> {
  // What `dbt parse` is to the bare one.
  const warming = 'name: warming\ndbt: { project_dir: dbt }\nsteps:\n  - dbt: { command: parse }\n'
  await writeFile(path.join(root, 'pipelines', 'warming.yml'), warming)
  const taskQueue = path.basename(root)
  const env = { MILLRACE_WORKSPACE: root, MILLRACE_TASK_QUEUE: taskQueue, TEMPORAL_ADDRESS: address, NO_COLOR: '1' }
  const entry = path.join(INSTALLATION.root, 'bin', 'millrace.mjs')
  await using worker = start(process.execPath, [entry, 'worker'], root, env)
  const died = worker.ended.then(({ code, output }): never => {
    abort.signal.throwIfAborted()
    throw new Error(`the worker ended with ${code}: ${output}`)
  })
  const run = (pipeline: string): Promise<RunReport> => {
    const workflowId = `${taskQueue}-${pipeline}`
    return Promise.race([client.workflow.execute(pipeline, { taskQueue, workflowId, args: [{}] }), died])
  }

  await Promise.race([worker.said('worker serves'), died])
  await run('warming')
  const idleWorkerMebibytes = residentMebibytes(worker.pid)
  using memory = watchMemory(worker.pid)
  const startedAtMs = performance.now()
  const report = await run('generated')
  const seconds = (performance.now() - startedAtMs) / 1000

  const [step] = report.steps
  const { success, pass } = step?.dbt?.counts ?? {}
  if (success !== models || pass !== 2 * models) throw new Error(`not all was built: ${JSON.stringify(report)}`)
  const handle = client.workflow.getHandle(report.workflowId)
  const { historyLength, historySize } = await handle.describe()
  const { events } = await handle.fetchHistory()
  const activities = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name)
  return {
    seconds,
    dbtMebibytes: memory.peak.below,
    planSeconds: ((step?.startedAtMs ?? Number.NaN) - Date.parse(report.startedAt)) / 1000,
    stepSeconds: (step?.durationMs ?? Number.NaN) / 1000,
    idleWorkerMebibytes,
    workerMebibytes: memory.peak.own,
    hostMebibytes: Math.max(NOTHING, ...processesBelow(worker.pid).map(residentMebibytes)),
    events: historyLength,
    historyMebibytes: (historySize ?? Number.NaN) / 1024 ** 2,
    bars: activities.filter((name) => BAR_TYPES.some((type) => type === name)).length,
  }
}

/** Each in a fresh copy of the project; they take turns in coming first, so that a busy machine hits both alike. */
async function measure(folder: string, models: number, repeats: number, client: Client, address: string) {
  const bare: BareRun[] = []
  const ours: OurRun[] = []
  const inCopy = async <T>(kind: string, work: (root: string) => Promise<T>): Promise<T> => {
    const root = path.join(folder, `bench-${kind}-${models}-${bare.length}-${ours.length}`)
    mkdirSync(root)
    await writeGeneratedProject(root, { models, timeout: '2h' })
    const run = await work(root)
    rmSync(root, { recursive: true })
    console.error(`${models} models, ${kind}: ${JSON.stringify(run)}`)
    return run
  }
  const turns = [
    async () => bare.push(await inCopy('bare', bareRun)),
    async () => ours.push(await inCopy('ours', (root) => ourRun(root, models, client, address))),
  ]
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const turn of repeat % 2 === 0 ? turns : turns.toReversed()) await turn()
  }
  return { models, bare, ours }
}

/** One column of the table, from top to bottom. */
function column({ models, bare, ours }: Measured): Record<string, string> {
  const spread = (runs: readonly BareRun[]) => {
    const seconds = runs.map((run) => run.seconds)
    return [Math.min(...seconds), median(seconds), Math.max(...seconds)].map((value) => value.toFixed(2)).join(' ')
  }
  const ourMedian = (value: (run: OurRun) => number) => median(ours.map(value)).toFixed(2)
  const peak = (values: readonly number[]) => (values.some(Number.isNaN) ? 'n/a' : Math.max(...values).toFixed(0))
  const by = (spare: number) => `${spare < 0 ? 'missed' : 'met'} by ${Math.abs(spare).toFixed(2)}`
  const bareSeconds = median(bare.map(({ seconds }) => seconds))
  const ourSeconds = median(ours.map(({ seconds }) => seconds))
  const events = Math.max(...ours.map((run) => run.events))
  const historyMebibytes = Math.max(...ours.map((run) => run.historyMebibytes))
  return {
    'models (two tests each)': String(models),
    repeats: String(ours.length),
    'bare dbt build, s: min median max': spread(bare),
    'our run, s: min median max': spread(ours),
    '  planning, s (median)': ourMedian((run) => run.planSeconds),
    '  dbt step, s (median)': ourMedian((run) => run.stepSeconds),
    '  all else, s (median)': ourMedian((run) => run.seconds - run.planSeconds - run.stepSeconds),
    'ratio of medians': (ourSeconds / bareSeconds).toFixed(3),
    'difference of medians, s': (ourSeconds - bareSeconds).toFixed(2),
    'target, ×': `≤ ${ratioTarget(models)}: ${by(ratioTarget(models) - ourSeconds / bareSeconds)}`,
    'bare dbt, peak MiB': peak(bare.map((run) => run.dbtMebibytes)),
    'our dbt, its watcher, the warm process, peak MiB': peak(ours.map((run) => run.dbtMebibytes)),
    [`warm process alone, MiB (target ≤ ${TARGET.hostMebibytes})`]: peak(ours.map((run) => run.hostMebibytes)),
    'worker, peak MiB': peak(ours.map((run) => run.workerMebibytes)),
    '  before the run, MiB': peak(ours.map((run) => run.idleWorkerMebibytes)),
    'history, events': String(events),
    [`target ≤ ${TARGET.events} events`]: events <= TARGET.events ? 'met' : 'missed',
    'history, MiB': historyMebibytes.toFixed(3),
    [`target ≤ ${TARGET.historyMebibytes} MiB`]: historyMebibytes <= TARGET.historyMebibytes ? 'met' : 'missed',
    bars: String(Math.max(...ours.map((run) => run.bars))),
  }
}

const [sizes = '20,200,1000', given] = process.argv.slice(2)
const projects = sizes.split(',').map((text) => {
  const models = howMany(text)
  return { models, repeats: given === undefined ? (models >= ONCE_FROM_MODELS ? 1 : 3) : howMany(given) }
})
await using ending = new AsyncDisposableStack()
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'millrace-bench-')))
ending.defer(() => rmSync(folder, { recursive: true, force: true }))
const server = await ensureDevServer(workspaceAt(folder), INSTALLATION.temporalServer, console.error)
ending.defer(() => server.stop())
const { client, connection } = await connectClient(ownServerAddress(server))
ending.defer(() => connection.close())
const columns: Record<string, string>[] = []
for (const { models, repeats } of projects) {
  columns.push(column(await measure(folder, models, repeats, client, server.address)))
}
for (const name of Object.keys(columns[0] ?? {})) {
  console.log(name.padEnd(36) + columns.map((cells) => (cells[name] ?? '').padStart(24)).join(''))
}
