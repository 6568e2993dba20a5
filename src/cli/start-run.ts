// Starts a run: refuses what cannot work before anything is started, then hands it to Temporal.
import { randomBytes } from 'node:crypto'
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client'
import { tsToMs } from '@temporalio/common/lib/time.js'
import proto from '@temporalio/proto'
import { leaseHolderOf } from '../activities/lease-holder.ts'
import { profileLocation } from '../dbt/profile-location.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { failure } from '../pipeline/failure.ts'
import { leaseId, leaseTakenAdvice, type LeaseOf } from '../pipeline/lease.ts'
import { loadPipeline } from '../pipeline/load.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { resolveRequest } from '../pipeline/request.ts'
import type { Workspace } from '../platform/workspace.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import { warehouseAddress } from '../warehouses/open.ts'

/** In ms since 1970. Fails with RequestInvalid for a time that is none. */
export function runTimeOf({ runTime }: RunRequest): number {
  return runTime === undefined ? Date.now() : Date.parse(parseTime('--at', runTime))
}

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?Z$/

/** The same text. Fails with RequestInvalid unless it is a time in UTC such as 2026-11-18T02:00Z. */
export function parseTime(option: string, text: string): string {
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN
  // 30 February is taken for 2 March otherwise.
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text.slice(0, 10))) return text
  throw failure('RequestInvalid', `${option} '${text}' is not a time in UTC such as 2026-11-18T02:00Z`)
}

/** What a run will be, as far as the files here tell. Fails as the run itself would, but at once. */
export async function checkRequest(workspace: Workspace, pipeline: string, request: RunRequest) {
  const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
  const resolved = resolveRequest(definition, request, runTimeOf(request))
  const location = profileLocation(definition, workspace.root)
  const profile = await readProfileTarget(location, request.target)
  warehouseAddress(profile, location.projectDir)
  const lease: LeaseOf = { lock: definition.lock ?? pipeline, target: profile.target }
  return { definition, target: profile.target, logicalDate: resolved.logicalDate, lease }
}

/** Fails with LeaseTaken, before anything is started, for a run that would not wait. The run itself asks again. */
async function requireFreeLease({ client }: ConnectedClient, taskQueue: string, of: LeaseOf): Promise<void> {
  const holder = await leaseHolderOf(client, leaseId(taskQueue, of))
  if (holder !== null) throw failure('LeaseTaken', leaseTakenAdvice(of, holder))
}

/** The run has a new id; its workflow type is the pipeline's name. Fails with LeaseTaken where another one is under way. */
export async function startRun(
  connected: ConnectedClient,
  workspace: Workspace,
  taskQueue: string,
  pipeline: string,
  request: RunRequest,
): Promise<WorkflowHandleWithFirstExecutionRunId> {
  const { target, logicalDate, lease } = await checkRequest(workspace, pipeline, request)
  if (request.wait !== true) await requireFreeLease(connected, taskQueue, lease)
  return await connected.client.workflow.start(pipeline, {
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
