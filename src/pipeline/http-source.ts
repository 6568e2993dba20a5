// The `http:` of an ingest entry as a pipeline file writes it, and as a plan keeps it: variables stay unresolved in both.
import { z } from 'zod'
import { byteSize, count, duration, nonEmptyText, scalarValue } from './fields.ts'
import { parseByteSize } from './byte-size.ts'
import { durationMs } from './duration.ts'
import type { HttpSource } from './plan.ts'

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

export const httpSource = z
  .strictObject({
    url: nonEmptyText
      .regex(/^(https?:\/\/|\$\{)/, 'expected https://…, or a ${VARIABLE} that begins so')
      .describe('With {params} and ${VARIABLES} of the worker; https, or http on loopback'),
    params: z.record(nonEmptyText, scalarValue).default({}).describe('Of the query, encoded'),
    headers: z
      .record(z.string().regex(HEADER_NAME, 'expected the name of a header'), z.string())
      .default({})
      .describe('Keys and tokens as ${VARIABLE}: never written out here'),
    timeout: duration.default('60s').describe('Of one request, to the last byte of its body'),
    max_bytes: byteSize.default('200 MB').describe('Of the answer, unpacked'),
    retries: count.max(10).default(4).describe('On 429, 5xx, time-outs and lost connections; twice as long after each'),
    longest_wait: duration.default('2m').describe('Of one pause; a Retry-After beyond it ends the load'),
    private_network: z.boolean().default(false).describe('The host may have a private address, and no TLS'),
    hint: z.string().max(300).optional().describe('Said when a variable is missing or the key is refused'),
  })
  .describe('The answer of one GET request, instead of files')

export type HttpDefinition = z.output<typeof httpSource>

/** Texts that may hold {params}. */
export function httpTexts({ url, params, headers }: Pick<HttpDefinition, 'url' | 'params' | 'headers'>): string[] {
  return [url, ...Object.values(params).map(String), ...Object.values(headers)]
}

export function planHttp(written: HttpDefinition, fill: (text: string) => string): HttpSource {
  const filled = (texts: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fill(String(text))]))
  return {
    url: fill(written.url),
    params: filled(written.params),
    headers: filled(written.headers),
    timeoutMs: durationMs(written.timeout),
    maxBytes: parseByteSize(written.max_bytes),
    retries: written.retries,
    longestWaitMs: durationMs(written.longest_wait),
    privateNetwork: written.private_network,
    hint: written.hint ?? null,
  }
}

/** What `_source_file` says: the request with its params, and variables by their names, so that it holds no secret. */
export function httpName({ url, params }: Pick<HttpSource, 'url' | 'params'>): string {
  const query = Object.entries(params).map(([name, value]) => `${name}=${value}`)
  const byName = [url, ...(query.length === 0 ? [] : [query.join('&')])].join(url.includes('?') ? '&' : '?')
  return byName.replaceAll(/\$\{(\w+)(?::-[^}]*)?\}/g, '$${$1}')
}
