// Moments as whole milliseconds since 1970 in UTC, and their ISO 8601 spellings.

export const secondMs = 1_000
export const minuteMs = 60 * secondMs
export const dayMs = 24 * 60 * minuteMs

/** Midnight UTC of a day written as 2026-11-17. */
export function startOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`)
}

export function dateOf(moment: number, utcOffsetMinutes = 0): string {
  return new Date(moment + utcOffsetMinutes * minuteMs).toISOString().slice(0, 10)
}

/** 2026-11-17T20:14:05Z */
export function utcSeconds(moment: number): string {
  return `${new Date(moment).toISOString().slice(0, 19)}Z`
}

/** 2026-11-17T20:14:05.417Z */
export function utcMilliseconds(moment: number): string {
  return new Date(moment).toISOString()
}

/** The same moment on a wall clock elsewhere: 2026-11-17T21:14:05+01:00 */
export function localSeconds(moment: number, utcOffsetMinutes: number): string {
  const wallClock = new Date(moment + utcOffsetMinutes * minuteMs).toISOString().slice(0, 19)
  const minutes = Math.abs(utcOffsetMinutes)
  const offset = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0')).join(':')
  return `${wallClock}${utcOffsetMinutes < 0 ? '-' : '+'}${offset}`
}
