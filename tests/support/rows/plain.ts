// What a warehouse answers, in JavaScript's own values: the one place where three drivers' spellings become one.

export type PlainValue = null | boolean | number | bigint | string
export type PlainRow = Record<string, PlainValue>

/** What a column holds, however its warehouse calls the type. */
export type PlainKind = 'integer' | 'float' | 'decimal' | 'boolean' | 'time' | 'microseconds' | 'text'

/**
 * A value of a column from the text that its warehouse writes for it:
 * integers are numbers, and beyond 2^53 bigints; floats are numbers; decimals are texts without zeros at their end; dates
 * and times are `2026-01-05`, `10:00:00.5`, `2026-01-05 10:00:00.123456`, without zeros at the end of a fraction, in UTC, and
 * so are moments that come as microseconds since 1970.
 */
export function plainValue(kind: PlainKind, text: string | null): PlainValue {
  if (text === null) return null
  switch (kind) {
    case 'integer':
      return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
    case 'float':
      return Number(text)
    case 'decimal':
      return decimalOf(text)
    case 'boolean':
      return text === 'true' || text === 't'
    case 'time':
      return text
        .replace(/(?<=\d)T(?=\d)/, ' ')
        .replace(/(Z|\+00(:00)?)$/, '')
        .replace(/(?<=\.\d*)0+$|\.0*$/, '')
    case 'microseconds':
      return plainValue('time', momentOf(BigInt(text)))
    case 'text':
      return text
  }
}

function momentOf(microseconds: bigint): string {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((microseconds - fraction) / 1000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(fraction).padStart(6, '0')}`
}

/** `1.10` → `1.1`, `.5` → `0.5`, `-1E-9` → `-0.000000001`. */
function decimalOf(text: string): string {
  const parts = /^(-?)(\d*)\.?(\d*)(?:E([+-]?\d+))?$/.exec(text)
  if (parts === null) throw new Error(`not a decimal: ${text}`)
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts
  const scale = fraction.length - Number(exponent)
  const digits = `${whole}${fraction}${'0'.repeat(Math.max(0, -scale))}`.padStart(scale + 1, '0')
  const point = digits.length - Math.max(0, scale)
  const left = digits.slice(0, point).replace(/^0+(?=\d)/, '')
  const right = digits.slice(point).replace(/0+$/, '')
  const number = right === '' ? left : `${left}.${right}`
  return number === '0' ? '0' : `${sign}${number}`
}
