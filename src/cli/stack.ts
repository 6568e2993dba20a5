// `millrace start`, `worker` and `demo`: the server, the worker and the schedules, up for as long as they are wanted.
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openDbtHosts, type DbtHosts } from '../dbt/launcher.ts'
import { failure } from '../pipeline/failure.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { httpName, planHttp } from '../pipeline/http-source.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { runLimits } from '../platform/environment.ts'
import { installLog } from '../platform/log.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import { resolveHttp } from '../sources/http.ts'
import { applySchedules, makeChanges, planChanges } from '../schedules/apply.ts'
import { desiredSchedules, OUR_PAUSE } from '../schedules/desired.ts'
import {
  connectClient,
  ownServerAddress,
  runListLink,
  serverAddress,
  type ConnectedClient,
  type ServerAddress,
} from '../temporal/connect.ts'
import { ensureDevServer, findDevServer, hasOtherOwner, type DevServer } from '../temporal/dev-server.ts'
import { ensureNamespace } from '../temporal/ensure-namespace.ts'
import { startWorker, type RunningWorker } from '../worker.ts'
import type { Cli } from './cli.ts'
import { startDemoSource } from './demo-source.ts'
import { outputMode } from './follow.ts'
import { followToEnd } from './run.ts'
import { appliedLines } from './schedules.ts'
import { abortOnSignal, untilAborted } from './signals.ts'
import { checkRequest, startRun } from './start-run.ts'
import { color, isTerminal, say, sayError } from './terminal.ts'

/** A day that the sample files in data/inbox are for. */
const SAMPLE_DATE = '2026-11-18'

/** Server, worker and schedules until Ctrl+C. */
export async function startCommand(cli: Cli): Promise<number> {
  const abort = abortOnSignal()
  const other = cli.environment.temporalConfigured ? undefined : await findDevServer(cli.workspace)
  if (other !== undefined && hasOtherOwner(other)) {
    say(
      `already up: ${other.uiUrl}`,
      color.dim(`process ${other.ownerPid} runs it; Ctrl+C there, or kill ${other.ownerPid}, ends it`),
    )
    return 0
  }
  return await withServer(cli, async ({ connected, devServer, dbtHosts }) => {
    const worker = await openWorker(cli, connected, dbtHosts, workerLog(cli))
    try {
      const desired = await desiredSchedules(cli.workspace, cli.environment.taskQueue)
      const applied = await applySchedules(connected.client, desired, cli.environment.taskQueue)
      const { server } = connected
      say(
        `${color.green('✔')} Millrace is up`,
        ...(server.uiUrl === undefined ? [] : [`  Temporal UI  ${color.underline(server.uiUrl)}`]),
        `  server       ${server.address}, namespace ${server.namespace}`,
        `  worker log   ${path.relative(process.cwd(), workerLog(cli))}`,
        ...appliedLines(applied).map((line) => `  ${line}`),
        '',
        '  start a run  npm run start-workflow -- daily --date 2026-11-18 --target dev',
        '  Ctrl+C ends server and worker; runs under way go on at the next start',
      )
      await Promise.race([untilAborted(abort), worker.ended, ...(devServer === undefined ? [] : [devServer.ended])])
      say('', 'stopping: what runs is ended in order …')
    } finally {
      await worker.stop()
    }
    return 0
  })
}

/** A worker alone, on the server that is up. Logs to standard error. */
export async function workerCommand(cli: Cli): Promise<number> {
  const abort = abortOnSignal()
  const server = await serverAddress(cli.workspace, cli.environment)
  const connected = await connectClient(server)
  try {
    return await withWarmDbt(async (dbtHosts) => {
      const worker = await openWorker(cli, connected, dbtHosts)
      try {
        sayError(`worker serves ${cli.environment.taskQueue} on ${server.address}; Ctrl+C ends it`)
        await Promise.race([untilAborted(abort), worker.ended])
      } finally {
        await worker.stop()
      }
      return 0
    })
  } finally {
    // Where the worker could not start, too: an open connection would keep this process up.
    await connected.connection.close()
  }
}

