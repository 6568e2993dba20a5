// Which Postgres database a dbt target means.
import type { ProfileTarget } from '../../dbt/profile.ts'
import type { WarehouseAddress } from '../warehouse.ts'
import { postgresSettings } from './settings.ts'

export interface PostgresAddress extends WarehouseAddress {
  readonly kind: 'postgres'
}

/** Loads into different tables, and queries beside them: each has a connection of its own. */
const CONCURRENCY = 4

/** Opens nothing. Fails with ProfileInvalid. */
export function postgresAddress(target: ProfileTarget): PostgresAddress {
  const { host, port, database, schema } = postgresSettings(target)
  const label = `${host}:${port}/${database}`
  return { kind: 'postgres', label, schema, identity: `postgres:${label}`, concurrency: CONCURRENCY }
}
