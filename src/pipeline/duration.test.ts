// Durations of pipeline files, and those that people read.
import { expect, test } from 'vitest'
import { durationMs, formatDuration } from './duration.ts'

test.each([
  ['30s', 30_000],
  ['10m', 600_000],
  ['6h', 21_600_000],
  ['1d', 86_400_000],
  ['0s', 0],
])('%s is %i ms', (text, ms) => {
  expect(durationMs(text)).toBe(ms)
})

test.each(['', '30', 's', '30 s', '1.5h', '-5m', '5min', '10M', '1h30m', '1234567s', 'toString'])(
  "'%s' is no duration",
  (text) => {
    expect(() => durationMs(text)).toThrow(`'${text}' is not a duration such as 30s, 10m, 6h or 1d`)
  },
)

test.each([
  [0, '0.0 s'],
  [412, '0.4 s'],
  [59_949, '59.9 s'],
  [59_999, '1 min 0 s'],
  [65_000, '1 min 5 s'],
  [3_599_700, '60 min 0 s'],
])('%i ms reads %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})
