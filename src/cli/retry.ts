// `millrace retry`: a new run of what a failed one was to do, which takes over what that one finished.
import { defaultPayloadConverter } from '@temporalio/client'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import { PLAN_FILE } from '../platform/run-folders.ts'
import { runFolder } from '../platform/workspace.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { describeRun, startAndFollow, type RunOptions } from './run.ts'

/** Refuses (RequestInvalid) a run that goes on, and one that has nothing left to do. */
export async function retryCommand(cli: Cli, workflowId: string, options: RunOptions): Promise<number> {
  const connected = await cli.connect()
  try {
    const { type, status, runId } = await describeRun(connected, workflowId)
    if (status.name === 'RUNNING') {
      throw failure(
        'RequestInvalid',
        `${workflowId} is still running; see how it goes: npx millrace follow ${workflowId}`,
      )
    }
    if (status.name === 'COMPLETED') {
      throw failure(
        'RequestInvalid',
        `${workflowId} did not fail, so there is nothing to retry; do all of it again: npx millrace run ${type}`,
      )
    }
    const before = await originalRequest(connected, workflowId, runId)
    // The very day and values that it was for, not what their defaults mean now.
    const params = (await plannedParams(cli, workflowId, runId)) ?? before.params ?? {}
    const request: RunRequest = { ...before, params, retryOf: { workflowId, runId } }
    return await startAndFollow(cli, connected, type, request, options)
  } finally {
    await connected.connection.close()
  }
}

async function originalRequest({ client }: ConnectedClient, workflowId: string, runId: string): Promise<RunRequest> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? []
  return payload === undefined ? {} : defaultPayloadConverter.fromPayload<RunRequest>(payload)
}

/** Undefined when it was never planned, or on another machine. */
async function plannedParams(cli: Cli, workflowId: string, runId: string): Promise<RunRequest['params']> {
  const file = path.join(runFolder(cli.workspace, workflowId, runId), PLAN_FILE)
  const text = await readFile(file, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Plan).params // our own file
}
