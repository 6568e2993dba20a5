// When a pipeline is stale: after two intervals of the schedule that fires most often, or after `stale_after`; never while paused.
import { expect, test } from 'vitest'
import type { PlannedAlerts } from '../pipeline/alert-state.ts'
import { staleDeadline, type WatchedSchedule } from './watch-pipelines.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOW = Date.UTC(2026, 10, 20, 3)

const settings = (staleAfterMs: number | null = null) =>
  ({
    on: ['stale'],
    email: [],
    slack: '#a',
    slowAfterMs: null,
    staleAfterMs,
    remindMs: 1,
    giveUpMs: 1,
    retryMs: 1,
  }) satisfies PlannedAlerts

/** As the server describes it; the firings in hours from now. */
function schedule(inHours: readonly number[], paused = false): WatchedSchedule {
  const nextActionTimes = inHours.map((hours) => new Date(NOW + hours * HOUR))
  return { state: { paused }, info: { nextActionTimes }, spec: { calendars: [] } } as unknown as WatchedSchedule // what is looked at
}

test('two firings without a success, and the time of the second run, are too many', () => {
  expect(staleDeadline(settings(), [schedule([23, 47, 71])], 15 * MINUTE, NOW)?.atMs).toBe(
    NOW + 47 * HOUR + 15 * MINUTE,
  )
  // Half an interval at most: a third run is about to begin.
  expect(staleDeadline(settings(), [schedule([0.5, 1.5])], 5 * HOUR, NOW)?.atMs).toBe(NOW + 2 * HOUR)
  // A weekend is no interval.
  expect(staleDeadline(settings(), [schedule([71, 95])], 15 * MINUTE, NOW)?.atMs).toBe(NOW + 95 * HOUR + 15 * MINUTE)
})

test('the schedule that fires most often counts, and paused ones do not', () => {
  const nightly = schedule([23, 47])
  const weekly = schedule([100, 268])
  expect(staleDeadline(settings(), [weekly, nightly], 0, NOW)?.atMs).toBe(NOW + 47 * HOUR)
  expect(staleDeadline(settings(), [weekly, schedule([23, 47], true)], 0, NOW)?.atMs).toBe(NOW + 268 * HOUR)
  expect(staleDeadline(settings(), [schedule([23, 47], true)], 0, NOW)).toBeNull()
  // Nobody has applied any.
  expect(staleDeadline(settings(), [], 0, NOW)).toBeNull()
})

test('stale_after counts from now, without schedules too, but not where all are paused', () => {
  expect(staleDeadline(settings(26 * HOUR), null, 0, NOW)?.atMs).toBe(NOW + 26 * HOUR)
  expect(staleDeadline(settings(26 * HOUR), [schedule([1, 2])], 0, NOW)?.atMs).toBe(NOW + 26 * HOUR)
  expect(staleDeadline(settings(26 * HOUR), [schedule([1, 2], true)], 0, NOW)).toBeNull()
  const [of, changed] = [26, 27].map((hours) => staleDeadline(settings(hours * HOUR), null, 0, NOW)?.of)
  expect(of).not.toBe(changed)
})