/** One run on a server and worker of this process, with the source that `--demo` starts. */
export async function demoRunCommand(cli: Cli, pipeline: string, request: RunRequest, json: boolean): Promise<number> {
  const abort = abortOnSignal()
  const demo = await startDemoSource(cli, pipeline)
  try {
    await checkRequest(cli.workspace, pipeline, request)
    return await withServer(demo.cli, async ({ connected, dbtHosts }) => {
      const { taskQueue } = demo.cli.environment
      const worker = await openWorker(demo.cli, connected, dbtHosts, workerLog(cli))
      try {
        const { workflowId } = await startRun(connected, cli.workspace, taskQueue, pipeline, request)
        return await followToEnd(demo.cli, connected, workflowId, pipeline, outputMode(json), abort)
      } finally {
        await worker.stop()
      }
    })
  } finally {
    await demo.close()
  }
}

/**
 * A worker and the pipeline's schedules, whose runs get the given params, until Ctrl+C; then the schedules are paused.
 * Fails with RequestInvalid for a pipeline without schedules.
 */
export async function serveCommand(given: Cli, pipeline: string, request: RunRequest, demo: boolean): Promise<number> {
  const abort = abortOnSignal()
  const source = demo ? await startDemoSource(given, pipeline) : { cli: given, close: async () => undefined }
  const { cli } = source
  try {
    const { definition } = await checkRequest(cli.workspace, pipeline, request)
    requireVariables(definition)
    const schedules = (await desiredSchedules(cli.workspace, cli.environment.taskQueue))
      .filter((schedule) => schedule.pipeline === pipeline)
      .map((schedule) => ({ ...schedule, request: { ...schedule.request, ...request } }))
      .map((schedule) => (demo ? { ...schedule, id: `${schedule.id}.demo` } : schedule))
    if (schedules.length === 0) {
      throw failure(
        'RequestInvalid',
        `${pipeline} has no schedules; add one to pipelines/${pipeline}.yml, or \`run\` it once`,
      )
    }
    return await withServer(cli, async ({ connected, devServer, dbtHosts }) => {
      const { client, server } = connected
      const worker = await openWorker(cli, connected, dbtHosts, workerLog(cli))
      try {
        const changes = await planChanges(client, schedules, cli.environment.taskQueue, [pipeline])
        await makeChanges(client, changes, cli.environment.taskQueue)
        say(
          `${color.green('✔')} serving ${pipeline}`,
          ...(server.uiUrl === undefined ? [] : [`  Temporal UI  ${color.underline(server.uiUrl)}`]),
          ...appliedLines(changes).map((line) => `  ${line}`),
          '  Ctrl+C ends it and pauses its schedule',
        )
        try {
          await Promise.race([untilAborted(abort), worker.ended, ...(devServer === undefined ? [] : [devServer.ended])])
        } finally {
          for (const { id } of schedules) {
            await client.schedule
              .getHandle(id)
              .pause(`${OUR_PAUSE}not served; \`millrace serve ${pipeline}\` goes on with it`)
            say(`schedule ${id} is paused; \`millrace serve ${pipeline}\` goes on with it`)
          }
        }
      } finally {
        await worker.stop()
      }
      return 0
    })
  } finally {
    await source.close()
  }
}

/** The worker is this process, so what it lacks is said at once. Fails with SourceUnconfigured. */
function requireVariables({ steps }: PipelineDefinition): void {
  for (const { http } of steps.flatMap(({ ingest }) => ingest ?? [])) {
    if (http === undefined) continue
    const planned = planHttp(http, (text) => text)
    resolveHttp(planned, httpName(planned))
  }
}

