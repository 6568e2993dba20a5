// Waiting between tries: how long, how often, and what ends it.
import { expect, test } from 'vitest'
import { BigQueryError } from './error.ts'
import { delayMs, pause, RETRY_RULES, untilAborted, withRetries } from './retry.ts'

const RULES = { tries: 8, firstDelayMs: 100, longestDelayMs: 1000 }

test.each([
  [0, 50, 100],
  [1, 100, 200],
  [2, 200, 400],
  [9, 500, 1000],
])('after %i tries it waits between %i and %i ms', (tried, least, most) => {
  const delays = Array.from({ length: 200 }, () => delayMs(RULES, tried))
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(least)
  expect(Math.max(...delays)).toBeLessThanOrEqual(most)
  expect(new Set(delays).size).toBeGreaterThan(1)
})

test('it waits as long as the service asks for, but not for ever', () => {
  const asking = (seconds: number) =>
    new BigQueryError({ reason: 'rateLimitExceeded', retryAfterMs: seconds * 1000 }, 'x')
  expect(delayMs({ ...RULES, longestDelayMs: 20_000 }, 0, asking(7))).toBe(7000)
  expect(delayMs({ ...RULES, longestDelayMs: 20_000 }, 0, asking(3600))).toBe(20_000)
})

test('all of it takes a minute at most', () => {
  const longest = Array.from({ length: RETRY_RULES.tries - 1 }, (_, tried) =>
    Math.min(RETRY_RULES.firstDelayMs * 2 ** tried, RETRY_RULES.longestDelayMs),
  )
  expect(longest.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(60_000)
})

test('an abort ends the waiting with its reason', async () => {
  const abort = new AbortController()
  const waiting = [pause(60_000, abort.signal), untilAborted(pause(50, undefined), abort.signal)]
  abort.abort(new Error('the run was cancelled'))
  for (const ended of waiting) await expect(ended).rejects.toThrow('the run was cancelled')
})

test('nothing is tried again after an abort', async () => {
  const abort = new AbortController()
  let tries = 0
  const work = withRetries(
    RULES,
    abort.signal,
    () => true,
    () => {
      tries += 1
      abort.abort(new Error('the run was cancelled'))
      return Promise.reject(new Error('and something else'))
    },
  )
  await expect(work).rejects.toThrow('the run was cancelled')
  expect(tries).toBe(1)
})
