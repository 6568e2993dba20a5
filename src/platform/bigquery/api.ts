// BigQuery's REST API: authenticated calls, every one of them tried again where that is safe and can help.
import type { BigQuery } from '@google-cloud/bigquery'
import type { AuthClient } from 'google-auth-library'
import { retryAfterMs } from '../http.ts'
import { authClient, type BigQueryAuth } from './auth.ts'
import { BigQueryError, isTransientCall } from './error.ts'
import { RETRY_RULES, untilAborted, withRetries, type RetryRules } from './retry.ts'

export interface ApiSettings {
  readonly auth: BigQueryAuth
  /** Jobs run in it and are paid by it. */
  readonly project: string
  /** Where jobs run: the location of the datasets they touch. Undefined: BigQuery finds it out by itself. */
  readonly location: string | undefined
  /** Google's own where left out. */
  readonly endpoint: string | undefined
  readonly storageEndpoint?: string | undefined
  readonly jobs?: JobDefaults
  readonly retries?: RetryRules
  /** Once aborted, no call begins any more but those that put things in order; running jobs are cancelled. */
  readonly abort?: AbortSignal | undefined
}

/** What every job of ours carries. */
export interface JobDefaults {
  /** Keys and values of at most 63 lower-case letters, digits, `_` and `-`. */
  readonly labels?: Readonly<Record<string, string>>
  readonly maximumBytesBilled?: string | undefined
  readonly priority?: 'INTERACTIVE' | 'BATCH' | undefined
  readonly reservation?: string | undefined
  /** BigQuery ends a job that takes longer. */
  readonly timeoutMs?: number | undefined
}

export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Below the project: `/jobs/x`. */
  readonly path: string
  /** Another project than the one that jobs run in. */
  readonly project?: string
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[]>>
  readonly body?: unknown
  /** Puts things in order: is made even after the abort. */
  readonly always?: boolean
}

export interface Api {
  readonly project: string
  readonly location: string | undefined
  readonly endpoint: string
  readonly storageEndpoint: string
  readonly jobs: JobDefaults
  readonly retries: RetryRules
  readonly abort: AbortSignal | undefined
  readonly auth: AuthClient
  /** What statements were billed so far. */
  readonly meter: { bytesBilled: number }
  /** The answer's body. Throws BigQueryError once tries are used up or cannot help. */
  call<T>(call: ApiCall): Promise<T>
}

const GOOGLES_ENDPOINT = 'https://bigquery.googleapis.com'
const GOOGLES_STORAGE = 'https://storage.googleapis.com'
/** Of what puts things in order: whoever cancelled the work waits for it. */
const TRIES_AT_THE_END = 3
/** Longer than any answer that is waited for on the server's side (query.ts). */
const CALL_TIMEOUT_MS = 90_000

export async function openApi(settings: ApiSettings): Promise<Api> {
  const { project, location, abort, retries = RETRY_RULES } = settings
  const auth = await authClient(settings.auth)
  const endpoint = withoutSlash(settings.endpoint ?? GOOGLES_ENDPOINT)
  // Here and not above: 150 ms that only those pay who use BigQuery.
  const { BigQuery } = await import('@google-cloud/bigquery')
  // The library's own retries know neither a rate limit that comes as 403 nor an abort: ours take their place.
  const client = new BigQuery({ projectId: project, authClient: auth, apiEndpoint: endpoint, autoRetry: false })
  client.timeout = CALL_TIMEOUT_MS
  // Else BIGQUERY_EMULATOR_HOST would have its way, whatever the profile says.
  client.baseUrl = `${endpoint}/bigquery/v2`
  return {
    project,
    location,
    endpoint,
    storageEndpoint: withoutSlash(settings.storageEndpoint ?? GOOGLES_STORAGE),
    jobs: settings.jobs ?? {},
    retries,
    abort,
    auth,
    meter: { bytesBilled: 0 },
    async call<T>(call: ApiCall) {
      const signal = call.always === true ? undefined : abort
      const rules = call.always === true ? { ...retries, tries: Math.min(retries.tries, TRIES_AT_THE_END) } : retries
      return await withRetries(rules, signal, isTransientCall, () =>
        untilAborted(callOnce<T>(client, auth, call), signal),
      )
    },
  }
}

async function callOnce<T>(client: BigQuery, auth: AuthClient, call: ApiCall): Promise<T> {
  await authorize(() => auth.getRequestHeaders())
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  client.request(
    {
      method: call.method,
      uri: call.path,
      ...(call.project === undefined ? {} : { projectId: call.project }),
      ...(call.query === undefined ? {} : { qs: call.query }),
      // As a text: in `json` the library would put the project's id wherever a value says {{projectId}}.
      ...(call.body === undefined
        ? {}
        : { body: JSON.stringify(call.body), headers: { 'content-type': 'application/json' } }),
    },
    (error, body) => (error === null || error === undefined ? resolve(body as T) : reject(castError(error))), // the API's contract
  )
  return await promise
}

const NETWORK_ERRORS =
  /^(ECONN(REFUSED|RESET|ABORTED)|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|UND_.*)$/

/** Gets what signs a request; its failure is one of credentials, unless the network kept them away. */
export async function authorize<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const { status, code } = error as { status?: number; code?: unknown } // a GaxiosError, or none
    const noAnswer = status === undefined && typeof code === 'string' && NETWORK_ERRORS.test(code)
    if (noAnswer || (status !== undefined && status >= 500)) {
      throw new BigQueryError({ reason: 'unreachable', status }, `no access token came: ${text}`)
    }
    throw new BigQueryError({ reason: 'unauthenticated', status }, `no access token came: ${text}`)
  }
}

interface LibraryError {
  readonly code?: number | string
  readonly message: string
  readonly errors?: readonly { readonly reason?: string; readonly message?: string }[]
  readonly response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** The library's ApiError has a numeric code; whatever else it hands on met the network and no answer. */
function castError(error: LibraryError): BigQueryError {
  const [first] = error.errors ?? []
  if (typeof error.code !== 'number') {
    return new BigQueryError({ reason: 'unreachable' }, error.message)
  }
  return new BigQueryError(
    {
      reason: first?.reason ?? reasonOf(error.code),
      status: error.code,
      retryAfterMs: retryAfterMs(error.response?.headers?.['retry-after'], Date.now()),
    },
    first?.message ?? error.message,
  )
}

/** For an answer that is no JSON: a gateway's page. */
export function reasonOf(status: number): string {
  const known: Readonly<Record<number, string>> = {
    401: 'authError',
    403: 'accessDenied',
    404: 'notFound',
    409: 'duplicate',
    429: 'rateLimitExceeded',
  }
  return known[status] ?? (status >= 500 ? 'backendError' : 'invalid')
}

function withoutSlash(endpoint: string): string {
  return endpoint.replace(/\/+$/, '')
}