/** The daily pipeline on the sample files: on the stack that is up, else on one of its own. */
export async function demoCommand(
  cli: Cli,
  options: { readonly exit: boolean; readonly json: boolean },
): Promise<number> {
  const abort = abortOnSignal()
  // Another terminal may have its own demo on this server.
  const request = { target: 'dev', params: { date: SAMPLE_DATE }, wait: true }
  await checkRequest(cli.workspace, 'daily', request)
  return await withServer(cli, async ({ connected, devServer, dbtHosts }) => {
    const { taskQueue } = cli.environment
    // A server that somebody of this workspace owns comes with a worker.
    if (devServer?.shared) await dbtHosts.stop()
    const worker = devServer?.shared ? undefined : await openWorker(cli, connected, dbtHosts, workerLog(cli))
    try {
      const { workflowId } = await startRun(connected, cli.workspace, taskQueue, 'daily', request)
      const code = await followToEnd(cli, connected, workflowId, 'daily', outputMode(options.json), abort)
      const stays = isTerminal() && !options.exit && !options.json && worker !== undefined && !abort.aborted
      if (stays) {
        say(
          ...demoHints(connected.server),
          '',
          color.dim(' The server stays up for the links above; Ctrl+C ends it and all that was started.'),
        )
        await Promise.race([untilAborted(abort), worker.ended, ...(devServer === undefined ? [] : [devServer.ended])])
      }
      if (worker !== undefined) await untilOthersEnd(connected, taskQueue, abort)
      return code
    } finally {
      await worker?.stop()
    }
  })
}

/** Another terminal may run on this demo's server and worker: they stay up until its run is over. */
async function untilOthersEnd({ client }: ConnectedClient, taskQueue: string, abort: AbortSignal): Promise<void> {
  // An alert workflow lives for as long as something is wrong.
  const query = `TaskQueue = '${taskQueue}' AND ExecutionStatus = 'Running' AND WorkflowType != 'alert'`
  for (let told = false; !abort.aborted && (await client.workflow.count(query)).count > 0; told = true) {
    if (!told) sayError('another run is under way on this server: waiting for it (Ctrl+C ends both)')
    await pause(500)
  }
}

function demoHints(server: ServerAddress): string[] {
  const list = runListLink(server, 'daily')
  return list === undefined ? [] : [` All runs     ${color.underline(list)}`]
}

interface Stack {
  readonly connected: ConnectedClient
  /** Undefined where the server is a configured one. */
  readonly devServer: DevServer | undefined
  /** For a worker. */
  readonly dbtHosts: DbtHosts
}

/** The configured server, or one of our own; that and the warm dbt process end with the work. */
async function withServer<T>(cli: Cli, work: (stack: Stack) => Promise<T>): Promise<T> {
  return await withWarmDbt(async (dbtHosts) => {
    const { workspace, environment } = cli
    const devServer = environment.temporalConfigured
      ? undefined
      : await ensureDevServer(workspace, INSTALLATION.temporalServer, (line) => say(color.yellow(line)))
    try {
      const server = devServer === undefined ? await serverAddress(workspace, environment) : ownServerAddress(devServer)
      const connected = await connectClient(server)
      try {
        return await work({ connected, devServer, dbtHosts })
      } finally {
        await connected.connection.close()
      }
    } finally {
      await devServer?.stop()
    }
  })
}

/** It takes seconds to start: sooner than server and worker, whose first run asks for it. */
async function withWarmDbt<T>(work: (dbtHosts: DbtHosts) => Promise<T>): Promise<T> {
  const { python } = INSTALLATION
  const dbtHosts = openDbtHosts()
  dbtHosts.prewarm({ python, executable: path.join(path.dirname(python), 'dbt') })
  try {
    return await work(dbtHosts)
  } finally {
    await dbtHosts.stop()
  }
}

/** Logs to the file, or to standard error where none is given. */
async function openWorker(
  { workspace, environment }: Cli,
  connected: ConnectedClient,
  dbtHosts: DbtHosts,
  logFile?: string,
): Promise<RunningWorker> {
  // Refused before the SDK's runtime is there: without a worker nothing would end that, and so this process.
  const limits = runLimits(environment)
  installLog(environment.logLevel, logFile)
  const { connection, server } = connected
  const { searchAttributes, notes } = await ensureNamespace(connection, server.namespace)
  for (const note of notes) sayError(color.yellow(note))
  return await startWorker({ workspace, environment, server, searchAttributes, runLimits: limits, dbtHosts })
}

function workerLog({ workspace }: Cli): string {
  return path.join(workspace.stateDir, 'worker.log')
}
