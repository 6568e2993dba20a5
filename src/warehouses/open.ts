// From a dbt target to a warehouse: the one switch over their kinds.
import { failure } from '../pipeline/failure.ts'
import type { ProfileTarget } from '../dbt/profile.ts'
import type { Engine } from '../platform/duckdb.ts'
import { duckdbAddress } from './duckdb/address.ts'
import { openDuckdb } from './duckdb/warehouse.ts'
import type { Warehouse, WarehouseAccess, WarehouseAddress } from './warehouse.ts'

const KINDS = ['duckdb'] as const
type Kind = (typeof KINDS)[number]

/** Where the target's warehouse is; opens nothing. `projectDir` is absolute. */
export function warehouseAddress(target: ProfileTarget, projectDir: string): WarehouseAddress {
  switch (warehouseKind(target)) {
    case 'duckdb':
      return duckdbAddress(target, projectDir)
  }
}

/**
 * Opens the warehouse beside an engine, which brings the typed rows; the caller closes both, the warehouse first. To look
 * only, it must exist already: fails with WarehouseFailed where it does not.
 */
export async function openWarehouse(
  target: ProfileTarget,
  projectDir: string,
  engine: Engine,
  access: WarehouseAccess = 'write',
): Promise<Warehouse> {
  switch (warehouseKind(target)) {
    case 'duckdb':
      return await openDuckdb(duckdbAddress(target, projectDir), engine, access)
  }
}

function warehouseKind({ type, target }: ProfileTarget): Kind {
  const kind = KINDS.find((known) => known === type)
  if (kind !== undefined) return kind
  throw failure(
    'WarehouseUnsupported',
    `target '${target}' is a ${type} warehouse, which Millrace does not load yet; supported: ${KINDS.join(', ')}`,
  )
}
