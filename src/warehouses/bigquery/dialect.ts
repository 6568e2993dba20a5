// BigQuery's spelling.
import type { ReadingRules } from '../../ingest/types.ts'
import type { ColumnType } from '../../pipeline/column-type.ts'
import type { Parameter } from '../../platform/bigquery/query.ts'
import type { Dialect, SqlValue, Statement } from '../sql/dialect.ts'
import { rawType, sameSpelling } from './types.ts'

/** Of a project's datasets; a relation of dbt's names its own project. */
export function bigqueryDialect(project: string): Dialect {
  return {
    name: (...parts) => (parts.length === 2 ? quoteName(project, ...parts) : quoteName(...parts)),
    types: {
      text: 'STRING',
      date: 'DATE',
      timestamp: 'TIMESTAMP',
      bigint: 'INT64',
      integer: 'INT64',
      double: 'FLOAT64',
      boolean: 'BOOL',
    },
    rawType,
    catalogueType: sameSpelling,
    valueOfText,
    instantOf: (value, type) => (/^(DATE|DATETIME|TIMESTAMP)$/.test(type) ? `CAST(${value} AS TIMESTAMP)` : undefined),
    finite: (value) => value,
    isoText: (timestamp) => `FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', ${timestamp})`,
  }
}

export function quoteName(...parts: readonly string[]): string {
  return parts.map((part) => `\`${part.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``).join('.')
}

/** A text as a literal; its line ends must be escaped, all other characters may stand as they are. */
export function quoteText(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', "'": "\\'", '\n': '\\n', '\r': '\\r' }
  return `'${text.toWellFormed().replaceAll(/[\\'\n\r]/g, (char) => escapes[char] ?? char)}'`
}

/** One statement with named parameters in the place of its `?`. */
export function withParameters({ sql, values }: Statement): {
  readonly sql: string
  readonly parameters: Readonly<Record<string, Parameter>>
} {
  return {
    sql: fillIn(
      sql,
      values.map((_, index) => `@p${index}`),
    ),
    parameters: Object.fromEntries(values.map((value, index) => [`p${index}`, parameterOf(value)])),
  }
}

/**
 * Statements as one script, with literals in the place of their `?`: the emulator of our tests knows no parameters in
 * scripts, and the values are names, dates and digests.
 */
export function withLiterals({ sql, values }: Statement): string {
  return fillIn(sql, values.map(literalOf))
}

/** No literal in a statement holds a `?` (sql/dialect.ts). */
function fillIn(sql: string, values: readonly string[]): string {
  let next = 0
  const filled = sql.replaceAll('?', () => values[next++] ?? '?')
  if (next !== values.length) throw new Error(`${values.length} values for ${next} places in: ${sql}`)
  return filled
}

function parameterOf(value: SqlValue): Parameter {
  if (value === null || typeof value === 'string') return { type: 'STRING', value }
  if (typeof value === 'boolean') return { type: 'BOOL', value: String(value) }
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value)
  return { type: isWhole ? 'INT64' : 'FLOAT64', value: String(value) }
}

function literalOf(value: SqlValue): string {
  if (value === null) return 'NULL'
  return typeof value === 'string' ? quoteText(value) : String(value).toUpperCase()
}

/** The text has passed the type's pattern (ingest/types.ts); SAFE_CAST because a pattern does not know a 30th of February. */
function valueOfText(text: string, type: ColumnType, rules: ReadingRules): string {
  const point = rules.decimal === ',' ? `REPLACE(${text}, ',', '.')` : text
  switch (type.kind) {
    case 'string':
    case 'json':
      return text
    case 'int':
      return `SAFE_CAST(${text} AS INT64)`
    case 'float':
      return `SAFE_CAST(${point} AS FLOAT64)`
    case 'numeric':
      return `SAFE_CAST(${point} AS BIGNUMERIC)`
    case 'boolean':
      return `LOWER(${text}) IN ('true', 't', 'yes', 'y', '1')`
    case 'date':
      return `SAFE_CAST(${text} AS DATE)`
    case 'time':
      return `SAFE_CAST(${text} AS TIME)`
    case 'timestamp':
      return instantOfText(text, rules.timeZone)
  }
}

/**
 * BigQuery wants the colon in +01:00, and at most six digits behind the second (what stands behind those are zeros).
 * `{0,1}` because a `?` would be taken for a value's place.
 */
function instantOfText(text: string, timeZone: string): string {
  const colon = String.raw`REGEXP_REPLACE(${text}, r'([+-]\d\d)(\d\d)$', r'\1:\2')`
  const written = String.raw`REGEXP_REPLACE(${colon}, r'(\.\d{6})0+', r'\1')`
  const instant = `SAFE_CAST(${written} AS TIMESTAMP)`
  if (timeZone === 'UTC') return instant
  const namesOffset = String.raw`REGEXP_CONTAINS(SUBSTR(${text}, 20), r'(Z|[+-]\d\d(:\d\d|\d\d){0,1})$')`
  return `IF(${namesOffset}, ${instant}, TIMESTAMP(SAFE_CAST(${written} AS DATETIME), ${quoteText(timeZone)}))`
}
