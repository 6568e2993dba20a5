// `millrace follow`: any run or backfill that is under way, or its end.
import { BACKFILL } from '../pipeline/backfill.ts'
import { followBackfill } from './backfill.ts'
import type { Cli } from './cli.ts'
import { outputMode } from './follow.ts'
import { describeRun, followToEnd } from './run.ts'
import { abortOnSignal } from './signals.ts'

/** Resolves to the exit code of what it followed. */
export async function followCommand(cli: Cli, workflowId: string, json: boolean): Promise<number> {
  const connected = await cli.connect()
  try {
    const { type } = await describeRun(connected, workflowId)
    const mode = outputMode(json)
    return type === BACKFILL
      ? await followBackfill(connected, { workflowId }, mode, abortOnSignal())
      : await followToEnd(cli, connected, workflowId, type, mode, abortOnSignal())
  } finally {
    await connected.connection.close()
  }
}
