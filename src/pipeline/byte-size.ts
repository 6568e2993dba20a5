// Sizes as a pipeline file writes them and people read them: 20 GB. Powers of 1,000, as warehouses bill.

export const BYTE_SIZE_PATTERN = /^(\d+(?:\.\d+)?) ?(MB|GB|TB)$/

const UNITS = { MB: 1e6, GB: 1e9, TB: 1e12 } as const

/** `20 GB` → 20,000,000,000. Throws for a text that is no size. */
export function parseByteSize(text: string): number {
  const [, number, unit] = BYTE_SIZE_PATTERN.exec(text) ?? []
  const factor = Object.entries(UNITS).find(([name]) => name === unit)?.[1]
  if (number === undefined || factor === undefined) throw new Error(`not a size: ${text}`)
  return Math.round(Number(number) * factor)
}

/** 1234567890 → `1.23 GB`. */
export function formatByteSize(bytes: number): string {
  const [unit, factor] = Object.entries(UNITS).findLast(([, size]) => bytes >= size) ?? ['MB', UNITS.MB]
  return `${Number((bytes / factor).toPrecision(3))} ${unit}`
}
