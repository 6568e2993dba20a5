// Composition root of the worker: one Temporal worker for the story, and one for each warehouse that a plan needs.
import { createHash } from 'node:crypto'
import path from 'node:path'
import { Runtime, Worker } from '@temporalio/worker'
import { createActivities } from './activities/index.ts'
import { profileLocation } from './dbt/profile-location.ts'
import { listTargets, readProfileTarget } from './dbt/profile.ts'
import type { DbtHosts } from './dbt/launcher.ts'
import { listPipelines, loadPipeline } from './pipeline/load.ts'
import { keepEngineReady } from './platform/duckdb.ts'
import type { Environment } from './platform/environment.ts'
import { removeOldRuns, type RunLimits } from './platform/run-folders.ts'
import { clearAbandonedScratch } from './platform/scratch.ts'
import { INSTALLATION, type Workspace } from './platform/workspace.ts'
import { runLink, type ServerAddress } from './temporal/connect.ts'
import { connectWorker } from './temporal/connect-worker.ts'
import { workflowBundle } from './temporal/workflow-bundle.ts'
import { warehouseAddress } from './warehouses/open.ts'
import type { WarehouseAddress } from './warehouses/warehouse.ts'

/** Running activities may finish within the first; dbt's own ladder of signals fits into the second. */
const SHUTDOWN_GRACE = '3s'
const SHUTDOWN_FORCE = '40s'

const REMOVE_OLD_RUNS_EVERY_MS = 3_600_000

export interface RunningWorker {
  /** Rejects when a worker fails; resolves after stop(). */
  readonly ended: Promise<void>
  /** Takes no more work, ends what runs, and resolves when all is quiet. */
  stop(): Promise<void>
}

export interface WorkerSettings {
  readonly workspace: Workspace
  readonly environment: Environment
  readonly server: ServerAddress
  /** Whether the server knows Millrace's search attributes. */
  readonly searchAttributes: boolean
  /** Which folders of runs are kept. */
  readonly runLimits: RunLimits
  /** Stay up when the worker has stopped. */
  readonly dbtHosts: DbtHosts
}

/** Resolves once the worker polls. Fails with ServerUnreachable. */
export async function startWorker(settings: WorkerSettings): Promise<RunningWorker> {
  const { workspace, environment, server, searchAttributes, dbtHosts } = settings
  await clearAbandonedScratch(workspace.stateDir)
  const connection = await connectWorker(server)
  const workers = new Map<string, Promise<Worker>>()
  const runs: Promise<void>[] = []
  const failed = Promise.withResolvers<never>()
  let stopping = false

  const common = {
    connection,
    namespace: server.namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    shutdownForceTime: SHUTDOWN_FORCE,
    // Progress and cancellation travel with heartbeats: at most a second late.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
  } as const

  const serveWarehouse = async (address: WarehouseAddress): Promise<string> => {
    const taskQueue = warehouseQueue(environment.taskQueue, address)
    if (!workers.has(taskQueue) && !stopping) {
      const worker = Worker.create({
        ...common,
        taskQueue,
        activities,
        maxConcurrentActivityTaskExecutions: address.concurrency,
      })
      workers.set(taskQueue, worker)
      // One that could not be made is not remembered: the next plan tries again.
      worker.catch(() => workers.delete(taskQueue))
      run(await worker)
    }
    await workers.get(taskQueue)
    return taskQueue
  }

  const activities = createActivities({
    workspace,
    python: INSTALLATION.python,
    searchAttributes,
    serveWarehouse,
    dbtHosts,
    runLink: (workflowId, runId) => runLink(server, workflowId, runId),
  })

  const run = (worker: Worker) => {
    const ended = worker.run()
    runs.push(ended)
    ended.catch((error: unknown) => failed.reject(error))
  }

  const bundle = await workflowBundle(Runtime.instance().logger)
  const main = Worker.create({
    ...common,
    taskQueue: environment.taskQueue,
    workflowBundle: bundle,
    activities,
    maxCachedWorkflows: 100,
    // After a worker died, its runs wait so long for it before another may go on.
    stickyQueueScheduleToStartTimeout: '2s',
  })
  workers.set(environment.taskQueue, main)
  run(await main)
  // Runs that were under way when the last worker died wait on these queues; nothing plans them again.
  for (const address of await configuredWarehouses(workspace)) await serveWarehouse(address)

  const stopKeeping = keepEngineReady()
  const stopRemoving = keepRemovingOldRuns(workspace, settings.runLimits)
  const over = Promise.withResolvers<void>()
  return {
    ended: Promise.race([over.promise, failed.promise]),
    async stop() {
      stopping = true
      for (const worker of await Promise.allSettled(workers.values())) {
        if (worker.status === 'fulfilled' && worker.value.getState() === 'RUNNING') worker.value.shutdown()
      }
      await Promise.allSettled(runs)
      await stopRemoving()
      await stopKeeping()
      await connection.close()
      over.resolve()
    },
  }
}

/** Now and every hour; a full folder is no reason to stop working, so what goes wrong is only logged. */
function keepRemovingOldRuns(workspace: Workspace, limits: RunLimits): () => Promise<void> {
  const { logger } = Runtime.instance()
  const removeThem = async () => {
    try {
      const { removed, problems } = await removeOldRuns(workspace, limits, Date.now())
      if (removed > 0) logger.info('removed the folders of old runs', { removed })
      for (const problem of problems) logger.warn('an old run is still there', { problem })
    } catch (error) {
      logger.warn('old runs were not looked for', { error })
    }
  }
  let underWay = removeThem()
  const timer = setInterval(() => {
    underWay = removeThem()
  }, REMOVE_OLD_RUNS_EVERY_MS).unref()
  return () => {
    clearInterval(timer)
    return underWay
  }
}

/** Every warehouse that some pipeline of the workspace can reach with what is configured here. */
async function configuredWarehouses(workspace: Workspace): Promise<WarehouseAddress[]> {
  const found = new Map<string, WarehouseAddress>()
  for (const name of await listPipelines(workspace.pipelinesDir)) {
    // A pipeline that is wrong, or lacks its profile, says so when it is run or checked.
    const definition = await loadPipeline(workspace.pipelinesDir, name).catch(() => undefined)
    if (definition === undefined) continue
    const location = profileLocation(definition, workspace.root)
    const { targets } = await listTargets(location).catch(() => ({ targets: [] }))
    for (const target of targets) {
      const address = await readProfileTarget(location, target)
        .then((profile) => warehouseAddress(profile, location.projectDir))
        .catch(() => undefined)
      if (address !== undefined) found.set(address.identity, address)
    }
  }
  return [...found.values()]
}

/** `millrace-duckdb-warehouse-1f3a9c04`: readable, and one for each warehouse. */
function warehouseQueue(mainQueue: string, { kind, label, identity }: WarehouseAddress): string {
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  const name = path.parse(label).name.replaceAll(/[^\w-]+/g, '-')
  return `${mainQueue}-${kind}-${name}-${digest}`
}
