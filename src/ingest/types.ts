// How each contract type is read from text in DuckDB: the exact pattern that a text must match, and the cast behind it.
import type { ColumnType } from '../pipeline/column-type.ts'
import { quoteText } from '../platform/duckdb.ts'

/** SQL over a VARCHAR expression: everything takes SQL and returns SQL. */
export interface TextReader {
  /** DuckDB's type of the result. */
  readonly duckdbType: string
  /** RE2 pattern of the whole text; undefined where `value` decides alone. TRY_CAST by itself would bend ('1.5' → 2). */
  readonly pattern: string | undefined
  /** What DuckDB makes of any text, right or wrong: worked out once, used several times. */
  readonly candidate: (text: string) => string
  /** Cheaper than the pattern, true only for texts that it would take as well: spares most values the pattern. */
  readonly shortcut?: (text: string, candidate: string) => string
  /** Of a text of the right form; NULL where there is no such value (2026-02-30) or it does not fit (40000, a smallint). */
  readonly value: (text: string, candidate: string) => string
}

/** What of an entry's declaration decides how a text is read. */
export interface ReadingRules {
  readonly decimal: '.' | ','
  /** The IANA zone of timestamps that name no offset. */
  readonly timeZone: string
}

export const DEFAULT_RULES: ReadingRules = { decimal: '.', timeZone: 'UTC' }

