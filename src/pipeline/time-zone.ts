// Time zones as Intl knows them, and what their clock changes do to times of day.
import { cronFields, type CronFields } from './cron.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** No zone changes its clocks twice in so short a time. */
const LOOK_EVERY_MS = 7 * DAY_MS

/** Rules change seldom, and are known for years ahead. */
const YEARS_AHEAD = 5

export function isTimeZone(text: string): boolean {
  // An offset is one for Intl, not for the engine.
  if (!/^[a-z]/i.test(text)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

/** Local times from `from` until `until` (as if they were UTC, in ms) that do not exist, or exist twice. */
export interface ClockChange {
  readonly kind: 'skipped' | 'doubled'
  readonly from: number
  readonly until: number
}

/** All clock changes of a zone between two moments, in ms since 1970. */
export function clockChanges(timeZone: string, fromMs: number, untilMs: number): ClockChange[] {
  const offsetAt = offsetOf(timeZone)
  const changes: ClockChange[] = []
  let before = offsetAt(fromMs)
  for (let at = fromMs; at < untilMs; at += LOOK_EVERY_MS) {
    const next = Math.min(at + LOOK_EVERY_MS, untilMs)
    const after = offsetAt(next)
    if (before === after) continue
    const moment = firstMomentOf(offsetAt, after, at, next)
    changes.push(
      after > before
        ? { kind: 'skipped', from: moment + before, until: moment + after }
        : { kind: 'doubled', from: moment + after, until: moment + before },
    )
    before = after
  }
  return changes
}

/**
 * The first local time of a cron expression that a clock change skips or doubles within the years ahead, as a sentence;
 * undefined where there is none. Temporal goes by the clock on the wall: it does not start the run that day, or twice.
 */
export function clockChangeProblem(cron: string, timeZone: string, nowMs: number): string | undefined {
  const fields = cronFields(cron)
  for (const { kind, from, until } of clockChanges(timeZone, nowMs, nowMs + YEARS_AHEAD * 366 * DAY_MS)) {
    for (let local = from; local < until; local += MINUTE_MS) {
      if (!firesAt(fields, local)) continue
      const [day, time] = new Date(local).toISOString().slice(0, 16).split('T')
      return `${time} ${kind === 'skipped' ? 'does not exist' : 'comes twice'} in ${timeZone} on ${day}, when the clocks change`
    }
  }
  return undefined
}

/** Whether the expression means this local time, given as if it were UTC. As Temporal reads it: all fields must fit. */
export function firesAt({ minutes, hours, days, months, weekdays }: CronFields, localMs: number): boolean {
  const local = new Date(localMs)
  return (
    local.getUTCSeconds() === 0 &&
    minutes.has(local.getUTCMinutes()) &&
    hours.has(local.getUTCHours()) &&
    days.has(local.getUTCDate()) &&
    months.has(local.getUTCMonth() + 1) &&
    weekdays.has(local.getUTCDay())
  )
}

/** The clock on the wall of the zone at that moment, as if it were UTC. */
export function localTime(timeZone: string, ms: number): number {
  return ms + offsetOf(timeZone)(ms)
}

function offsetOf(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (ms) => {
    const whole = ms - (ms % 1000)
    const part = Object.fromEntries(format.formatToParts(whole).map(({ type, value }) => [type, Number(value)]))
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole
  }
}

/** Of the new offset, to the minute. */
function firstMomentOf(offsetAt: (ms: number) => number, after: number, from: number, until: number): number {
  let [low, high] = [Math.floor(from / MINUTE_MS), Math.ceil(until / MINUTE_MS)]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(middle * MINUTE_MS) === after) high = middle
    else low = middle
  }
  return high * MINUTE_MS
}
