// A bigquery target of the dbt profile → typed settings, read as dbt-bigquery reads them. Everything wrong is told at once.
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { identifier, isIdentifier, type Identifier } from '../../pipeline/identifier.ts'
import { didYouMean } from '../../pipeline/near-match.ts'
import type { ProfileTarget } from '../../dbt/profile.ts'
import { isServiceAccountKey, type BigQueryAuth, type BigQueryCredentials } from '../../platform/bigquery/auth.ts'

export interface BigquerySettings {
  /** Where in which file it stands: for messages. */
  readonly where: string
  readonly method: Method
  readonly auth: BigQueryAuth
  /** Of the data. */
  readonly project: string
  readonly dataset: Identifier
  /** Runs the jobs and pays for them. */
  readonly executionProject: string
  readonly location: string | undefined
  readonly maximumBytesBilled: string | undefined
  readonly priority: 'INTERACTIVE' | 'BATCH' | undefined
  readonly reservation: string | undefined
  readonly timeoutMs: number | undefined
  readonly apiEndpoint: string | undefined
  readonly storageEndpoint: string | undefined
  readonly secrets: readonly string[]
}

const METHODS = ['oauth', 'service-account', 'service-account-json', 'oauth-secrets'] as const
export type Method = (typeof METHODS)[number]

/** What the loader and dbt need; dbt's own list has Google Drive and the e-mail address, too. */
const DEFAULT_SCOPES = ['https://www.googleapis.com/auth/bigquery', 'https://www.googleapis.com/auth/cloud-platform']

/** Settings that only concern a login by workload identity federation, which the method `oauth` does as well. */
const FEDERATION = ['workload_pool_provider_path', 'service_account_impersonation_url', 'token_endpoint']

/** Fails with ProfileInvalid, naming the file, the target and each problem; never a value that may be secret. */
export function bigquerySettings(target: ProfileTarget): BigquerySettings {
  const { settings } = target
  const where = `${path.relative(process.cwd(), path.join(target.profilesDir, 'profiles.yml'))}, target '${target.target}'`
  const read = new Reader(settings)
  const method = methodOf(read)
  const project = read.text('project', 'database')
  if (project === undefined)
    read.problem('project is missing; say in which project the data are: `project: my-project`')
  else if (!/^[a-z][a-z0-9.:-]{1,62}$/.test(project)) read.problem(`project '${project}' is not a project id`)
  const dataset = read.text('dataset', 'schema')
  if (dataset === undefined || !isIdentifier(dataset)) {
    read.problem('dataset must be a name of lower-case letters, digits and _')
  }
  const credentials = credentialsOf(read, method)
  const parsed = {
    where,
    auth: {
      credentials,
      impersonate: read.text('impersonate_service_account'),
      scopes: read.texts('scopes') ?? DEFAULT_SCOPES,
      quotaProject: read.text('quota_project'),
    },
    executionProject: read.text('execution_project') ?? project ?? '',
    location: read.text('location'),
    maximumBytesBilled: read.wholeNumber('maximum_bytes_billed')?.toString(),
    priority: priorityOf(read),
    reservation: read.text('reservation'),
    timeoutMs: timeoutOf(read),
    apiEndpoint: read.address('api_endpoint'),
    storageEndpoint: read.address('storage_endpoint'),
    secrets: target.secrets,
  }
  for (const name of FEDERATION) {
    if (settings[name] !== undefined && method !== undefined) read.problem(`${name} is not supported; ${BY_FEDERATION}`)
  }
  if (read.problems.length > 0 || method === undefined || credentials === undefined || project === undefined) {
    throw failure('ProfileInvalid', `${where}: ${read.problems.join('; ')}`)
  }
  return { ...parsed, auth: { ...parsed.auth, credentials }, method, project, dataset: identifier(dataset ?? '') }
}

const BY_FEDERATION =
  'for workload identity federation set GOOGLE_APPLICATION_CREDENTIALS to the file of `gcloud iam workload-identity-pools ' +
  'create-cred-config` and say `method: oauth`'

