// The connection settings of a dbt-postgres target, with the meaning that dbt and libpq give them.
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { identifier, isIdentifier, type Identifier } from '../../pipeline/identifier.ts'
import { didYouMean } from '../../pipeline/near-match.ts'
import type { ProfileTarget } from '../../dbt/profile.ts'

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

export interface PostgresSettings {
  /** A folder with a socket where it begins with `/`. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly schema: Identifier
  readonly sslmode: SslMode
  /** Absolute paths; undefined where the profile names none. */
  readonly sslcert: string | undefined
  readonly sslkey: string | undefined
  readonly sslrootcert: string | undefined
  readonly searchPath: string | undefined
  readonly role: string | undefined
  /** 0: no limit. */
  readonly connectTimeoutMs: number
  /** 0: as the system does it. */
  readonly keepalivesIdleMs: number
}

/** Ours takes their place, or they are about dbt's own way of working. */
const DBTS_OWN = ['type', 'threads', 'retries', 'autocommit', 'application_name', 'target']
const ALIASES = { pass: 'password', dbname: 'database' } as const
const CONNECTION = [
  'host',
  'port',
  'user',
  'password',
  'database',
  'schema',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
]
const SESSION = ['search_path', 'role', 'connect_timeout', 'keepalives_idle']
const KNOWN = [...CONNECTION, ...SESSION, ...Object.keys(ALIASES), ...DBTS_OWN]
/** What dbt-postgres waits for a connection. */
const CONNECT_TIMEOUT_S = 10
const POSTGRES_PORT = 5432

/** Fails with ProfileInvalid, naming all that is wrong at once and no value of a secret. */
export function postgresSettings(target: ProfileTarget): PostgresSettings {
  const { given, problems } = withoutAliases(target.settings)

  const text = (name: string): string | undefined => {
    const value = given[name]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value === 'string') return value
    // A user or database of digits is a number in YAML.
    if (typeof value === 'number' || typeof value === 'bigint') return String(value)
    problems.push(`${name} must be a text`)
    return undefined
  }
  const required = (name: string): string => {
    const value = text(name)
    if (value === undefined && !problems.includes(`${name} must be a text`)) problems.push(`${name} is missing`)
    return value ?? ''
  }
  const whole = (name: string, fallback: number, most: number): number => {
    const value = given[name]
    if (value === undefined || value === null || value === '') return fallback
    const number = typeof value === 'string' ? Number(value.trim() || Number.NaN) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= most) return number
    problems.push(`${name} must be a whole number from 0 to ${most}`)
    return fallback
  }
  const file = (name: string): string | undefined => {
    const value = text(name)
    return value === undefined ? undefined : path.resolve(target.profilesDir, value)
  }

  const host = required('host')
  if (host.includes(',')) problems.push('host must be one host: a list of them is not supported')
  const schema = required('schema')
  if (schema !== '' && !isIdentifier(schema)) {
    problems.push('schema must be a name of lower-case letters, digits and _')
  }
  const sslmode = SSL_MODES.find((mode) => mode === (text('sslmode') ?? 'prefer'))
  if (sslmode === undefined) problems.push(`sslmode must be one of ${SSL_MODES.join(', ')}`)
  const settings: Omit<PostgresSettings, 'schema' | 'sslmode'> = {
    host,
    port: whole('port', POSTGRES_PORT, 65_535),
    user: required('user'),
    password: required('password'),
    database: required('database'),
    sslcert: file('sslcert'),
    sslkey: file('sslkey'),
    // libpq's word for the authorities that the system trusts.
    sslrootcert: given['sslrootcert'] === 'system' ? 'system' : file('sslrootcert'),
    searchPath: text('search_path'),
    role: text('role'),
    connectTimeoutMs: 1000 * whole('connect_timeout', CONNECT_TIMEOUT_S, 3_600),
    keepalivesIdleMs: 1000 * whole('keepalives_idle', 0, 86_400),
  }
  if (problems.length > 0 || sslmode === undefined) throw invalid(target, problems)
  return { ...settings, schema: identifier(schema), sslmode }
}

/** `profiles.yml, target 'prod'`, as a person in the current folder would write it. */
export function profileText({ profilesDir, target }: Pick<ProfileTarget, 'profilesDir' | 'target'>): string {
  return `${path.relative(process.cwd(), path.join(profilesDir, 'profiles.yml'))}, target '${target}'`
}

function invalid(target: ProfileTarget, problems: readonly string[]) {
  const where = profileText(target)
  if (problems.length === 1) return failure('ProfileInvalid', `${where}: ${problems[0]}`)
  return failure('ProfileInvalid', `${where}:\n${problems.map((problem) => `- ${problem}`).join('\n')}`)
}

function withoutAliases(settings: Readonly<Record<string, unknown>>): {
  readonly given: Readonly<Record<string, unknown>>
  readonly problems: string[]
} {
  const problems = Object.keys(settings)
    .filter((name) => !KNOWN.includes(name))
    .map((name) => `${name} is not supported${didYouMean(name, KNOWN)}`)
  const given: Record<string, unknown> = { ...settings }
  for (const [alias, name] of Object.entries(ALIASES)) {
    if (settings[alias] === undefined) continue
    if (settings[name] !== undefined) problems.push(`${alias} and ${name} mean the same; leave one of them out`)
    given[name] = settings[alias]
  }
  return { given, problems }
}
