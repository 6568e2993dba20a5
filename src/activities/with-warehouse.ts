// Opens the run's warehouse for the length of one activity, and lets go of it whatever happens.
import { activityInfo } from '@temporalio/activity'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { readProfileTarget } from '../dbt/profile.ts'
import { openEngine, type Engine } from '../platform/duckdb.ts'
import { makeScratchDir } from '../platform/scratch.ts'
import { openWarehouse, warehouseAddress } from '../warehouses/open.ts'
import type { Warehouse } from '../warehouses/warehouse.ts'
import { requirePlannedWarehouse, type ActivityDeps, type RunContext } from './context.ts'

export interface OpenPlace {
  readonly engine: Engine
  /** For files that end with the activity. */
  readonly scratchDir: string
  /** Opens the warehouse; it is closed at the end. */
  readonly open: () => Promise<Warehouse>
  /** What it was billed so far; null where it was not opened, or does not bill by bytes. */
  readonly bytesBilled: () => number | null
}

/** When the signal aborts, the engine's running statement is interrupted and its transaction rolled back. */
export async function withWarehouse<T>(
  deps: ActivityDeps,
  context: RunContext,
  abort: AbortSignal,
  work: (place: OpenPlace) => Promise<T>,
): Promise<T> {
  const { root, stateDir } = deps.workspace
  const projectDir = path.resolve(root, context.dbt.projectDir)
  const location = { projectDir, profilesDir: path.resolve(root, context.dbt.profilesDir) }
  const target = await readProfileTarget(location, context.target)
  requirePlannedWarehouse(context, await deps.serveWarehouse(warehouseAddress(target, projectDir)))
  const scratchDir = await makeScratchDir(stateDir)
  const engine = await openEngine({ scratchDir, abort })
  const interrupt = () => engine.interrupt()
  abort.addEventListener('abort', interrupt, { once: true })
  let warehouse: Warehouse | undefined
  try {
    const { workflowExecution, attempt } = activityInfo()
    const run = { pipeline: context.pipeline, runId: workflowExecution?.runId ?? '', attempt }
    const { stagingBucket } = context.bigquery
    const place = { engine, scratchDir, abort, run, stagingBucket }
    const open = async () => (warehouse ??= await openWarehouse(target, projectDir, place))
    return await work({ engine, scratchDir, open, bytesBilled: () => warehouse?.bytesBilled() ?? null })
  } finally {
    abort.removeEventListener('abort', interrupt)
    try {
      await warehouse?.close()
    } finally {
      engine.close()
      await rm(scratchDir, { recursive: true, force: true })
    }
  }
}
