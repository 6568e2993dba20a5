// The types a contract can promise, and how the three dbt adapters spell them.

/**
 * A column's type, apart from any warehouse. `timestamp` is an instant: with `zoned` the warehouse keeps it as one
 * (TIMESTAMPTZ, BigQuery TIMESTAMP), without it is stored as UTC clock time.
 */
export type ColumnType =
  | { readonly kind: 'string' }
  | { readonly kind: 'int'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'numeric'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'date' }
  | { readonly kind: 'timestamp'; readonly zoned: boolean }
  | { readonly kind: 'time' }
  | { readonly kind: 'json' }

const SPELLINGS: Readonly<Record<string, ColumnType>> = {
  string: { kind: 'string' },
  text: { kind: 'string' },
  varchar: { kind: 'string' },
  'character varying': { kind: 'string' },
  smallint: { kind: 'int', bits: 16 },
  int2: { kind: 'int', bits: 16 },
  int: { kind: 'int', bits: 32 },
  integer: { kind: 'int', bits: 32 },
  int4: { kind: 'int', bits: 32 },
  bigint: { kind: 'int', bits: 64 },
  int8: { kind: 'int', bits: 64 },
  int64: { kind: 'int', bits: 64 },
  real: { kind: 'float', bits: 32 },
  float4: { kind: 'float', bits: 32 },
  float: { kind: 'float', bits: 64 },
  float8: { kind: 'float', bits: 64 },
  float64: { kind: 'float', bits: 64 },
  double: { kind: 'float', bits: 64 },
  'double precision': { kind: 'float', bits: 64 },
  // Without arguments: what DuckDB makes of it (18,3) would bend a fourth digit, so BigQuery's numeric(38,9) it is.
  numeric: { kind: 'numeric', precision: 38, scale: 9 },
  decimal: { kind: 'numeric', precision: 38, scale: 9 },
  boolean: { kind: 'boolean' },
  bool: { kind: 'boolean' },
  date: { kind: 'date' },
  timestamp: { kind: 'timestamp', zoned: false },
  datetime: { kind: 'timestamp', zoned: false },
  'timestamp without time zone': { kind: 'timestamp', zoned: false },
  timestamptz: { kind: 'timestamp', zoned: true },
  'timestamp with time zone': { kind: 'timestamp', zoned: true },
  time: { kind: 'time' },
  json: { kind: 'json' },
  jsonb: { kind: 'json' },
}

export const KNOWN_TYPES = [...Object.keys(SPELLINGS), 'numeric(p,s)', 'varchar(n)']

const MAX_PRECISION = 38

/** `numeric(10, 2)`, `int64`, `VARCHAR(40)` … → its type; undefined for a spelling that is not known. */
export function parseColumnType(text: string): ColumnType | undefined {
  const spelling = text.trim().toLowerCase().replaceAll(/\s+/g, ' ')
  const known = Object.hasOwn(SPELLINGS, spelling) ? SPELLINGS[spelling] : undefined
  if (known !== undefined) return known
  if (/^(varchar|character varying|string) ?\( ?\d+ ?\)$/.test(spelling)) return { kind: 'string' }
  const numeric = /^(?:numeric|decimal|bignumeric) ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)$/.exec(spelling)
  if (numeric === null) return undefined
  const precision = Number(numeric[1])
  const scale = Number(numeric[2] ?? 0)
  return precision >= 1 && precision <= MAX_PRECISION && scale <= precision
    ? { kind: 'numeric', precision, scale }
    : undefined
}

/** The type in the vocabulary's own words: `numeric(10,2)`, `int`, `timestamp`. */
export function columnTypeText(type: ColumnType): string {
  switch (type.kind) {
    case 'numeric':
      return `numeric(${type.precision},${type.scale})`
    case 'int':
      return type.bits === 64 ? 'bigint' : type.bits === 32 ? 'int' : 'smallint'
    case 'float':
      return type.bits === 64 ? 'double' : 'real'
    case 'timestamp':
      return type.zoned ? 'timestamptz' : 'timestamp'
    case 'string':
    case 'boolean':
    case 'date':
    case 'time':
    case 'json':
      return type.kind
  }
}
