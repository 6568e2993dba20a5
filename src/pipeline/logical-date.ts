// The day a run is for. Always UTC, always derived from a time that Temporal recorded, never from a clock read on an attempt.

const DAY_MS = 86_400_000
const PATTERN = /^(\d{4})-(\d{2})-(\d{2})$/

/** All days from the first to the last, both written YYYY-MM-DD, in order. */
export function daysBetween(from: string, to: string): string[] {
  const days: string[] = []
  for (let time = Date.parse(`${from}T00:00:00Z`); time <= Date.parse(`${to}T00:00:00Z`); time += DAY_MS) {
    days.push(new Date(time).toISOString().slice(0, 10))
  }
  return days
}

/** True for an existing calendar day written YYYY-MM-DD (2026-02-30 is none). */
export function isDate(text: string): boolean {
  if (!PATTERN.test(text)) return false
  const time = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}

/**
 * A date param's value as given: a day, or `today` / `yesterday` counted from the run's own time.
 * Returns undefined when it is neither.
 */
export function resolveDate(text: string, runTimeMs: number): string | undefined {
  if (text === 'today') return new Date(runTimeMs).toISOString().slice(0, 10)
  if (text === 'yesterday') return new Date(runTimeMs - DAY_MS).toISOString().slice(0, 10)
  return isDate(text) ? text : undefined
}
