// Outbound HTTP, in this one place. No redirects are followed, nothing but the host that was asked for is connected to.
import { lookup as resolve } from 'node:dns'
import { request as requestHttp, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { formatDuration } from '../pipeline/duration.ts'

export type HttpAnswer = { readonly status: number } | { readonly problem: string }

export interface HttpLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly abort: AbortSignal
}

/** Where clouds keep their machines' credentials, and what is no single host. Loopback and private networks are the user's own. */
const FORBIDDEN = new BlockList()
FORBIDDEN.addSubnet('169.254.0.0', 16, 'ipv4')
FORBIDDEN.addAddress('100.100.100.200', 'ipv4')
FORBIDDEN.addSubnet('224.0.0.0', 3, 'ipv4')
FORBIDDEN.addSubnet('fe80::', 10, 'ipv6')
FORBIDDEN.addAddress('fd00:ec2::254', 'ipv6')
FORBIDDEN.addSubnet('ff00::', 8, 'ipv6')

const FORBIDDEN_TEXT = 'its address is a link-local, metadata or multicast one, which is never asked'

/** Takes addresses of IPv4 that are written as IPv6 (`::ffff:…`) for what they are. */
export function isForbiddenAddress(address: string): boolean {
  return FORBIDDEN.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/**
 * GETs a URL, reads the answer to its end and drops it: the status, or in a few words why there is none. Never rejects,
 * unless `abort` is aborted. The address that was looked at is the one that is connected to.
 */
export async function getStatus(url: URL, { timeoutMs, maxBytes, abort }: HttpLimits): Promise<HttpAnswer> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && isForbiddenAddress(host)) return { problem: FORBIDDEN_TEXT }
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    return { status: await get(url, maxBytes, AbortSignal.any([abort, limit])) }
  } catch (error) {
    abort.throwIfAborted()
    if (limit.aborted) return { problem: `no answer within ${formatDuration(timeoutMs)}` }
    return { problem: problemText(error) }
  }
}

function get(url: URL, maxBytes: number, signal: AbortSignal): Promise<number> {
  const { promise, resolve: answered, reject } = Promise.withResolvers<number>()
  const options: RequestOptions = { signal, agent: false, lookup: allowedLookup, headers: { accept: '*/*' } }
  const request = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
  request.once('error', reject)
  request.once('response', (response) => {
    let bytes = 0
    response.on('data', (part: Buffer) => {
      bytes += part.length
      // Big enough to be no summary any more; the status is known.
      if (bytes > maxBytes) response.destroy()
    })
    response.once('error', reject)
    response.once('close', () => {
      if (response.complete || bytes > maxBytes) answered(response.statusCode ?? 0)
      else reject(new Error('the answer broke off'))
    })
  })
  request.end()
  return promise
}

const allowedLookup: NonNullable<RequestOptions['lookup']> = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, [])
    if (addresses.some(({ address }) => isForbiddenAddress(address))) {
      return callback(new Error(FORBIDDEN_TEXT), [])
    }
    const [first] = addresses
    if (options.all === true || first === undefined) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

function problemText(error: unknown): string {
  // Of several addresses the first one's failure says enough.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(cause instanceof Error)) return String(cause)
  const code = 'code' in cause ? String(cause.code) : ''
  return PROBLEMS[code] ?? (cause.message === '' ? code : cause.message).slice(0, 120)
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed without an answer',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host could not be looked up',
  EHOSTUNREACH: 'host unreachable',
}
