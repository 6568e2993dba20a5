// Which DuckDB file a dbt target means, resolved as dbt-duckdb resolves it.
import { realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { identifier, isIdentifier } from '../../pipeline/identifier.ts'
import type { ProfileTarget } from '../../dbt/profile.ts'
import type { WarehouseAddress } from '../warehouse.ts'

export interface DuckdbAddress extends WarehouseAddress {
  readonly kind: 'duckdb'
  /** Absolute. */
  readonly file: string
  /** The name dbt gives the database: the file's stem, unless the profile says otherwise. */
  readonly database: string
}

/** Databases that every DuckDB has. */
const DUCKDBS_OWN = new Set(['memory', 'temp', 'system'])

/** dbt is run in the project's folder (dbt/command.ts), so a relative path is relative to that. */
export function duckdbAddress(target: ProfileTarget, projectDir: string): DuckdbAddress {
  const { path: given, schema, database } = target.settings
  const where = `${path.relative(process.cwd(), path.join(target.profilesDir, 'profiles.yml'))}, target '${target.target}'`
  if (typeof given !== 'string' || given === '' || given === ':memory:' || given.startsWith('md:')) {
    throw failure('ProfileInvalid', `${where}: path must be a file, because a run's steps are separate processes`)
  }
  if (typeof schema !== 'string' || !isIdentifier(schema)) {
    throw failure('ProfileInvalid', `${where}: schema must be a name of lower-case letters, digits and _`)
  }
  const file = realFile(path.resolve(projectDir, expandHome(given)))
  const stem = path.parse(file).name
  const databaseName = typeof database === 'string' && database !== '' ? database : stem
  if (DUCKDBS_OWN.has(databaseName)) {
    throw failure(
      'ProfileInvalid',
      `${where}: DuckDB keeps the name '${databaseName}' for itself; name the file otherwise`,
    )
  }
  return {
    kind: 'duckdb',
    label: file,
    schema: identifier(schema),
    identity: `duckdb:${file}`,
    concurrency: 1,
    file,
    database: databaseName,
  }
}

/** As DuckDB itself reads a path. */
function expandHome(given: string): string {
  return given === '~' || given.startsWith('~/') ? path.join(homedir(), given.slice(1)) : given
}

/** One name for one file, however links lead there: two names would be opened twice, and rows lost. */
function realFile(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    const folder = path.dirname(file)
    return folder === file ? file : path.join(realFile(folder), path.basename(file))
  }
}
