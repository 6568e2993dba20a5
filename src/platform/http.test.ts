// What an outbound request promises: limits, and errors that never name the address.
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { request, retryAfterMs } from './http.ts'

const LIMITS = { method: 'GET', timeoutMs: 500, maxBytes: 1_000 } as const

test('what is too slow ends, what is too long is cut, a redirect is not followed', async () => {
  const server = createServer((asked, response) => {
    if (asked.url === '/long') response.end('x'.repeat(1_000_000))
    if (asked.url === '/away') response.writeHead(307, { location: '/long' }).end('away')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const at = (path: string) => new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`) // it listens on TCP
  expect((await request(at('/long'), LIMITS)).text).toHaveLength(1_000)
  expect(await request(at('/away'), LIMITS)).toMatchObject({ status: 307, text: 'away' })
  await expect(request(at('/canary'), LIMITS)).rejects.toThrow(/^no answer within 0\.5 s$/)
  await expect(request(new URL('http://127.0.0.1:1/canary'), LIMITS)).rejects.toThrow(/^the connection failed/)
})

test('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 10, 18, 12)
  expect(retryAfterMs('120', now)).toBe(120_000)
  expect(retryAfterMs('Wed, 18 Nov 2026 12:00:30 GMT', now)).toBe(30_000)
  expect(retryAfterMs('Wed, 18 Nov 2026 11:00:00 GMT', now)).toBe(0)
  expect(retryAfterMs('soon', now)).toBeNull()
  expect(retryAfterMs(null, now)).toBeNull()
})
