// How a run ended: what its caller gets of it.
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import type { RunReport } from '../../src/pipeline/report.ts'
import type { RunProgress } from '../../src/workflows/run-state.ts'

export interface RunEnd {
  readonly report: RunReport
  /** The server's word: `COMPLETED`, `FAILED`, … */
  readonly status: string
  /** Of the error with which the run failed. */
  readonly failureType: string | undefined
}

/** Waits for the end, however it is. Rejects where a run ended without a report. */
export async function endOf(handle: WorkflowHandle): Promise<RunEnd> {
  const failed = await handle.result().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof WorkflowFailedError) return error
      throw error
    },
  )
  const { status } = await handle.describe()
  const cause = failed?.cause as { type?: string; details?: RunReport[] } | undefined
  const { report: queried } = await handle.query<RunProgress>('progress')
  const report = failed === undefined ? ((await handle.result()) as RunReport) : (cause?.details?.[0] ?? queried)
  if (report === null) throw new Error(`no report came with ${String(failed?.cause)}`)
  return { report, status: status.name, failureType: cause?.type }
}
