// A bigquery target of a profile: what it means, and everything that is wrong with it at once.
import { describe, expect, test } from 'vitest'
import { describeFailure } from '../../pipeline/failure.ts'
import { bigqueryAddress } from './address.ts'
import { bigquerySettings } from './settings.ts'

const KEY = { client_email: 'loader@p.iam.gserviceaccount.com', private_key: String.raw`-----BEGIN\nSECRET\n` }

function target(settings: Readonly<Record<string, unknown>>) {
  const profilesDir = `${process.cwd()}/dbt`
  return { profile: 'p', target: 'prod', type: 'bigquery', profilesDir, secrets: [], settings }
}

const OAUTH = { type: 'bigquery', method: 'oauth', project: 'my-project', dataset: 'analytics', threads: 4 }

function problem(settings: Readonly<Record<string, unknown>>): string {
  try {
    bigquerySettings(target(settings))
    return 'nothing is wrong'
  } catch (error) {
    const { type, message } = describeFailure(error)
    return `${type}: ${message}`
  }
}

test('a target with the least that it needs', () => {
  expect(bigquerySettings(target(OAUTH))).toMatchObject({
    method: 'oauth',
    auth: { credentials: { kind: 'application default' }, impersonate: undefined },
    project: 'my-project',
    dataset: 'analytics',
    executionProject: 'my-project',
    location: undefined,
    maximumBytesBilled: undefined,
  })
})

test('everything else that decides how jobs run', () => {
  const more = {
    location: 'EU',
    execution_project: 'payer',
    quota_project: 'quota',
    maximum_bytes_billed: 1_000_000_000,
    priority: 'batch',
    reservation: 'projects/a/locations/EU/reservations/b',
    job_execution_timeout_seconds: '300',
    impersonate_service_account: 'dbt@p.iam.gserviceaccount.com',
    scopes: ['https://www.googleapis.com/auth/bigquery'],
    api_endpoint: 'http://127.0.0.1:9050',
  }
  expect(bigquerySettings(target({ ...OAUTH, ...more }))).toMatchObject({
    executionProject: 'payer',
    location: 'EU',
    maximumBytesBilled: '1000000000',
    priority: 'BATCH',
    reservation: 'projects/a/locations/EU/reservations/b',
    timeoutMs: 300_000,
    apiEndpoint: 'http://127.0.0.1:9050',
    auth: {
      impersonate: 'dbt@p.iam.gserviceaccount.com',
      scopes: ['https://www.googleapis.com/auth/bigquery'],
      quotaProject: 'quota',
    },
  })
})

test('the older names of dbt mean the same', () => {
  const { project: _project, dataset: _dataset, ...rest } = OAUTH
  const older = { ...rest, database: 'my-project', schema: 'analytics', timeout_seconds: 60 }
  expect(bigquerySettings(target(older))).toMatchObject({
    project: 'my-project',
    dataset: 'analytics',
    timeoutMs: 60_000,
  })
})

const methods: readonly (readonly [name: string, settings: object, credentials: object])[] = [
  [
    'a key file',
    { method: 'service-account', keyfile: '/secrets/key.json' },
    { kind: 'key file', path: '/secrets/key.json' },
  ],
  [
    'a key',
    { method: 'service-account-json', keyfile_json: KEY },
    { kind: 'key', key: { client_email: KEY.client_email, private_key: '-----BEGIN\nSECRET\n' } },
  ],
  [
    'a key in Base64',
    { method: 'service-account-json', keyfile_json: Buffer.from(JSON.stringify(KEY)).toString('base64') },
    { kind: 'key', key: { client_email: KEY.client_email, private_key: '-----BEGIN\nSECRET\n' } },
  ],
  ['a token', { method: 'oauth-secrets', token: 'ya29.x' }, { kind: 'token', token: 'ya29.x' }],
  [
    'a refresh token',
    {
      method: 'oauth-secrets',
      token: 'old',
      refresh_token: 'r',
      client_id: 'c',
      client_secret: 's',
      token_uri: 'https://oauth2.googleapis.com/token',
    },
    {
      kind: 'refresh token',
      refreshToken: 'r',
      clientId: 'c',
      clientSecret: 's',
      tokenUri: 'https://oauth2.googleapis.com/token',
    },
  ],
]
test.each(methods)('a login by %s', (_name, settings, credentials) => {
  expect(bigquerySettings(target({ ...OAUTH, ...settings })).auth.credentials).toEqual(credentials)
})

describe('a target that cannot be used', () => {
  test('is told all that is wrong, with its file and name', () => {
    const wrong = {
      method: 'service-acount',
      dataset: 'My Data',
      priority: 'fast',
      maximum_bytes_billed: -1,
      api_endpoint: '127.0.0.1',
    }
    const text = problem(wrong)

    expect(text).toMatch(/^ProfileInvalid: dbt\/profiles\.yml, target 'prod': /)
    for (const part of [
      "method 'service-acount' is not known (did you mean 'service-account'?)",
      'project is missing',
      'dataset must be a name',
      "priority 'fast'",
      'maximum_bytes_billed must be a positive whole number',
      'api_endpoint must begin with http:// or https://',
    ]) {
      expect(text).toContain(part)
    }
  })

  test.each([
    [{ method: 'service-account' }, 'keyfile must be the whole path'],
    [{ method: 'service-account', keyfile: 'key.json' }, 'keyfile must be the whole path'],
    [{ method: 'service-account-json', keyfile_json: { private_key: 'SECRET' } }, 'keyfile_json must be'],
    [{ method: 'service-account-json', keyfile_json: 'SECRET' }, 'keyfile_json must be'],
    [{ method: 'oauth-secrets', refresh_token: 'SECRET' }, 'method oauth-secrets needs token, or refresh_token with'],
    [{ method: 'external-oauth-wif' }, 'GOOGLE_APPLICATION_CREDENTIALS'],
    [{ token_endpoint: { type: 'entra' } }, 'token_endpoint is not supported'],
    [{ scopes: 'SECRET' }, 'scopes must be a list'],
    [{ project: 'https://x' }, 'is not a project id'],
  ])('%o', (settings, expected) => {
    const text = problem({ ...OAUTH, ...settings })
    expect(text).toContain(expected)
    expect(text).not.toContain('SECRET')
  })
})

test('the address names the dataset, and which BigQuery it is in', () => {
  expect(bigqueryAddress(target({ ...OAUTH, location: 'EU' }))).toEqual({
    kind: 'bigquery',
    label: 'my-project.analytics (EU)',
    schema: 'analytics',
    identity: 'bigquery:my-project.analytics',
    concurrency: 8,
  })
  const elsewhere = bigqueryAddress(target({ ...OAUTH, api_endpoint: 'http://127.0.0.1:9050' }))
  expect(elsewhere).toMatchObject({
    label: 'my-project.analytics',
    identity: 'bigquery:my-project.analytics@http://127.0.0.1:9050',
  })
})
