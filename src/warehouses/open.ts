// From a dbt target to a warehouse: the one switch over their kinds. Each brings packages of its own, loaded when it is opened.
import { failure } from '../pipeline/failure.ts'
import type { ProfileTarget } from '../dbt/profile.ts'
import { bigqueryAddress } from './bigquery/address.ts'
import { duckdbAddress } from './duckdb/address.ts'
import { duckdbSettings } from './duckdb/settings.ts'
import { postgresAddress } from './postgres/address.ts'
import type { Warehouse, WarehouseAccess, WarehouseAddress, WarehousePlace } from './warehouse.ts'

const KINDS = ['duckdb', 'postgres', 'bigquery'] as const

type Kind = (typeof KINDS)[number]

/** Where the target's warehouse is; opens nothing. `projectDir` is absolute. Fails with WarehouseUnsupported or ProfileInvalid. */
export function warehouseAddress(target: ProfileTarget, projectDir: string): WarehouseAddress {
  switch (warehouseKind(target)) {
    case 'duckdb':
      return duckdbAddress(target, projectDir)
    case 'postgres':
      return postgresAddress(target)
    case 'bigquery':
      return bigqueryAddress(target)
  }
}

/**
 * Opens the warehouse beside an engine, which brings the typed rows; the caller closes both, the warehouse first. To look
 * only, it must exist already: fails with WarehouseFailed where it does not.
 */
export async function openWarehouse(
  target: ProfileTarget,
  projectDir: string,
  place: WarehousePlace,
  access: WarehouseAccess = 'write',
): Promise<Warehouse> {
  switch (warehouseKind(target)) {
    case 'duckdb': {
      const { openDuckdb } = await import('./duckdb/warehouse.ts')
      const address = duckdbAddress(target, projectDir)
      return await openDuckdb(address, place.engine, access, duckdbSettings(target, projectDir))
    }
    case 'postgres': {
      const { openPostgres } = await import('./postgres/warehouse.ts')
      return await openPostgres(target, place, access)
    }
    case 'bigquery': {
      const { openBigquery } = await import('./bigquery/warehouse.ts')
      return await openBigquery(target, place, access)
    }
  }
}

function warehouseKind({ type, target }: ProfileTarget): Kind {
  const kind = KINDS.find((known) => known === type)
  if (kind !== undefined) return kind
  throw failure(
    'WarehouseUnsupported',
    `target '${target}' is a ${type} warehouse, which Millrace does not load; supported: ${KINDS.join(', ')}`,
  )
}
