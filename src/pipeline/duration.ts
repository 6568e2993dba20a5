// Durations as pipeline files write them: 30s, 10m, 6h, 1d.

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export const DURATION_PATTERN = /^(\d{1,6})([smhd])$/

/** `30s` → 30000. Throws a plain Error on any other form. */
export function durationMs(text: string): number {
  const match = DURATION_PATTERN.exec(text)
  const unit = match?.[2]
  if (match?.[1] === undefined || (unit !== 's' && unit !== 'm' && unit !== 'h' && unit !== 'd')) {
    throw new Error(`'${text}' is not a duration such as 30s, 10m, 6h or 1d`)
  }
  return Number(match[1]) * UNITS_MS[unit]
}

/** 21600000 → `6h`: as pipeline files write it, in the largest unit that fits. */
export function durationText(ms: number): string {
  const units = Object.entries(UNITS_MS).toReversed()
  const [unit, unitMs] = units.find(([, each]) => ms % each === 0) ?? ['s', UNITS_MS.s]
  return `${ms / unitMs}${unit}`
}

/** For spans of any length, never parsed back: `45 min`, `26 h`, `3 d 2 h`. Rounded down, so that `26 h` is at least that. */
export function formatSpan(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`
  if (minutes < 120) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 72) return `${hours} h`
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** 412 → `0.4 s`, 65000 → `1 min 5 s`. For people, never parsed back. */
export function formatDuration(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
