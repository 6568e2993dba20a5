// Starts a run: refuses what cannot work before anything is started, then hands it to Temporal.
import { randomBytes } from 'node:crypto'
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client'
import { tsToMs } from '@temporalio/common/lib/time.js'
import proto from '@temporalio/proto'
import { profileLocation } from '../activities/make-plan.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { failure } from '../pipeline/failure.ts'
import { loadPipeline } from '../pipeline/load.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { resolveRequest } from '../pipeline/request.ts'
import type { Workspace } from '../platform/workspace.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import { warehouseAddress } from '../warehouses/open.ts'

/** What a run will be, as far as the files here tell. Fails as the run itself would, but at once. */
export async function checkRequest(workspace: Workspace, pipeline: string, request: RunRequest) {
  const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
  const resolved = resolveRequest(definition, request, Date.now())
  const location = profileLocation(definition, workspace.root)
  const profile = await readProfileTarget(location, request.target)
  warehouseAddress(profile, location.projectDir)
  return { definition, target: profile.target, logicalDate: resolved.logicalDate }
}

/** The run has a new id; its workflow type is the pipeline's name. */
export async function startRun(
  { client }: ConnectedClient,
  workspace: Workspace,
  taskQueue: string,
  pipeline: string,
  request: RunRequest,
): Promise<WorkflowHandleWithFirstExecutionRunId> {
  const { target, logicalDate } = await checkRequest(workspace, pipeline, request)
  return await client.workflow.start(pipeline, {
    taskQueue,
    workflowId: [pipeline, target, logicalDate, randomBytes(3).toString('hex')].join('-'),
    args: [request],
    staticSummary: [pipeline, target, logicalDate].join(' · '),
  })
}

/** The server remembers a poller for minutes; one that lives asks again after a minute at most. */
const POLLED_WITHIN_MS = 70_000

/** Whether any worker polls the task queue; without one a run waits. */
export async function hasWorker({ connection, server }: ConnectedClient, taskQueue: string): Promise<boolean> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace: server.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  })
  return (pollers ?? []).some(({ lastAccessTime }) => Date.now() - tsToMs(lastAccessTime) < POLLED_WITHIN_MS)
}

/**
 * `--date 2026-11-18 --dept=9` → params. Whether they exist is the pipeline's to say; here only the form counts. Fails
 * with RequestInvalid for anything that is not `--name value`.
 */
export function parseParams(args: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {}
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const match = /^--([a-z_]\w*)(?:=(.*))?$/.exec(arg)
    const value = match?.[2] ?? args[at + 1]
    if (match?.[1] === undefined) {
      throw failure(
        'RequestInvalid',
        `'${arg}' is not understood; params are given as --name value, e.g. --date 2026-11-18 ` +
          '(behind npm run start-workflow, first of all a --)',
      )
    }
    if (value === undefined || value.startsWith('--')) {
      throw failure('RequestInvalid', `${arg} needs a value, e.g. ${arg} 2026-11-18; for options see --help`)
    }
    if (match[2] === undefined) at++
    params[match[1]] = value
  }
  return params
}
