// A fake of Météo-France's observations API on loopback: its paths, its key, its errors, and faults on demand.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { COLUMNS, hourlyCsv, stationsCsv } from './observations.ts'

/** What the next request gets instead of its answer. */
export type Fault =
  | { readonly kind: 'throttle'; readonly retryAfter?: string; readonly status?: number }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  | { readonly kind: 'html' | 'header only' | 'truncated' | 'reset' | 'bom' | 'empty' | 'hang' | 'gzip' }
  | { readonly kind: 'redirect'; readonly to: string }

export interface LoggedRequest {
  readonly path: string
  readonly department: string | null
  readonly status: number
  /** What was sent, where it was an answer. */
  readonly body: string
}

export interface FakeApi {
  /** Up to the version: what METEOFRANCE_URL is set to. */
  readonly url: string
  readonly requests: LoggedRequest[]
  /** Taken one per request, first in first out. */
  readonly faults: Fault[]
  close(): Promise<void>
}

const NO_KEY = {
  code: '900902',
  message: 'Missing Credentials',
  description: 'Invalid Credentials. Make sure your API invocation call has a header: "apikey"',
}
const WRONG_KEY = {
  code: '900901',
  message: 'Invalid Credentials',
  description: 'Invalid JWT token. Make sure you have provided the correct security credentials.',
}
const THROTTLED = { code: '900802', message: 'Message throttled out', description: 'You have exceeded your quota' }

export async function startFakeApi(settings: {
  readonly key: string
  readonly now: () => number
  readonly port?: number
}): Promise<FakeApi> {
  const requests: LoggedRequest[] = []
  const faults: Fault[] = []
  const server = createServer((request, response) => answer(request, response))
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen(settings.port ?? 0, '127.0.0.1', listening.resolve)
  await listening.promise
  const { port } = server.address() as AddressInfo // it listens on TCP

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake')
    const department = searchParams.get('id-departement')
    const send = (status: number, body: string, headers: Record<string, string> = {}, sent: string | Buffer = body) => {
      requests.push({ path: pathname, department, status, body })
      response.writeHead(status, headers).end(sent)
    }
    const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      send(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers })
    const [, version, path] = /^\/public\/DPPaquetObs\/(v1|v2)\/(.+)$/.exec(pathname) ?? []
    const given = request.headers['apikey']
    if (given !== settings.key) return json(401, given === undefined ? NO_KEY : WRONG_KEY)
    if (version !== 'v1' && version !== 'v2') return json(404, { code: '404', message: 'Not Found' })
    const csv = { 'content-type': 'text/csv;charset=UTF-8' }
    if (path === 'liste-stations') return send(200, stationsCsv(), csv)
    if (path !== 'paquet/horaire') return json(404, { code: '404', message: 'Not Found' })
    if (department === null) return json(400, { message: 'Identifiant département manquant' })
    const body = hourlyCsv(version, department, settings.now())
    const fault = faults.shift()
    switch (fault?.kind) {
      case undefined:
        return send(200, body, csv)
      case 'throttle':
        return json(
          fault.status ?? 429,
          THROTTLED,
          fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter },
        )
      case 'status':
        return send(fault.status, fault.body ?? '')
      case 'html':
        return send(200, '<html><body>Gateway maintenance</body></html>', { 'content-type': 'text/html' })
      case 'header only':
        return send(200, `${COLUMNS[version]}\n`, csv)
      case 'empty':
        return send(200, '', csv)
      case 'bom':
        return send(200, `\uFEFF${body}`, csv)
      case 'gzip':
        return send(200, body, { ...csv, 'content-encoding': 'gzip' }, gzipSync(body))
      case 'truncated':
        requests.push({ path: pathname, department, status: 200, body: '' })
        response.writeHead(200, { ...csv, 'content-length': String(Buffer.byteLength(body)) })
        response.write(body.slice(0, 500), () => response.destroy())
        return undefined
      case 'hang':
        requests.push({ path: pathname, department, status: 200, body: '' })
        response.writeHead(200, csv)
        response.write(body.slice(0, 500))
        return undefined
      case 'reset':
        requests.push({ path: pathname, department, status: 0, body: '' })
        request.socket.destroy()
        return undefined
      case 'redirect':
        return send(302, '', { location: fault.to })
    }
  }

  return {
    url: `http://127.0.0.1:${port}/public/DPPaquetObs/v1`,
    requests,
    faults,
    async close() {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}
