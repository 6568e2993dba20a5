// Rows as BigQuery sends them → JavaScript values that lose nothing.
import type { Field } from './rest.ts'

/**
 * INT64 comes as bigint, FLOAT64 as number, BOOL as boolean; NUMERIC and BIGNUMERIC as the digits they are; TIMESTAMP as
 * ISO 8601 in UTC, DATE, TIME, DATETIME and JSON as their texts; ARRAY and STRUCT as arrays and objects of these.
 */
export type Row = Readonly<Record<string, unknown>>

interface Cell {
  readonly v?: unknown
}

export function decodeRow(fields: readonly Field[], row: { readonly f?: readonly Cell[] | undefined }): Row {
  return Object.fromEntries(fields.map((field, index) => [field.name ?? '', decodeCell(field, row.f?.[index]?.v)]))
}

function decodeCell(field: Field, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (field.mode === 'REPEATED') {
    return (value as Cell[]).map(({ v }) => decodeCell({ ...field, mode: 'NULLABLE' }, v)) // the API's form of an array
  }
  if (typeof value === 'object') return decodeRow(field.fields ?? [], value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return (DECODERS[field.type ?? ''] ?? String)(text)
}

const DECODERS: Readonly<Record<string, (text: string) => unknown>> = {
  INTEGER: BigInt,
  INT64: BigInt,
  FLOAT: floatOf,
  FLOAT64: floatOf,
  BOOLEAN: isTrue,
  BOOL: isTrue,
  TIMESTAMP: timestampText,
}

/** `NaN`, `Infinity` and `-Infinity` are written as JavaScript reads them; `inf` is another's word for it. */
function floatOf(text: string): number {
  return /^[+-]?inf$/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

function isTrue(text: string): boolean {
  return text.toLowerCase() === 'true'
}

/** Microseconds since 1970, as we ask for them, or seconds with a fraction where the server does not know that wish. */
function timestampText(text: string): string {
  if (/^\d{4}-/.test(text)) return text
  const micros = /^-?\d+$/.test(text) ? BigInt(text) : BigInt(Math.round(Number(text) * 1e6))
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((micros - fraction) / 1000n)).toISOString().replace(/\.000Z$/, '')
  // Six digits as BigQuery itself shows them, none where there is nothing behind the second.
  return fraction === 0n ? `${seconds}Z` : `${seconds}.${String(fraction).padStart(6, '0')}Z`
}
