// A run's day: an existing calendar day in UTC, or one counted from the run's own time.
import { expect, test } from 'vitest'
import { resolveDate } from './logical-date.ts'

const NOON = Date.UTC(2026, 10, 19, 12)

test.each([
  ['2026-11-18', '2026-11-18'],
  ['2024-02-29', '2024-02-29'],
  ['2026-02-29', undefined],
  ['2026-02-30', undefined],
  ['2026-04-31', undefined],
  ['2026-13-01', undefined],
  ['2026-00-10', undefined],
  ['2026-1-5', undefined],
  ['2026-01-05T00:00:00Z', undefined],
  [' 2026-01-05', undefined],
  ['20260105', undefined],
  ['Yesterday', undefined],
  ['', undefined],
])("'%s' is the day %s", (text, day) => {
  expect(resolveDate(text, NOON)).toBe(day)
})

test.each([
  ['the first millisecond of a day', Date.UTC(2026, 10, 19), '2026-11-18', '2026-11-19'],
  ['the last millisecond of a day', Date.UTC(2026, 10, 19) - 1, '2026-11-17', '2026-11-18'],
  ['the first of March', Date.UTC(2026, 2, 1, 3), '2026-02-28', '2026-03-01'],
  ['the first of March of a leap year', Date.UTC(2024, 2, 1, 3), '2024-02-29', '2024-03-01'],
  ["New Year's night", Date.UTC(2027, 0, 1), '2026-12-31', '2027-01-01'],
])('yesterday and today are counted in UTC from the run time: %s', (_when, runTimeMs, yesterday, today) => {
  expect(resolveDate('yesterday', runTimeMs)).toBe(yesterday)
  expect(resolveDate('today', runTimeMs)).toBe(today)
})
