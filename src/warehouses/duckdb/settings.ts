// A duckdb target's settings that concern Millrace, read as dbt-duckdb reads them; the others are dbt's own business.
import { realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import type { ProfileTarget } from '../../dbt/profile.ts'
import { failure } from '../../pipeline/failure.ts'
import { identifier, isIdentifier, type Identifier } from '../../pipeline/identifier.ts'
import { readEngineSettings, wholeNumber } from './engine-settings.ts'

export interface DuckdbSettings {
  /** Absolute, and one name for one file, however links lead there. */
  readonly file: string
  /** What dbt and DuckDB call the file's database. */
  readonly database: string
  readonly schema: Identifier
  /** What the profile sets that our own connection shall have too: name → value, for SET. */
  readonly engineSettings: Readonly<Record<string, string>>
  readonly attached: readonly AttachedFile[]
  readonly unsupportedAttached: readonly UnsupportedDatabase[]
}

/** A local DuckDB file that dbt attaches beside the warehouse. */
export interface AttachedFile {
  readonly alias: string
  /** As DuckdbSettings.file. */
  readonly file: string
  /** Whether dbt too may only read it. Millrace attaches it read-only in any case. */
  readonly readOnly: boolean
}

/** A database that only dbt can attach. It matters when a mart lies there. */
export interface UnsupportedDatabase {
  readonly alias: string
  /** What it is: `a DuckLake`, `a postgres database`. Never its address, which may hold a password. */
  readonly why: string
}

/** Databases that every DuckDB has; `main` it also keeps for itself. */
const DUCKDBS_OWN = ['memory', 'temp', 'system', 'main']

/**
 * dbt is run in the project's folder (dbt/command.ts), so relative paths are relative to that. Fails with
 * ProfileInvalid, naming everything that is wrong.
 */
export function duckdbSettings(target: ProfileTarget, projectDir: string): DuckdbSettings {
  const { path: given, schema = 'main', database, threads, attach, remote } = target.settings
  const problems: string[] = []

  const foreign = typeof given === 'string' ? foreignDatabase(given, target.settings) : undefined
  if (remote !== undefined && remote !== null) {
    problems.push('remote is a server of its own, which Millrace does not load into; give a file in path')
  } else if (typeof given !== 'string' || given === '' || given === ':memory:') {
    problems.push("path must be a file, because a run's steps are separate processes")
  } else if (foreign !== undefined) {
    problems.push(`path is ${foreign}, which Millrace does not load into; give a local file`)
  }
  if (typeof schema !== 'string' || !isIdentifier(schema)) {
    problems.push('schema must be a name of lower-case letters, digits and _')
  }
  if (threads !== undefined && wholeNumber(threads) === undefined)
    problems.push('threads must be a whole number from 1')
  const engineSettings = readEngineSettings(target.settings, problems)

  const file = typeof given === 'string' ? given : ''
  const name = duckdbName(file)
  const { attached, unsupportedAttached } = readAttached(attach, { projectDir, database: name, problems })
  const aliases = [...attached, ...unsupportedAttached].map(({ alias }) => alias)
  if (problems.length === 0) problems.push(...databaseProblems(file, database, aliases))
  if (problems.length > 0 || typeof schema !== 'string') {
    const profiles = path.relative(process.cwd(), path.join(target.profilesDir, 'profiles.yml'))
    const where = `${profiles}, target '${target.target}'`
    throw failure('ProfileInvalid', problems.map((problem) => `${where}: ${problem}`).join('\n'))
  }
  return {
    file: realFile(path.resolve(projectDir, expandHome(file))),
    database: name,
    schema: identifier(schema),
    engineSettings,
    attached,
    unsupportedAttached,
  }
}

/** dbt-duckdb demands what it derives from the path, and DuckDB has its own idea of that. */
function databaseProblems(file: string, database: unknown, aliases: readonly string[]): string[] {
  const name = duckdbName(file)
  const dbts = path.parse(file.replace(/[?#].*$/s, '')).name
  if (DUCKDBS_OWN.includes(dbts)) return [`DuckDB keeps the name '${dbts}' for itself; name the file otherwise`]
  if (name !== dbts) {
    return [`DuckDB calls this file's database '${name}', dbt '${dbts}'; name the file without further dots, ? and #`]
  }
  if (database === undefined || database === name) return []
  return [
    aliases.some((alias) => alias === database)
      ? 'database is one of attach; Millrace loads into the file that path names: give that one there, this one in attach'
      : `database must be '${name}', as dbt-duckdb derives it from path; leave it out`,
  ]
}

function readAttached(
  given: unknown,
  { projectDir, database, problems }: { projectDir: string; database: string; problems: string[] },
): Pick<DuckdbSettings, 'attached' | 'unsupportedAttached'> {
  const attached: AttachedFile[] = []
  const unsupportedAttached: UnsupportedDatabase[] = []
  if (given !== undefined && given !== null && !Array.isArray(given)) problems.push('attach must be a list')
  // dbt attaches "if not exists": the first of a name counts.
  const known = new Set([database.toLowerCase()])
  for (const [index, entry] of (Array.isArray(given) ? (given as unknown[]) : []).entries()) {
    const { path: address, alias: named, ...rest } = isMapping(entry) ? entry : {}
    const isNamed = typeof named === 'string' && named !== ''
    if (typeof address !== 'string' || (named !== undefined && named !== null && !isNamed)) {
      problems.push(`attach[${index}] must have a path, and an alias that is a text if any`)
      continue
    }
    const alias = isNamed ? named : duckdbName(address)
    if (known.has(alias.toLowerCase())) continue
    known.add(alias.toLowerCase())
    const options = isMapping(rest['options']) ? lowerCaseKeys(rest['options']) : {}
    const why = foreignDatabase(address, { ...options, ...rest }, alias)
    if (why !== undefined) {
      unsupportedAttached.push({ alias, why })
      continue
    }
    const file = realFile(path.resolve(projectDir, expandHome(address)))
    attached.push({ alias, file, readOnly: [rest['read_only'], options['read_only']].some(isTrue) })
  }
  return { attached, unsupportedAttached }
}

/** What a database is that is no plain DuckDB file; undefined for one. */
function foreignDatabase(
  address: string,
  { type, is_ducklake: isDucklake, secret, encryption_key: key }: Readonly<Record<string, unknown>>,
  alias?: string,
): string | undefined {
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(address)?.[1]?.toLowerCase()
  const kind = typeof type === 'string' ? type.toLowerCase() : 'duckdb'
  if (isTrue(isDucklake) || scheme === 'ducklake' || kind === 'ducklake') return 'a DuckLake'
  if (scheme === 'md' || scheme === 'motherduck' || kind === 'motherduck') return 'a MotherDuck database'
  if (kind !== 'duckdb') return /^\w+$/.test(kind) ? `a database of type ${kind}` : 'a database of another type'
  if (scheme !== undefined) return `a database at ${scheme}:`
  if (address === '' || address === ':memory:') return 'a database in memory'
  if (secret !== undefined && secret !== null) return 'a database behind a secret'
  if (key !== undefined && key !== null) return 'an encrypted file'
  return alias !== undefined && DUCKDBS_OWN.includes(alias) ? `a database with a name of DuckDB's own` : undefined
}

/** The name that DuckDB gives to the database in a file. */
function duckdbName(file: string): string {
  const name = path.basename(file).split(/[.?]/, 1)[0] ?? ''
  return DUCKDBS_OWN.includes(name) && name !== 'memory' ? `${name}_db` : name
}

function isTrue(value: unknown): boolean {
  return /^(?:true|yes|on|1)$/i.test(String(value))
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function lowerCaseKeys(mapping: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key.toLowerCase(), value]))
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
