// `millrace retry`: a new run of what a failed one was to do, which takes over what that one finished.
import { defaultPayloadConverter } from '@temporalio/client'
import { failure } from '../pipeline/failure.ts'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { describeRun, startAndFollow, type RunOptions } from './run.ts'

/** Refuses (RequestInvalid) a run that goes on, and one that has nothing left to do. */
export async function retryCommand(
  cli: Cli,
  workflowId: string,
  options: RunOptions & { readonly wait: boolean },
): Promise<number> {
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
    const { request: before, plan } = await beginningOf(connected, workflowId, runId)
    if (plan === undefined) {
      throw failure(
        'RequestInvalid',
        `${workflowId} failed before it was planned, so nothing of it can be taken over; start it anew: npx millrace run ${type}`,
      )
    }
    // The very day and values that it was for, not what their defaults mean now.
    const { params } = plan
    const request: RunRequest = { ...before, params, retryOf: { workflowId, runId }, wait: options.wait }
    return await startAndFollow(cli, connected, type, request, options)
  } finally {
    await connected.connection.close()
  }
}

/** What it was started with and, where it came so far, what it planned: its first activity's result. */
async function beginningOf({ client }: ConnectedClient, workflowId: string, runId: string) {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? []
  const completed = events?.find((event) => event.activityTaskCompletedEventAttributes)
  const [result] = completed?.activityTaskCompletedEventAttributes?.result?.payloads ?? []
  return {
    request: input ? defaultPayloadConverter.fromPayload<RunRequest>(input) : {},
    plan: result ? defaultPayloadConverter.fromPayload<Plan>(result) : undefined,
  }
}
