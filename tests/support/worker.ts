// The real worker in the test's own process, for tests that are about what a run does, not about processes that die.
import { afterAll, inject, onTestFinished, vi } from 'vitest'
import { startRun } from '../../src/cli/start-run.ts'
import { openDbtHosts } from '../../src/dbt/launcher.ts'
import type { RunRequest } from '../../src/pipeline/plan.ts'
import type { RunReport } from '../../src/pipeline/report.ts'
import { readEnvironment, runLimits } from '../../src/platform/environment.ts'
import type { Workspace } from '../../src/platform/workspace.ts'
import { connectClient, ownServerAddress } from '../../src/temporal/connect.ts'
import { startWorker as startRealWorker } from '../../src/worker.ts'
import { taskQueueOf } from './cli.ts'
import { installQuietRuntime } from './quiet-runtime.ts'
import { endOf } from './run-end.ts'

export interface TestWorker {
  /** Runs a pipeline as `millrace run` does, and returns its report, whatever came of it. */
  run(pipeline: string, request?: RunRequest): Promise<RunReport>
  /** What the worker was given is free again when it resolves. */
  stop(): Promise<void>
}

installQuietRuntime()

/** All workers of a file use the same warm dbt process: it takes seconds to start. */
const dbtHosts = openDbtHosts()
afterAll(() => dbtHosts.stop())

/**
 * Stopped at the end of the test, if it is not before. Resolves when it polls. The variables are of this process until
 * then, so commands that the test runs meanwhile have them, too.
 */
export async function startWorker(
  workspace: Workspace,
  variables: Readonly<Record<string, string>> = {},
): Promise<TestWorker> {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const environment = { ...readEnvironment(), taskQueue: taskQueueOf(workspace) }
  const server = ownServerAddress({ address: inject('temporalAddress'), uiUrl: '' })
  const worker = await startRealWorker({
    workspace,
    environment,
    server,
    searchAttributes: true,
    runLimits: runLimits(environment),
    dbtHosts,
  })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= worker.stop())
  onTestFinished(stop)
  return {
    stop,
    async run(pipeline, request = {}) {
      const connected = await connectClient(server)
      try {
        const handle = await startRun(connected, workspace, environment.taskQueue, pipeline, request)
        const { report } = await endOf(handle)
        return report
      } finally {
        await connected.connection.close()
      }
    },
  }
}
