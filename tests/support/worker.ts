// The real worker in the test's own process, for tests that are about what a run does, not about processes that die.
import { DefaultLogger, Runtime } from '@temporalio/worker'
import { afterAll, inject, onTestFinished, vi } from 'vitest'
import { openDbtHosts } from '../../src/dbt/launcher.ts'
import { readEnvironment, runLimits } from '../../src/platform/environment.ts'
import type { Workspace } from '../../src/platform/workspace.ts'
import { ownServerAddress } from '../../src/temporal/connect.ts'
import { startWorker as startRealWorker, type RunningWorker } from '../../src/worker.ts'
import { taskQueueOf } from './cli.ts'

Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] })

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
): Promise<Pick<RunningWorker, 'stop'>> {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const environment = { ...readEnvironment(), taskQueue: taskQueueOf(workspace) }
  const worker = await startRealWorker({
    workspace,
    environment,
    server: ownServerAddress({ address: inject('temporalAddress'), uiUrl: '' }),
    searchAttributes: true,
    runLimits: runLimits(environment),
    dbtHosts,
  })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= worker.stop())
  onTestFinished(stop)
  return { stop }
}
