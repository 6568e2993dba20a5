// What the `http` source makes of every way in which an answer can be wrong: a real server on loopback, the fake API.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startFakeApi, type Fault } from '../../tools/meteofrance/api.ts'
import { hourlyCsv } from '../../tools/meteofrance/observations.ts'
import { describeFailure } from '../pipeline/failure.ts'
import type { HttpSource } from '../pipeline/plan.ts'
import { kindOf } from '../platform/http.ts'
import { fetchHttp } from './http.ts'

const NOW = Date.parse('2026-11-18T09:20:00Z')
const WHOLE = hourlyCsv('v1', '9', NOW)
const NAME = '${METEOFRANCE_URL}/paquet/horaire?id-departement=9'

/** The whole second before that time from now, as HTTP writes it. */
function inMs(ms: number): string {
  return new Date(Date.now() + ms).toUTCString()
}

async function fetched(
  faults: readonly Fault[],
  change: Partial<HttpSource> = {},
  variables: Record<string, string> = {},
) {
  const api = await startFakeApi({ key: 'a-secret-key', now: () => NOW })
  onTestFinished(() => api.close())
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-http-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('METEOFRANCE_URL', api.url)
  vi.stubEnv('METEOFRANCE_API_KEY', 'a-secret-key')
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  api.faults.push(...faults)
  const source: HttpSource = {
    url: '${METEOFRANCE_URL}/paquet/horaire',
    params: { 'id-departement': '9' },
    headers: { apikey: '${METEOFRANCE_API_KEY}' },
    timeoutMs: 5_000,
    maxBytes: 1_000_000,
    retries: 2,
    longestWaitMs: 1_100,
    privateNetwork: false,
    hint: 'get a key at https://portail-api.meteofrance.fr',
    ...change,
  }
  try {
    const file = await fetchHttp(source, NAME, folder, new AbortController().signal)
    await file.handle.close()
    return { body: await readFile(file.path, 'utf8'), tries: api.requests.length, type: '', message: '' }
  } catch (error) {
    return { body: '', tries: api.requests.length, ...describeFailure(error) }
  }
}

test.each<[string, Fault[]]>([
  ['nothing went wrong', []],
  ['it was packed', [{ kind: 'gzip' }]],
  ['the quota was used up for a second', [{ kind: 'throttle', retryAfter: '1' }]],
  ['the quota was used up until the next second, said as a date', [{ kind: 'throttle', retryAfter: inMs(1_000) }]],
  ['the quota was used up, said without a time', [{ kind: 'throttle' }]],
  ['the quota was used up, said with status 200', [{ kind: 'throttle', status: 200 }]],
  ['it was down for a moment', [{ kind: 'status', status: 503 }]],
  ['the body broke off', [{ kind: 'truncated' }]],
  ['the connection was reset', [{ kind: 'reset' }]],
])('the whole body arrives although %s', async (_what, faults) => {
  expect(await fetched(faults)).toEqual({
    body: WHOLE,
    tries: faults[0] && faults[0].kind !== 'gzip' ? 2 : 1,
    type: '',
    message: '',
  })
})

test.each<[string, Fault, string, number, RegExp]>([
  [
    'a quota for an hour',
    { kind: 'throttle', retryAfter: '3600' },
    'SourceThrottled',
    1,
    /for 3600 s more .*exceeded your quota/,
  ],
  [
    'a quota until a date in an hour',
    { kind: 'throttle', retryAfter: inMs(3_600_000) },
    'SourceThrottled',
    1,
    /for 3[56]\d\d s more .*exceeded your quota/,
  ],
  ['a page of the gateway', { kind: 'html' }, 'SourceInvalid', 1, /no CSV \(it said: <html><body>Gateway maintenance/],
  ['JSON with status 200', { kind: 'status', status: 200, body: '{"error":"oops"}' }, 'SourceInvalid', 1, /oops/],
  ['nothing', { kind: 'empty' }, 'SourceInvalid', 1, /an empty answer/],
  [
    'a parameter it does not like',
    { kind: 'status', status: 400, body: 'incorrect' },
    'SourceRefused',
    1,
    /HTTP 400 .*incorrect/,
  ],
  [
    'a redirect to another host',
    { kind: 'redirect', to: 'http://localhost:1/x' },
    'SourceRefused',
    1,
    /sends on to localhost:1/,
  ],
])('%s is told as what it is, and not asked again', async (_what, fault, type, tries, message) => {
  const result = await fetched([fault, fault, fault])
  expect(result).toMatchObject({ type, tries })
  expect(result.message).toMatch(message)
})

test('a body that never ends is given up in time, after all tries', async () => {
  const result = await fetched([{ kind: 'hang' }, { kind: 'hang' }], { timeoutMs: 300, retries: 1 })
  expect(result).toMatchObject({ type: 'SourceUnreachable', tries: 2 })
  expect(result.message).toContain('no answer within 0.3 s')
})

test('a body over its limit is refused, packed or not', async () => {
  expect(await fetched([], { maxBytes: 2_000 })).toMatchObject({ type: 'SourceInvalid', tries: 1 })
  expect(await fetched([{ kind: 'gzip' }], { maxBytes: 3_000 })).toMatchObject({ type: 'SourceInvalid', tries: 1 })
})

test('a refused key is told with where to get one, and never shown', async () => {
  const result = await fetched([], {}, { METEOFRANCE_API_KEY: 'another-secret' })
  expect(result).toMatchObject({ type: 'SourceRefused', tries: 1 })
  expect(result.message).toMatch(/HTTP 401.*Invalid JWT token.*get a key at https:\/\/portail-api/)
  expect(result.message).not.toContain('another-secret')
})

test('a missing variable is named before anything is asked', async () => {
  const result = await fetched([], {}, { METEOFRANCE_API_KEY: '' })
  expect(result).toMatchObject({ type: 'SourceUnconfigured', tries: 0 })
  expect(result.message).toMatch(/METEOFRANCE_API_KEY is not set where the worker runs; get a key at/)
})

test('a server that is down is said to be down', async () => {
  const result = await fetched([], { retries: 0 }, { METEOFRANCE_URL: 'http://127.0.0.1:1' })
  expect(result).toMatchObject({ type: 'SourceUnreachable', tries: 0 })
  expect(result.message).toContain('127.0.0.1:1 does not answer (connection refused (ECONNREFUSED))')
})

test.each([
  'http://169.254.169.254/latest',
  'http://[::ffff:169.254.169.254]/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'https://10.0.0.1/',
  'https://192.168.1.1/',
  'https://[fd00:ec2::254]/',
  'https://[fe80::1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'http://0.0.0.0/',
  'http://8.8.8.8/',
])('%s is not asked', async (url) => {
  expect(await fetched([], {}, { METEOFRANCE_URL: url })).toMatchObject({ type: 'SourceRefused', tries: 0 })
})

test('addresses are told apart, also an IPv4 one inside an IPv6 one', () => {
  const kinds = [
    '93.184.216.34',
    '127.8.9.1',
    '::1',
    '172.31.0.1',
    '::ffff:10.0.0.1',
    '::ffff:127.0.0.1',
    '100.100.1.1',
    'fe80::1%eth0',
  ]
  expect(kinds.map(kindOf)).toEqual([
    'public',
    'loopback',
    'loopback',
    'private',
    'private',
    'loopback',
    'private',
    'reserved',
  ])
})
