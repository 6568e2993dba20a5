// The worker's health check: does the Temporal server see this container ask for work? Exit code 0 or 1.
import { hostname } from 'node:os'
import { tsToMs } from '@temporalio/common/lib/time.js'
import proto from '@temporalio/proto'
import { readEnvironment } from '../src/platform/environment.ts'
import { findWorkspace } from '../src/platform/workspace.ts'
import { connectClient, serverAddress } from '../src/temporal/connect.ts'

/** An idle worker asks once a minute; two silent minutes are a worker that hangs. */
const SILENT_AFTER_MS = 120_000

const environment = readEnvironment()

try {
  const server = await serverAddress(findWorkspace(environment.workspace), environment)
  const { connection } = await connectClient(server)
  try {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace: server.namespace,
      taskQueue: { name: environment.taskQueue },
      taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    })
    // The SDK calls a worker `<pid>@<host>`; the server remembers each for five minutes after its last word.
    const own = (pollers ?? []).filter(({ identity }) => identity?.endsWith(`@${hostname()}`))
    const lastMs = Math.max(0, ...own.map(({ lastAccessTime }) => tsToMs(lastAccessTime)))
    if (Date.now() - lastMs > SILENT_AFTER_MS) {
      throw new Error(`no worker of ${hostname()} asked for work on ${environment.taskQueue} in the last two minutes`)
    }
  } finally {
    await connection.close()
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
