// BigQuery's REST interface as a script: what the emulator cannot do (refusals, lost answers, slow jobs) comes in the order a test says.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openApi, type Api, type ApiSettings } from '../../src/platform/bigquery/api.ts'
import type { RetryRules } from '../../src/platform/bigquery/retry.ts'

export interface FakeRequest {
  /** `POST /jobs`: below the project; uploads are `POST /upload/jobs`, sessions `PUT /session`. */
  readonly route: string
  readonly query: Readonly<Record<string, string | readonly string[]>>
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown
}

export interface FakeAnswer {
  /** 200 where left out. */
  readonly status?: number
  readonly json?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** The request was read, and may have been carried out, but its answer is lost: the connection is cut. */
  readonly cut?: true
  /** Comes after that. */
  readonly delayMs?: number
}

export type FakeStep = FakeAnswer | ((request: FakeRequest) => FakeAnswer)

export interface BigQueryFake {
  readonly endpoint: string
  /** All of them, in the order they came. */
  readonly requests: readonly FakeRequest[]
  /** Answers to a route, one after the other; the last one stands for all that follow. */
  on(route: string, ...steps: readonly FakeStep[]): void
  /** Requests of a route. */
  of(route: string): readonly FakeRequest[]
  stop(): Promise<void>
}

export const PROJECT = 'fake-project'

/** A server on loopback. A request that no step is left for is answered with 501, which nothing tries again. */
export async function startBigQueryFake(): Promise<BigQueryFake> {
  const requests: FakeRequest[] = []
  const script = new Map<string, FakeStep[]>()
  const server = createServer((message, response) => {
    void readRequest(message).then((request) => {
      requests.push(request)
      const steps = script.get(request.route) ?? []
      const step = steps.length > 1 ? steps.shift() : steps[0]
      const answer = typeof step === 'function' ? step(request) : step
      setTimeout(() => send(response, answer ?? unexpected(request)), answer?.delayMs ?? 0)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // a TCP server's address
  return {
    endpoint,
    requests,
    on: (route, ...steps) => void script.set(route, [...steps]),
    of: (route) => requests.filter((request) => request.route === route),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Errors as BigQuery words them. */
export function refusal(status: number, reason: string, message = `the fake says ${reason}`): FakeAnswer {
  return { status, json: { error: { code: status, message, errors: [{ reason, message, domain: 'global' }] } } }
}

/** Fast enough for a test, and as patient as the real rules. */
export const QUICK_RETRIES: RetryRules = { tries: 5, firstDelayMs: 1, longestDelayMs: 5 }

export const TOKEN = 'ya29.a-token-of-the-test'

/** The product's connection to the fake. */
export async function openFake(fake: BigQueryFake, change: Partial<ApiSettings> = {}): Promise<Api> {
  return await openApi({
    auth: { credentials: { kind: 'token', token: TOKEN }, impersonate: undefined, scopes: [], quotaProject: undefined },
    project: PROJECT,
    location: 'EU',
    endpoint: fake.endpoint,
    storageEndpoint: fake.endpoint,
    retries: QUICK_RETRIES,
    ...change,
  })
}

async function readRequest(message: IncomingMessage): Promise<FakeRequest> {
  const body = Buffer.concat(await Array.fromAsync<Buffer>(message))
  const { pathname, searchParams } = new URL(message.url ?? '/', 'http://fake')
  const below = pathname
    .replace(/^\/upload\/bigquery\/v2\/projects\/[^/]+/, '/upload')
    .replace(/^\/bigquery\/v2\/projects\/[^/]+/, '')
  const query = Object.fromEntries(
    [...searchParams.keys()].map((name) => {
      const values = searchParams.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
  return { route: `${message.method} ${below}`, query, headers: message.headers, body, json: jsonOf(body) }
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function send(response: ServerResponse, { status = 200, json, headers = {}, cut }: FakeAnswer): void {
  if (cut === true) {
    response.socket?.destroy()
    return
  }
  response.writeHead(status, { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers })
  response.end(json === undefined ? '' : JSON.stringify(json))
}

function unexpected({ route }: FakeRequest): FakeAnswer {
  return refusal(501, 'notImplemented', `the fake has no answer for ${route}`)
}
