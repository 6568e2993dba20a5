// Whether a run still goes on, asked of the server now and then, where one is there to be asked.
import { setTimeout as pause } from 'node:timers/promises'
import type { Cli } from './cli.ts'
import { listRuns } from './server-runs.ts'

const ASK_EVERY_MS = 5_000

export interface EndedRun {
  readonly workflowId: string
  /** The server's word in lower case: `terminated`, `timed out`, … */
  readonly status: string
}

/**
 * Asks until the signal aborts; what it returns says how the run ended, undefined as long as the server has not said
 * so. Never fails: a server that is down, or that knows nothing of the run, is asked again.
 */
export function watchEnd(cli: Cli, runId: string, signal: AbortSignal): () => EndedRun | undefined {
  let ended: EndedRun | undefined
  void untilEnded(cli, runId, signal).then((end) => (ended = end))
  return () => ended
}

async function untilEnded(cli: Cli, runId: string, signal: AbortSignal): Promise<EndedRun | undefined> {
  while (!signal.aborted) {
    const ended = await askServer(cli, runId).catch(() => undefined)
    if (ended !== undefined) return ended
    await pause(ASK_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}

async function askServer(cli: Cli, runId: string): Promise<EndedRun | undefined> {
  const connected = await cli.connect()
  try {
    // Its folder's name, which is a run id, is all that is known for sure: a workflow id is not always a folder's name.
    for await (const { workflowId, status } of listRuns(cli, connected, `RunId = '${runId}'`)) {
      if (status.name !== 'RUNNING') return { workflowId, status: status.name.toLowerCase().replaceAll('_', ' ') }
    }
    return undefined
  } finally {
    await connected.connection.close()
  }
}
