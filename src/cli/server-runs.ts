// Runs as the server knows them: found by id, by how an id begins, or by their pipeline.
import { WorkflowNotFoundError, type WorkflowExecutionInfo } from '@temporalio/client'
import { failure } from '../pipeline/failure.ts'
import { listPipelines } from '../pipeline/load.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'

export type FoundRun = Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'type' | 'status'>

const SHOWN = 5

/** Runs of this workspace's pipelines, the newest first. Asks only for what every server can look up. */
export async function* listRuns(
  { workspace, environment }: Cli,
  { client }: ConnectedClient,
  condition?: string,
): AsyncGenerator<WorkflowExecutionInfo> {
  // The same queue also has workflows of Millrace's own, which are no runs.
  const pipelines = await listPipelines(workspace.pipelinesDir)
  const query = [`TaskQueue = ${quoted(environment.taskQueue)}`, ...(condition === undefined ? [] : [condition])]
  for await (const run of client.workflow.list({ query: query.join(' AND ') })) {
    if (pipelines.includes(run.type)) yield run
  }
}

/**
 * The run of that very id; else the one under way whose id begins so, or that is of the pipeline of that name. Fails with
 * RequestInvalid where there is none, or several: it names them.
 */
export async function findRunning(cli: Cli, connected: ConnectedClient, given: string): Promise<FoundRun> {
  const exact = await describeIfKnown(connected, given)
  if (exact !== undefined) return exact
  const pipelines = await listPipelines(cli.workspace.pipelinesDir)
  const found = await Array.fromAsync(
    listRuns(cli, connected, `ExecutionStatus = 'Running' AND ${meant(pipelines, given)}`),
  )
  const [only] = found
  if (found.length === 1 && only !== undefined) return only
  if (only === undefined) {
    throw failure('RequestInvalid', `no run '${given}' is under way; see what is: npx millrace status`)
  }
  const shown = [...found.slice(0, SHOWN).map(({ workflowId }) => workflowId), ...(found.length > SHOWN ? ['…'] : [])]
  throw failure(
    'RequestInvalid',
    `${found.length} runs under way are meant by '${given}': ${shown.join(', ')}; write one of them`,
  )
}

/** The same for runs that may have ended: the newest of a pipeline; undefined where the server knows none. */
export async function findNewest(cli: Cli, connected: ConnectedClient, given: string): Promise<FoundRun | undefined> {
  const exact = await describeIfKnown(connected, given)
  if (exact !== undefined) return exact
  const pipelines = await listPipelines(cli.workspace.pipelinesDir)
  const found: WorkflowExecutionInfo[] = []
  for await (const run of listRuns(cli, connected, meant(pipelines, given))) {
    found.push(run)
    if (found.length > SHOWN || pipelines.includes(given)) break
  }
  const ids = [...new Set(found.map(({ workflowId }) => workflowId))]
  if (ids.length <= 1) return found[0]
  throw failure('RequestInvalid', `several runs begin with '${given}': ${ids.join(', ')}; write more of one`)
}

async function describeIfKnown({ client }: ConnectedClient, workflowId: string) {
  try {
    return await client.workflow.getHandle(workflowId).describe()
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined
    throw error
  }
}

function meant(pipelines: readonly string[], given: string): string {
  return pipelines.includes(given) ? `WorkflowType = ${quoted(given)}` : `WorkflowId STARTS_WITH ${quoted(given)}`
}

/** A text in a query of the server's. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
