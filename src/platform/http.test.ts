// What every outbound request is held to, on a real server.
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { httpText } from './http.ts'

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => server.close().closeAllConnections())
  await new Promise((resolve) => server.once('listening', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
}

const LIMITS = { timeoutMs: 5_000, maxBytes: 1_000 }

test('a redirect within the same origin is followed, one without end is not', async () => {
  const origin = await serve(({ url }, response) => {
    if (url === '/end') response.end('here')
    else response.writeHead(302, { location: url === '/' ? '/end' : '/loop' }).end()
  })
  expect(await httpText({ url: `${origin}/`, ...LIMITS })).toMatchObject({ status: 200, body: 'here' })
  await expect(httpText({ url: `${origin}/loop`, ...LIMITS })).rejects.toMatchObject({ kind: 'forbidden' })
})

test('a body and headers are sent, and a status is never an error', async () => {
  const origin = await serve((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => {
      response.writeHead(500).end(`${request.method} ${String(request.headers['x-a'])} ${text}`)
    })
  })
  const answer = await httpText({ url: origin, method: 'POST', headers: { 'x-a': 'b' }, body: 'c', ...LIMITS })
  expect(answer).toMatchObject({ status: 500, body: 'POST b c' })
})

test('an abort ends a request that waits', async () => {
  const origin = await serve(() => undefined)
  const abort = new AbortController()
  setTimeout(() => abort.abort(new Error('enough')), 50)
  await expect(httpText({ url: origin, ...LIMITS, abort: abort.signal })).rejects.toThrow('enough')
})