const DATE = String.raw`\d{4}-\d{2}-\d{2}`
/** A fraction past microseconds may only be zeros: nothing that was written is dropped. */
const CLOCK = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6}0*)?`
/** Clocks are at most 14 hours off; DuckDB would take +99:99 as well. */
const OFFSET = String.raw`(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?`
const INT = String.raw`[+-]?\d+`
const FLOAT = String.raw`[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?`

const TRUE_WORDS = ['true', 't', 'yes', 'y', '1']
const FALSE_WORDS = ['false', 'f', 'no', 'n', '0']

export function textReader(type: ColumnType, rules: ReadingRules = DEFAULT_RULES): TextReader {
  const reader = pointReader(type, rules)
  if (rules.decimal === '.' || reader.pattern === undefined || (type.kind !== 'float' && type.kind !== 'numeric')) {
    return reader
  }
  return {
    ...reader,
    pattern: reader.pattern.replaceAll(String.raw`\.`, ','),
    candidate: (text) => reader.candidate(`replace(${text}, ',', '.')`),
  }
}

/** The value of a text, NULL where it has none, as SQL. `candidate` names what the reader's candidate gave, if it was asked. */
export function valueOf(text: string, reader: TextReader, candidate = reader.candidate(text)): string {
  const { pattern, shortcut } = reader
  const value = reader.value(text, candidate)
  if (pattern === undefined) return value
  const right = `regexp_full_match(${text}, ${quoteText(pattern)})`
  return shortcut === undefined
    ? `CASE WHEN ${right} THEN ${value} END`
    : `CASE WHEN ${shortcut(text, candidate)} THEN ${value} WHEN ${right} THEN ${value} END`
}

function pointReader(type: ColumnType, { timeZone }: ReadingRules): TextReader {
  switch (type.kind) {
    case 'string':
      return { duckdbType: 'VARCHAR', pattern: undefined, candidate: () => 'NULL', value: (text) => text }
    case 'int':
      return { ...castReader({ 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[type.bits], INT), shortcut: writtenAs() }
    case 'float': {
      const reader = castReader({ 32: 'REAL', 64: 'DOUBLE' }[type.bits], FLOAT)
      // Neither too large nor too small: `1e-400` is no 0.
      const fits = (text: string, found: string) =>
        `isfinite(${found}) AND (${found} <> 0 OR NOT regexp_matches(${text}, '^[^eE]*[1-9]'))`
      return { ...reader, value: (text, found) => `CASE WHEN ${fits(text, found)} THEN ${found} END` }
    }
    case 'numeric':
      return castReader(`DECIMAL(${type.precision},${type.scale})`, numericPattern(type.precision, type.scale))
    case 'boolean':
      return {
        duckdbType: 'BOOLEAN',
        pattern: `(?i)(${[...TRUE_WORDS, ...FALSE_WORDS].join('|')})`,
        candidate: (text) => `${text} = 'true'`,
        shortcut: (text, candidate) => `${candidate} OR ${text} = 'false'`,
        value: (text, candidate) =>
          `(${candidate} OR lower(${text}) IN (${TRUE_WORDS.map((word) => `'${word}'`).join(', ')}))`,
      }
    case 'date':
      return { ...castReader('DATE', DATE), shortcut: writtenAs(10) }
    case 'timestamp':
      return timestampReader(type.zoned ? 'TIMESTAMPTZ' : 'TIMESTAMP', timeZone)
    case 'time':
      return castReader('TIME', CLOCK)
    case 'json':
      return {
        duckdbType: 'JSON',
        pattern: undefined,
        candidate: () => 'NULL',
        value: (text) => `CASE WHEN json_valid(${text}) AND NOT ${bendsJson(text)} THEN ${text}::JSON END`,
      }
  }
}

function timestampReader(duckdbType: 'TIMESTAMP' | 'TIMESTAMPTZ', timeZone: string): TextReader {
  const pattern = `${DATE}[T ]${CLOCK}${OFFSET}`
  const stored = (instant: string) => (duckdbType === 'TIMESTAMPTZ' ? instant : `(${instant} AT TIME ZONE 'UTC')`)
  // Only texts of the right form are cast to an instant: DuckDB reads `10:00:00 CET`, and then every text behind it that
  // names no offset as Central European Time, too. The engine's own zone is UTC.
  if (timeZone === 'UTC') {
    const candidate = (text: string) =>
      `CASE WHEN strlen(${text}) = 19 THEN TRY_CAST(${text} AS TIMESTAMP) ` +
      `WHEN regexp_full_match(${text}, ${quoteText(pattern)}) THEN (TRY_CAST(${text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC') END`
    return {
      duckdbType,
      pattern,
      candidate,
      shortcut: writtenAs(19),
      value: (_text, found) => (duckdbType === 'TIMESTAMP' ? found : `(${found} AT TIME ZONE 'UTC')`),
    }
  }
  return { duckdbType, pattern, candidate: () => 'NULL', value: (text) => stored(zonedInstant(text, timeZone)) }
}

/**
 * The instant of a text without an offset on the clocks of a zone. NULL for a time that the clocks skip (in spring), and
 * for one that they show twice (in autumn): nobody knows which of the two is meant. A day before and a day after, the
 * zone's offsets are those on either side of a change, however large it is (half an hour on Lord Howe Island).
 */
function zonedInstant(text: string, timeZone: string): string {
  const zone = quoteText(timeZone)
  const local = `TRY_CAST(${text} AS TIMESTAMP)`
  const shown = (utc: string) => `(${utc} AT TIME ZONE 'UTC' AT TIME ZONE ${zone})`
  const withOffsetOf = (day: string) => `(${local} - (${shown(`(${day})`)} - (${day})))`
  const before = withOffsetOf(`${local} - INTERVAL 1 DAY`)
  const after = withOffsetOf(`${local} + INTERVAL 1 DAY`)
  const isShown = (utc: string) => `${shown(utc)} = ${local}`
  return `CASE WHEN regexp_matches(${text}, '(Z|[+-]\\d\\d(:?\\d\\d)?)$') AND strlen(${text}) > 19
    THEN TRY_CAST(${text} AS TIMESTAMPTZ)
    WHEN ${before} = ${after} THEN ${before} AT TIME ZONE 'UTC'
    WHEN ${isShown(before)} AND NOT ${isShown(after)} THEN ${before} AT TIME ZONE 'UTC'
    WHEN ${isShown(after)} AND NOT ${isShown(before)} THEN ${after} AT TIME ZONE 'UTC' END`
}

/** DuckDB takes NaN, Infinity, comments and trailing commas for JSON; outside its texts, JSON has nothing like them. */
function bendsJson(text: string): string {
  const outside = `regexp_replace(${text}, '"([^"\\\\]|\\\\.)*"', '""', 'g')`
  return `regexp_matches(${outside}, '(?i)nan|inf|/|,\\s*[\\]}]')`
}

function castReader(duckdbType: string, pattern: string): TextReader {
  const candidate = (text: string) => `TRY_CAST(${text} AS ${duckdbType})`
  return { duckdbType, pattern, candidate, value: (_text, found) => found }
}

/** A text that is just what DuckDB writes for its value is right. The length keeps `infinity` and other eras out. */
function writtenAs(length?: number): (text: string, candidate: string) => string {
  return (text, candidate) =>
    `${length === undefined ? '' : `strlen(${text}) = ${length} AND `}${candidate}::VARCHAR = ${text}`
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
