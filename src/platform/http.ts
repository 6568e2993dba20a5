// The one owner of outbound HTTP: time and size limits, no way into private networks, redirects within one origin only.
import { lookup } from 'node:dns/promises'
import { createWriteStream } from 'node:fs'
import { request as plainRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { Transform, type Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { firstAbort } from './abort.ts'

export interface HttpRequest {
  readonly method?: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Of everything, from the look-up of the name to the last byte of the body. */
  readonly timeoutMs: number
  /** Of the body, also once it is unpacked. */
  readonly maxBytes: number
  /** Addresses of a private network and plain HTTP may be used, too. */
  readonly privateNetwork?: boolean
  /** Followed within one origin unless they are to be answers like any other. */
  readonly redirects?: 'same origin' | 'none'
  readonly abort?: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

/** unreachable: another try can help. forbidden: this address may not be asked. too large: the body went over its limit. */
export class HttpError extends Error {
  readonly kind: 'unreachable' | 'forbidden' | 'too large'
  /** Of an answer that was too large. */
  readonly status: number | undefined

  constructor(kind: HttpError['kind'], message: string, status?: number) {
    super(message)
    this.kind = kind
    this.status = status
  }
}

const MAX_REDIRECTS = 3

/** The answer with its body as text. Throws HttpError; a status is never an error. */
export async function httpText(request: HttpRequest): Promise<HttpAnswer & { readonly body: string }> {
  const chunks: Buffer[] = []
  const answer = await exchange(request, async (body) => {
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk)
  })
  return { ...answer, body: Buffer.concat(chunks).toString('utf8') }
}

/** The same with the body in a file, which need not be there before. */
export async function httpToFile(request: HttpRequest, file: string): Promise<HttpAnswer> {
  return await exchange(request, async (body, signal) => {
    await pipeline(body, createWriteStream(file, { mode: 0o600 }), { signal })
  })
}

/**
 * GETs a URL and drops the answer: its status, or in a few words why there is none. No redirect is followed; private networks
 * may be asked. Rejects only when the signal aborts.
 */
export async function getStatus(
  request: Pick<HttpRequest, 'url' | 'timeoutMs' | 'maxBytes'> & { readonly abort: AbortSignal },
): Promise<{ readonly status: number } | { readonly problem: string }> {
  try {
    const { status } = await exchange({ ...request, redirects: 'none', privateNetwork: true }, async (body, signal) => {
      await finished(body.resume(), { signal })
    })
    return { status }
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    return error.status === undefined ? { problem: error.message } : { status: error.status }
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3); undefined where the server asks for nothing, or for something else. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000
  const atMs = Date.parse(header)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

type Take = (body: Readable, signal: AbortSignal) => Promise<void>

async function exchange(request: HttpRequest, take: Take): Promise<HttpAnswer> {
  const { abort, timeoutMs } = request
  abort?.throwIfAborted()
  const time = AbortSignal.timeout(timeoutMs)
  const signal = abort === undefined ? time : firstAbort(time, abort)
  try {
    let url = new URL(request.url)
    for (let redirects = 0; ; redirects++) {
      const answer = await send(request, url, signal, take)
      const next = request.redirects === 'none' ? undefined : redirectOf(answer, url)
      if (next === undefined) return answer
      if (next.origin !== url.origin) {
        throw new HttpError(
          'forbidden',
          `${url.host} sends on to ${next.host}; a redirect to another origin is not followed`,
        )
      }
      if (redirects >= MAX_REDIRECTS) throw new HttpError('forbidden', `${url.host} redirects without end`)
      url = next
    }
  } catch (error) {
    abort?.throwIfAborted()
    if (error instanceof HttpError) throw error
    if (time.aborted) throw new HttpError('unreachable', `no answer within ${timeoutMs / 1000} s`)
    const { code, message } = error as NodeJS.ErrnoException // of node's own network, TLS and zlib layers
    throw new HttpError('unreachable', PROBLEMS[code ?? ''] ?? code ?? message)
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused (ECONNREFUSED)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  ENOTFOUND: 'no such host (ENOTFOUND)',
  EAI_AGAIN: 'the name of the host could not be looked up (EAI_AGAIN)',
  ERR_STREAM_PREMATURE_CLOSE: 'the answer broke off',
}

function redirectOf({ status, headers }: HttpAnswer, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined
  return new URL(headers.location, from)
}

async function send(request: HttpRequest, url: URL, signal: AbortSignal, take: Take): Promise<HttpAnswer> {
  const address = await allowedAddress(url, request.privateNetwork === true, signal)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, {
    method: request.method ?? 'GET',
    headers: { 'accept-encoding': 'gzip', ...request.headers },
    // The address that was looked at is the one that is connected to: a second look-up could name another.
    lookup: (_host, options, done) => {
      if (options.all === true) done(null, [address])
      else done(null, address.address, address.family)
    },
    signal,
    agent: false,
  })
  outgoing.on('response', resolve)
  outgoing.on('error', reject)
  outgoing.end(request.body)
  const incoming = await promise
  const answer = { status: incoming.statusCode ?? 0, headers: incoming.headers }
  if (request.redirects !== 'none' && redirectOf(answer, url) !== undefined) {
    incoming.destroy()
    return answer
  }
  const stages: (Readable | Transform)[] = [incoming, limit(request.maxBytes, answer.status)]
  if (incoming.headers['content-encoding'] === 'gzip')
    stages.push(createGunzip(), limit(request.maxBytes, answer.status))
  await pipeline([...stages, async (body: AsyncIterable<Buffer>) => await take(body as Readable, signal)] as never, {
    signal,
  }) // its types know fixed numbers of stages only
  return answer
}

function limit(maxBytes: number, status: number): Transform {
  let bytes = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > maxBytes) done(new HttpError('too large', `the answer is larger than ${maxBytes} bytes`, status))
      else done(null, chunk)
    },
  })
}

