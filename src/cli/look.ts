// Opens a target's warehouse for a person who only looks.
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { profileLocation } from '../dbt/profile-location.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { openEngine } from '../platform/duckdb.ts'
import { makeScratchDir } from '../platform/scratch.ts'
import type { Workspace } from '../platform/workspace.ts'
import { openWarehouse, warehouseAddress } from '../warehouses/open.ts'
import type { Warehouse, WarehouseAddress } from '../warehouses/warehouse.ts'

/** The warehouse of the pipeline's target (the profile's own where none is named), closed when the work is done. */
export async function lookIntoWarehouse<T>(
  workspace: Workspace,
  definition: PipelineDefinition,
  targetName: string | undefined,
  work: (warehouse: Warehouse, address: WarehouseAddress, target: string) => Promise<T>,
): Promise<T> {
  const location = profileLocation(definition, workspace.root)
  const target = await readProfileTarget(location, targetName)
  const projectDir = path.resolve(location.projectDir)
  const scratchDir = await makeScratchDir(workspace.stateDir)
  const engine = await openEngine({ scratchDir })
  try {
    const place = { engine, scratchDir, abort: new AbortController().signal, run: null, stagingBucket: null }
    const warehouse = await openWarehouse(target, projectDir, place, 'look')
    try {
      return await work(warehouse, warehouseAddress(target, projectDir), target.target)
    } finally {
      await warehouse.close()
    }
  } finally {
    engine.close()
    await rm(scratchDir, { recursive: true, force: true })
  }
}
