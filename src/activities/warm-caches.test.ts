import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { kindOf } from '../platform/http.ts'
import { urlBelow, warmAll } from './warm-caches.ts'

/** A real server on loopback: its address, and what it was asked for. */
async function serve(answer: RequestListener): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // listens on a port
  return { url: `http://127.0.0.1:${port}`, asked }
}

const work = (baseUrl: string, paths: readonly string[]) => ({
  baseUrl,
  paths,
  timeoutMs: 300,
  retries: 0,
  retryDelayMs: 1,
})
const neverAborted = new AbortController().signal

test('200 is warm; every other answer, a slow one and none at all are told one by one, in order', async () => {
  const elsewhere = await serve((_request, response) => response.end('secrets'))
  const { url, asked } = await serve((request, response) => {
    switch (request.url ?? '') {
      case '/good':
        response.end('x'.repeat(100_000))
        return
      case '/slow':
        return
      case '/stalls':
        response.write('the beginning')
        return
      case '/breaks':
        response.writeHead(200, { 'content-length': '100' }).write('half')
        response.socket?.destroy()
        return
      case '/moved':
        response.writeHead(302, { location: elsewhere.url }).end()
        return
      default:
        response.writeHead(request.url === '/empty' ? 204 : 500).end()
    }
  })
  const paths = ['/good', '/broken', '/slow', '/stalls', '/breaks', '/moved', '/empty']

  expect(
    (await warmAll(work(url, paths), neverAborted)).map(({ path, status, answer }) => [path, status, answer]),
  ).toEqual([
    ['/good', 200, '200'],
    ['/broken', 500, '500'],
    ['/slow', null, 'no answer within 0.3 s'],
    ['/stalls', null, 'no answer within 0.3 s'],
    ['/breaks', null, expect.stringMatching(/broke off|connection was cut/)],
    ['/moved', 302, '302'],
    ['/empty', 204, '204'],
  ])
  expect(asked.toSorted()).toEqual(paths.map((path) => `GET ${path}`).toSorted())
  expect(elsewhere.asked).toEqual([])
})

test('nobody there, no such host and no address at all are said, and nothing is thrown', async () => {
  const { url } = await serve(() => undefined)
  const port = Number(new URL(url).port)
  const dead = createServer().listen(0, '127.0.0.1')
  await once(dead, 'listening')
  const deadPort = (dead.address() as AddressInfo).port // listens on a port
  await new Promise((closed) => dead.close(closed))
  const answerOf = async (base: string) => (await warmAll(work(base, ['/x']), neverAborted))[0]?.answer

  expect(await answerOf(`http://127.0.0.1:${deadPort}`)).toBe('connection refused (ECONNREFUSED)')
  expect(await answerOf('http://no-such-host.invalid')).toMatch(/no such host|could not be looked up|no answer within/)
  expect(await answerOf('${MILLRACE_TEST_UNSET}')).toMatch(/^base_url is no http address/)
  expect(await answerOf(`http://user:secret@127.0.0.1:${port}`)).toMatch(/^base_url is no http address without a user/)
  expect(await answerOf('http://169.254.169.254')).toMatch(/reserved address, which is not asked/)
})

test('base_url comes from the environment when the work is done, and has a default', async () => {
  const { url, asked } = await serve((_request, response) => response.end())
  vi.stubEnv('MILLRACE_TEST_API', `${url}/prefix/`)
  onTestFinished(() => void vi.unstubAllEnvs())
  await warmAll(work('${MILLRACE_TEST_API:-http://127.0.0.1:1}', ['/a']), neverAborted)
  await warmAll(work(`\${MILLRACE_TEST_UNSET:-${url}}`, ['/b']), neverAborted)
  expect(asked).toEqual(['GET /prefix/a', 'GET /b'])
})

test('what was not warm is asked for again, as often as the step says', async () => {
  let times = 0
  const { url } = await serve((request, response) => {
    if (request.url === '/late') times += 1
    response.writeHead(request.url === '/late' && times === 3 ? 200 : 503).end()
  })
  const warmed = await warmAll({ ...work(url, ['/late', '/never']), retries: 2 }, neverAborted)
  expect(warmed.map(({ answer, attempts }) => [answer, attempts])).toEqual([
    ['200', 3],
    ['503', 3],
  ])
})

test('a cancelled run does not wait for an answer', async () => {
  const { url } = await serve(() => undefined)
  const cancel = new AbortController()
  const warming = warmAll({ ...work(url, ['/slow']), timeoutMs: 100_000 }, cancel.signal)
  setTimeout(() => cancel.abort(), 50)
  await expect(warming).rejects.toThrow(/abort/)
})

test.each([
  ['http://host/prefix/', '/api', 'http://host/prefix/api'],
  ['https://host:8443', '/api?x=1', 'https://host:8443/api?x=1'],
  ['http://host', '//other/api', 'http://host//other/api'],
  ['http://host', '@other/api', undefined],
  ['http://host', '.other/api', undefined],
  ['ftp://host', '/api', undefined],
  ['file:///etc', '/passwd', undefined],
])('%s and %s stay on the host', (base, path, expected) => {
  expect(urlBelow(base, path)?.href).toBe(expected)
})

test.each([
  ['169.254.169.254', true],
  ['::ffff:169.254.169.254', true],
  ['fe80::1', true],
  ['fd00:ec2::254', true],
  ['100.100.100.200', true],
  ['224.0.0.1', true],
  ['255.255.255.255', true],
  ['127.0.0.1', false],
  ['::1', false],
  ['10.1.2.3', false],
  ['93.184.216.34', false],
])('%s is forbidden: %s', (address, forbidden) => {
  expect(kindOf(address) === 'reserved').toBe(forbidden)
})