function methodOf(read: Reader): Method | undefined {
  const given = read.text('method')
  const method = METHODS.find((known) => known === given)
  if (method !== undefined) return method
  if (given === 'external-oauth-wif') read.problem(`method external-oauth-wif is not supported; ${BY_FEDERATION}`)
  else if (given === undefined) read.problem(`method is missing; it is one of ${METHODS.join(', ')}`)
  else read.problem(`method '${given}' is not known${didYouMean(given, METHODS)}; it is one of ${METHODS.join(', ')}`)
  return undefined
}

function credentialsOf(read: Reader, method: Method | undefined): BigQueryCredentials | undefined {
  switch (method) {
    case undefined:
      return undefined
    case 'oauth':
      return { kind: 'application default' }
    case 'service-account': {
      const file = read.text('keyfile')
      if (file !== undefined && path.isAbsolute(file)) return { kind: 'key file', path: file }
      read.problem("keyfile must be the whole path of a service account's key, `keyfile: /…/key.json`")
      return undefined
    }
    case 'service-account-json': {
      const key = keyOf(read.settings['keyfile_json'])
      if (key !== undefined) return { kind: 'key', key }
      read.problem("keyfile_json must be a service account's key with client_email and private_key, or that in Base64")
      return undefined
    }
    case 'oauth-secrets':
      return secretsOf(read)
  }
}

function secretsOf(read: Reader): BigQueryCredentials | undefined {
  const [token, refreshToken] = [read.text('token'), read.text('refresh_token')]
  const [clientId, clientSecret] = [read.text('client_id'), read.text('client_secret')]
  if (refreshToken !== undefined && clientId !== undefined && clientSecret !== undefined) {
    return { kind: 'refresh token', refreshToken, clientId, clientSecret, tokenUri: read.address('token_uri') }
  }
  if (refreshToken === undefined && token !== undefined) return { kind: 'token', token }
  read.problem('method oauth-secrets needs token, or refresh_token with client_id and client_secret')
  return undefined
}

/** As dbt takes it: a mapping, or its JSON in Base64; line ends of the key may be written as `\n`. */
function keyOf(given: unknown) {
  let key = given
  if (typeof given === 'string') {
    const text = given.trimStart().startsWith('{') ? given : Buffer.from(given, 'base64').toString('utf8')
    try {
      key = JSON.parse(text)
    } catch {
      return undefined
    }
  }
  return isServiceAccountKey(key)
    ? { ...key, private_key: key.private_key.replaceAll(String.raw`\n`, '\n') }
    : undefined
}

function priorityOf(read: Reader): BigquerySettings['priority'] {
  const given = read.text('priority')
  if (given === undefined) return undefined
  if (given === 'interactive' || given === 'batch') return given === 'batch' ? 'BATCH' : 'INTERACTIVE'
  read.problem(`priority '${given}' is neither interactive nor batch`)
  return undefined
}

function timeoutOf(read: Reader): number | undefined {
  const seconds = read.wholeNumber('job_execution_timeout_seconds') ?? read.wholeNumber('timeout_seconds')
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

/** Values of a target as they are wanted; collects what is wrong with them. */
class Reader {
  readonly problems: string[] = []
  readonly settings: Readonly<Record<string, unknown>>

  constructor(settings: Readonly<Record<string, unknown>>) {
    this.settings = settings
  }

  problem(text: string): void {
    this.problems.push(text)
  }

  /** The first of the names that has a value. */
  text(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.settings[name]
      if (value === undefined || value === null || value === '') continue
      if (typeof value === 'string') return value
      if (typeof value === 'number') return String(value)
      this.problem(`${name} must be a text`)
    }
    return undefined
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.settings[name]
    if (value === undefined || value === null) return undefined
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
    this.problem(`${name} must be a list of texts`)
    return undefined
  }

  /** A number, or a text that is one: what env_var gives. */
  wholeNumber(name: string): bigint | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    if (/^[1-9]\d{0,17}$/.test(value)) return BigInt(value)
    this.problem(`${name} must be a positive whole number`)
    return undefined
  }

  address(name: string): string | undefined {
    const value = this.text(name)
    if (value === undefined || /^https?:\/\/[^/\s@]+/.test(value)) return value
    this.problem(`${name} must begin with http:// or https://`)
    return undefined
  }
}
