// How each contract type is read from text in DuckDB: the exact pattern that a text must match, and the cast behind it.
import type { ColumnType } from '../pipeline/column-type.ts'

/** SQL over a VARCHAR expression; both take the expression's SQL and return SQL. */
export interface TextReader {
  /** DuckDB's type of the result. */
  readonly duckdbType: string
  /** RE2 pattern of the whole text; undefined where any text is right. TRY_CAST alone would bend ('1.5' → 2). */
  readonly pattern: string | undefined
  /** NULL where the value does not exist (2026-02-30) or does not fit (a 40000 in a smallint). */
  readonly cast: (text: string) => string
}

const DATE = String.raw`\d{4}-\d{2}-\d{2}`
/** A fraction past microseconds may only be zeros: nothing that was written is dropped. */
const CLOCK = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6}0*)?`
/** Clocks are at most 14 hours off; DuckDB would take +99:99 as well. */
const OFFSET = String.raw`(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?`
const INT = String.raw`[+-]?\d+`
const FLOAT = String.raw`[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?`

const TRUE_WORDS = ['true', 't', 'yes', 'y', '1']
const FALSE_WORDS = ['false', 'f', 'no', 'n', '0']

export function textReader(type: ColumnType): TextReader {
  switch (type.kind) {
    case 'string':
      return { duckdbType: 'VARCHAR', pattern: undefined, cast: (text) => text }
    case 'int':
      return reader({ 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[type.bits], INT)
    case 'float': {
      const duckdbType = { 32: 'REAL', 64: 'DOUBLE' }[type.bits]
      const cast = (text: string) =>
        `CASE WHEN isfinite(TRY_CAST(${text} AS ${duckdbType})) THEN TRY_CAST(${text} AS ${duckdbType}) END`
      return { duckdbType, pattern: FLOAT, cast }
    }
    case 'numeric':
      return reader(`DECIMAL(${type.precision},${type.scale})`, numericPattern(type.precision, type.scale))
    case 'boolean':
      return {
        duckdbType: 'BOOLEAN',
        pattern: `(?i)(${[...TRUE_WORDS, ...FALSE_WORDS].join('|')})`,
        cast: (text) => `lower(${text}) IN (${TRUE_WORDS.map((word) => `'${word}'`).join(', ')})`,
      }
    case 'date':
      return reader('DATE', DATE)
    case 'timestamp': {
      // A text without an offset is UTC: the engine's time zone.
      const instant = (text: string) => `TRY_CAST(${text} AS TIMESTAMPTZ)`
      return {
        duckdbType: type.zoned ? 'TIMESTAMPTZ' : 'TIMESTAMP',
        pattern: `${DATE}[T ]${CLOCK}${OFFSET}`,
        cast: type.zoned ? instant : (text) => `(${instant(text)} AT TIME ZONE 'UTC')`,
      }
    }
    case 'time':
      return reader('TIME', CLOCK)
    case 'json':
      return {
        duckdbType: 'JSON',
        pattern: undefined,
        cast: (text) => `CASE WHEN json_valid(${text}) THEN ${text}::JSON END`,
      }
  }
}

function reader(duckdbType: string, pattern: string): TextReader {
  return { duckdbType, pattern, cast: (text) => `TRY_CAST(${text} AS ${duckdbType})` }
}

/** At most precision − scale digits before the point and scale behind it; zeros at either end do not count. */
function numericPattern(precision: number, scale: number): string {
  const whole = `0*\\d{1,${Math.max(1, precision - scale)}}(\\.\\d{0,${scale}}0*)?`
  // RE2 has no look-ahead to ask for one digit at least, so a number that begins with its point stands on its own.
  return scale === 0 ? `[+-]?${whole}` : `[+-]?(${whole}|\\.\\d{1,${scale}}0*)`
}

/** `an int`, `a date`: for messages. */
export function describeExpected(text: string): string {
  return /^[aeiou]/.test(text) ? `an ${text}` : `a ${text}`
}