interface Address {
  readonly address: string
  readonly family: number
}

/** Where the host is. All of its addresses must be allowed, else none is asked. Throws HttpError. */
async function allowedAddress(url: URL, privateNetwork: boolean, signal: AbortSignal): Promise<Address> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new HttpError('forbidden', `${url.protocol} is not asked, only https:`)
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const family = isIP(host)
  const found = family === 0 ? await untilAborted(lookup(host, { all: true }), signal) : [{ address: host, family }]
  const kinds = found.map(({ address }) => kindOf(address))
  const isLoopback = (host === 'localhost' || family !== 0) && kinds.every((kind) => kind === 'loopback')
  if (!isLoopback) {
    const wrong = kinds.find((kind) => kind !== 'public' && !(kind === 'private' && privateNetwork))
    if (wrong !== undefined) throw new HttpError('forbidden', `${host} is a ${wrong} address, which is not asked`)
    if (url.protocol !== 'https:' && !privateNetwork) {
      throw new HttpError('forbidden', `${host} would be asked without encryption; write https://`)
    }
  }
  const [first] = found
  if (first === undefined) throw new HttpError('unreachable', `${host} has no address`)
  return first
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new Error('aborted'))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    work.catch(() => undefined)
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

const LOOPBACK = listOf(['127.0.0.0/8', '::1/128'])
const PRIVATE = listOf(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'])
/** Link-local (cloud metadata is there), multicast, reserved, and forms that wrap an IPv4 address in an IPv6 one. */
const RESERVED = listOf([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/32',
  '2001:db8::/32',
  '2002::/16',
  'fd00:ec2::254/128',
  '100.100.100.200/32',
])

/** BlockList looks at an IPv4 address inside ::ffff:0:0/96 like at the address itself. */
export function kindOf(address: string): 'public' | 'loopback' | 'private' | 'reserved' {
  const family = isIP(address.split('%')[0] ?? '') === 6 ? 'ipv6' : 'ipv4'
  const plain = address.split('%')[0] ?? ''
  if (RESERVED.check(plain, family)) return 'reserved'
  if (LOOPBACK.check(plain, family)) return 'loopback'
  return PRIVATE.check(plain, family) ? 'private' : 'public'
}
