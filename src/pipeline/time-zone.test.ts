// What clock changes do to times of day, held against the JavaScript engine's own clock in that zone.
import { afterAll, describe, expect, test } from 'vitest'
import { clockChangeProblem, clockChanges } from './time-zone.ts'

const MINUTE_MS = 60_000
const GRID_MS = 30 * MINUTE_MS
const FROM = Date.UTC(2026, 10, 1)
const UNTIL = Date.UTC(2029, 10, 1)

const ZONES = `
  UTC Europe/Paris Europe/London Europe/Lisbon Europe/Helsinki Europe/Moscow Europe/Chisinau
  America/New_York America/Chicago America/Denver America/Los_Angeles America/St_Johns America/Havana
  America/Santiago America/Asuncion America/Sao_Paulo America/Nuuk America/Phoenix Asia/Jerusalem
  Asia/Beirut Asia/Kolkata Asia/Kathmandu Asia/Tokyo Africa/Cairo Africa/Casablanca Australia/Sydney
  Australia/Lord_Howe Pacific/Auckland Pacific/Chatham Pacific/Easter Atlantic/Azores
  Antarctica/Troll
`
  .trim()
  .split(/\s+/)

const zoneOfTests = process.env['TZ']
afterAll(() => {
  if (zoneOfTests === undefined) delete process.env['TZ']
  else process.env['TZ'] = zoneOfTests
})

/** Every half hour of the wall clock that the engine, living in that zone, cannot show or shows at two moments. */
function byTheEnginesClock(zone: string): string[] {
  process.env['TZ'] = zone
  const found: string[] = []
  for (let local = FROM; local < UNTIL; local += GRID_MS) {
    const wanted = new Date(local)
    const parts = [wanted.getUTCFullYear(), wanted.getUTCMonth(), wanted.getUTCDate()] as const
    const shown = new Date(...parts, wanted.getUTCHours(), wanted.getUTCMinutes())
    const text = wanted.toISOString().slice(0, 16)
    const same = (ms: number) => {
      const other = new Date(ms)
      return other.getHours() === wanted.getUTCHours() && other.getMinutes() === wanted.getUTCMinutes()
    }
    if (!same(shown.getTime())) found.push(`${text} skipped`)
    else if ([0.5, 1, 2].some((hours) => same(shown.getTime() + hours * 60 * MINUTE_MS))) found.push(`${text} doubled`)
  }
  return found
}

function byUs(zone: string): string[] {
  const found: string[] = []
  // A margin around it: its ends are in local time.
  const margin = 30 * 60 * MINUTE_MS
  for (const { kind, from, until } of clockChanges(zone, FROM - margin, UNTIL + margin)) {
    for (let local = Math.ceil(from / GRID_MS) * GRID_MS; local < until; local += GRID_MS) {
      if (local >= FROM && local < UNTIL) found.push(`${new Date(local).toISOString().slice(0, 16)} ${kind}`)
    }
  }
  return found
}

test.each(ZONES)('three years of skipped and doubled times in %s are those of the engine', (zone) => {
  expect(byUs(zone)).toEqual(byTheEnginesClock(zone))
})

test('there were some', () => {
  expect(byUs('Europe/Paris')).toHaveLength(3 * 2 * 2)
  expect(byUs('Australia/Lord_Howe')).toHaveLength(3 * 2)
})

describe('a schedule', () => {
  const problem = (cron: string, zone: string) => clockChangeProblem(cron, zone, FROM)
  test('at a time that a clock change skips is told of, with the day', () => {
    expect(problem('30 2 * * *', 'Europe/Paris')).toBe(
      '02:30 does not exist in Europe/Paris on 2027-03-28, when the clocks change',
    )
    expect(problem('30 0 * * *', 'Europe/London')).toBeUndefined()
    expect(problem('30 1 * * 7', 'Europe/London')).toContain('01:30 does not exist in Europe/London on 2027-03-28')
  })
  test('at a time that comes twice is, too', () => {
    expect(problem('30 1 * * *', 'America/New_York')).toContain('01:30 comes twice in America/New_York on 2026-11-01')
  })
  test('on days when no clock changes, at other times and in UTC is fine', () => {
    expect(problem('30 2 * * 1-6', 'Europe/Paris')).toBeUndefined()
    expect(problem('30 2 * jan,jul *', 'Europe/Paris')).toBeUndefined()
    expect(problem('30 3 * * *', 'Europe/Paris')).toBeUndefined()
    expect(problem('*/10 * * * *', 'UTC')).toBeUndefined()
    expect(problem('0 2 * * *', 'Asia/Tokyo')).toBeUndefined()
  })
})
