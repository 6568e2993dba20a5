// Credentials → a client of google-auth-library that signs requests. Nothing is asked of the network before it is needed.
import { readFile } from 'node:fs/promises'
import type { AuthClient } from 'google-auth-library'
import { BigQueryError } from './error.ts'

/** Who asks. Holds secrets: never shown, never kept. */
export interface BigQueryAuth {
  readonly credentials: BigQueryCredentials
  /** A service account to act as. */
  readonly impersonate: string | undefined
  readonly scopes: readonly string[]
  /** Pays for quota, where it is not the project that the work runs in. */
  readonly quotaProject: string | undefined
}

export type BigQueryCredentials =
  /** What `gcloud auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS or the machine itself gives. */
  | { readonly kind: 'application default' }
  | { readonly kind: 'key file'; readonly path: string }
  | { readonly kind: 'key'; readonly key: ServiceAccountKey }
  | { readonly kind: 'token'; readonly token: string }
  | {
      readonly kind: 'refresh token'
      readonly refreshToken: string
      readonly clientId: string
      readonly clientSecret: string
      readonly tokenUri: string | undefined
    }

export interface ServiceAccountKey {
  readonly client_email: string
  readonly private_key: string
  readonly private_key_id?: string
}

/** Loaded when it is first needed: 50 ms that only those pay who use BigQuery. */
const library = () => import('google-auth-library')

/** Fails with reason `unauthenticated` where there are no such credentials. */
export async function authClient(auth: BigQueryAuth): Promise<AuthClient> {
  const own = await ownClient(auth)
  const { Impersonated } = await library()
  const client =
    auth.impersonate === undefined
      ? own
      : new Impersonated({
          sourceClient: own,
          targetPrincipal: auth.impersonate,
          targetScopes: [...auth.scopes],
          lifetime: 3600,
          delegates: [],
        })
  if (auth.quotaProject !== undefined) client.quotaProjectId = auth.quotaProject
  return client
}

async function ownClient({ credentials, scopes }: BigQueryAuth): Promise<AuthClient> {
  const { JWT, OAuth2Client } = await library()
  const keyClient = ({ client_email: email, private_key: key, private_key_id: keyId }: ServiceAccountKey) =>
    new JWT({ email, key, scopes: [...scopes], ...(keyId === undefined ? {} : { keyId }) })
  switch (credentials.kind) {
    case 'application default':
      return await applicationDefault(scopes)
    case 'key file':
      return keyClient(await readKey(credentials.path))
    case 'key':
      return keyClient(credentials.key)
    case 'token': {
      const client = new OAuth2Client()
      client.setCredentials({ access_token: credentials.token })
      return client
    }
    case 'refresh token': {
      const { clientId, clientSecret, refreshToken, tokenUri } = credentials
      const client = new OAuth2Client({
        clientId,
        clientSecret,
        ...(tokenUri === undefined ? {} : { endpoints: { oauth2TokenUrl: tokenUri } }),
      })
      client.setCredentials({ refresh_token: refreshToken })
      return client
    }
  }
}

async function applicationDefault(scopes: readonly string[]): Promise<AuthClient> {
  const { GoogleAuth } = await library()
  try {
    return await new GoogleAuth({ scopes: [...scopes] }).getClient()
  } catch (error) {
    throw new BigQueryError(
      { reason: 'unauthenticated' },
      `there are no application default credentials (${error instanceof Error ? error.message : String(error)})`,
    )
  }
}

async function readKey(file: string): Promise<ServiceAccountKey> {
  let key: unknown
  try {
    key = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    // The parser's message would quote the file.
    const why =
      error instanceof SyntaxError
        ? 'is no JSON'
        : `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'})`
    throw new BigQueryError({ reason: 'unauthenticated' }, `the key file ${file} ${why}`)
  }
  if (isServiceAccountKey(key)) return key
  throw new BigQueryError(
    { reason: 'unauthenticated' },
    `${file} is no service account's key: it has no client_email and private_key`,
  )
}

export function isServiceAccountKey(key: unknown): key is ServiceAccountKey {
  if (key === null || typeof key !== 'object') return false
  return (
    'client_email' in key &&
    typeof key.client_email === 'string' &&
    'private_key' in key &&
    typeof key.private_key === 'string'
  )
}
