// Which DuckDB file a dbt target means.
import type { ProfileTarget } from '../../dbt/profile.ts'
import type { WarehouseAddress } from '../warehouse.ts'
import { duckdbSettings } from './settings.ts'

export interface DuckdbAddress extends WarehouseAddress {
  readonly kind: 'duckdb'
  /** Absolute. */
  readonly file: string
  /** The name dbt gives the database: the file's stem. */
  readonly database: string
}

/** `projectDir` is absolute. Fails with ProfileInvalid, naming everything that is wrong in the target's settings. */
export function duckdbAddress(target: ProfileTarget, projectDir: string): DuckdbAddress {
  const { file, database, schema } = duckdbSettings(target, projectDir)
  return { kind: 'duckdb', label: file, schema, identity: `duckdb:${file}`, concurrency: 1, file, database }
}
