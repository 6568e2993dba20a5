// The SDK's runtime for tests: nobody reads what it says, and signals are not its own.
import { DefaultLogger, Runtime } from '@temporalio/worker'

export const SILENT = new DefaultLogger('ERROR', () => undefined)

let isInstalled = false

/** A process has one, which has to be there before anything else of the SDK is asked for. */
export function installQuietRuntime(): void {
  if (!isInstalled) Runtime.install({ logger: SILENT, shutdownSignals: [] })
  isInstalled = true
}
