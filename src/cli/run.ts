// `millrace run`, `follow` and `cancel`: runs on a server that is up.
import path from 'node:path'
import { WorkflowNotFoundError } from '@temporalio/client'
import { describeFailure, failure } from '../pipeline/failure.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import type { Outcome } from '../pipeline/report.ts'
import { runFolder } from '../platform/workspace.ts'
import { runLink, type ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { followRun, outputMode, type OutputMode } from './follow.ts'
import { findRunning } from './server-runs.ts'
import { abortOnSignal } from './signals.ts'
import { hasWorker, startRun } from './start-run.ts'
import { color, say, sayError } from './terminal.ts'
import { summaryLines } from './view.ts'

export interface RunOptions {
  readonly detach: boolean
  readonly json: boolean
}

/** Exit codes: 0 when the run succeeded, warned or was skipped, 1 when it failed, 130 when it was cancelled. */
export const EXIT_CODES: Record<Outcome, number> = { succeeded: 0, warned: 0, skipped: 0, failed: 1, cancelled: 130 }

/** Two were started at the same moment, and the other one was quicker: refused like any start that comes later. */
const EXIT_CODE_OF_LEASE_TAKEN = 2

export async function runCommand(
  cli: Cli,
  pipeline: string,
  request: RunRequest,
  options: RunOptions,
): Promise<number> {
  const connected = await cli.connect()
  try {
    return await startAndFollow(cli, connected, pipeline, request, options)
  } finally {
    await connected.connection.close()
  }
}

/** Starts the run and, unless it is to be detached, follows it to its end. */
export async function startAndFollow(
  cli: Cli,
  connected: ConnectedClient,
  pipeline: string,
  request: RunRequest,
  options: RunOptions,
): Promise<number> {
  const mode = outputMode(options.json)
  const handle = await startRun(connected, cli.workspace, cli.environment.taskQueue, pipeline, request)
  if (mode !== 'json') await sayStarted(cli, connected, handle.workflowId)
  if (options.detach) {
    if (mode === 'json') say(JSON.stringify({ event: 'started', workflowId: handle.workflowId }))
    else sayHowToGoOn(handle.workflowId)
    return 0
  }
  return await followToEnd(cli, connected, handle.workflowId, pipeline, mode, abortOnSignal())
}

/** Asks for cancellation; the run then ends what is under way and records itself. */
export async function cancelCommand(cli: Cli, given: string, json: boolean): Promise<number> {
  const connected = await cli.connect()
  const { client, connection } = connected
  try {
    const { workflowId, status } = await findRunning(cli, connected, given)
    const isRunning = status.name === 'RUNNING'
    if (isRunning) await client.workflow.getHandle(workflowId).cancel()
    if (json) say(JSON.stringify({ workflowId, cancelled: isRunning, status: status.name.toLowerCase() }))
    else if (!isRunning) {
      say(`${workflowId} has already ended (${status.name.toLowerCase().replaceAll('_', ' ')})`)
    } else say(`asked ${workflowId} to cancel; see it end: npx millrace follow ${workflowId}`)
    return 0
  } finally {
    await connection.close()
  }
}

/** Fails with RequestInvalid for an id that the server does not know. */
export async function describeRun({ client, server }: ConnectedClient, workflowId: string) {
  try {
    return await client.workflow.getHandle(workflowId).describe()
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    throw failure(
      'RequestInvalid',
      `there is no run '${workflowId}'; ids are printed when a run starts, and listed in the Temporal UI${server.uiUrl === undefined ? '' : `, ${server.uiUrl}`}`,
    )
  }
}

/** Shows the run until it ends and its summary then; when the signal aborts first, says how to go on. */
export async function followToEnd(
  cli: Cli,
  connected: ConnectedClient,
  workflowId: string,
  pipeline: string,
  mode: OutputMode,
  abort: AbortSignal,
): Promise<number> {
  const end = await followRun(connected, connected.client.workflow.getHandle(workflowId), pipeline, mode, abort)
  if (end === undefined) {
    say('', 'the run goes on without this window')
    sayHowToGoOn(workflowId)
    // Not 0: that would say the run succeeded.
    return EXIT_CODES.cancelled
  }
  if (end.kind === 'no report') {
    sayError(color.red(end.message))
    return EXIT_CODES[end.outcome]
  }
  const { report } = end
  if (mode !== 'json') {
    const folder = path.relative(process.cwd(), runFolder(cli.workspace, report.workflowId, report.runId))
    const places = {
      runLink: runLink(connected.server, report.workflowId),
      reportFile: path.join(folder, 'report.json'),
    }
    say('', ...summaryLines(report, places))
  }
  return report.failure?.type === 'LeaseTaken' ? EXIT_CODE_OF_LEASE_TAKEN : EXIT_CODES[report.outcome]
}

export async function sayStarted(cli: Cli, connected: ConnectedClient, workflowId: string): Promise<void> {
  say(color.dim(`${workflowId}  ${runLink(connected.server, workflowId) ?? ''}`))
  const served = await hasWorker(connected, cli.environment.taskQueue).catch((error: unknown) => {
    sayError(describeFailure(error).message)
    return true
  })
  if (!served)
    sayError(`no worker serves ${cli.environment.taskQueue} yet: the run waits until one does (npm run worker)`)
}

export function sayHowToGoOn(workflowId: string): void {
  say(`  follow it   npx millrace follow ${workflowId}`, `  cancel it   npx millrace cancel ${workflowId}`)
}
