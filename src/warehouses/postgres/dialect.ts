// Postgres's spelling. Types are written as its catalogue has them (format_type), so that the two compare.
import type { ReadingRules } from '../../ingest/types.ts'
import type { ColumnType } from '../../pipeline/column-type.ts'
import { quoteName, quoteText } from '../../platform/duckdb.ts'
import type { Dialect } from '../sql/dialect.ts'

const TIMESTAMP = 'timestamp without time zone'
const TIMESTAMPTZ = 'timestamp with time zone'
const TIME = 'time without time zone'

const RAW_TYPES: Readonly<Record<string, string>> = {
  VARCHAR: 'text',
  SMALLINT: 'smallint',
  INTEGER: 'integer',
  BIGINT: 'bigint',
  REAL: 'real',
  DOUBLE: 'double precision',
  BOOLEAN: 'boolean',
  DATE: 'date',
  TIMESTAMP,
  TIMESTAMPTZ,
  TIME,
  // Not jsonb, which would bend it: the text stays as the file had it.
  JSON: 'json',
}

export const POSTGRES_DIALECT: Dialect = {
  // Postgres quotes names as DuckDB does: both took it from the standard.
  name: quoteName,
  types: {
    text: 'text',
    date: 'date',
    timestamp: TIMESTAMP,
    bigint: 'bigint',
    integer: 'integer',
    double: 'double precision',
    boolean: 'boolean',
  },
  rawType: postgresType,
  catalogueType: (type) => (type === 'character varying' ? 'text' : type),
  valueOfText,
  instantOf: (value, type) =>
    /^timestamp(\(\d\))? with time zone$/.test(type)
      ? `${value} AT TIME ZONE 'UTC'`
      : /^(date|timestamp(\(\d\))? without time zone)$/.test(type)
        ? `CAST(${value} AS ${TIMESTAMP})`
        : undefined,
  finite: (value) => `CASE WHEN isfinite(${value}) THEN ${value} END`,
  isoText: (timestamp) => `to_char(${timestamp}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`,
}

export function postgresType(duckdbType: string): string {
  const known = RAW_TYPES[duckdbType]
  if (known !== undefined) return known
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(duckdbType) ?? []
  if (precision === undefined || scale === undefined) throw new Error(`no type of Postgres for ${duckdbType}`)
  return `numeric(${precision},${scale})`
}

/** An offset, or the zone that the entry names, says which instant a timestamp is; the session's own zone is UTC. */
function valueOfText(text: string, type: ColumnType, { decimal, timeZone }: ReadingRules): string {
  const number = decimal === ',' ? `replace(${text}, ',', '.')` : text
  switch (type.kind) {
    case 'string':
    case 'json':
      return `${text} COLLATE "C"`
    case 'int':
      return `CAST(${text} AS numeric)`
    case 'float':
      return `CAST(${number} AS double precision)`
    case 'numeric':
      return `CAST(${number} AS numeric)`
    case 'timestamp':
      return `CASE WHEN ${text} ~ '(Z|[+-][0-9]{2}(:[0-9]{2}|[0-9]{2}){0,1})$' AND length(${text}) > 19
        THEN CAST(${text} AS ${TIMESTAMPTZ})
        ELSE CAST(${text} AS ${TIMESTAMP}) AT TIME ZONE ${quoteText(timeZone)} END`
    case 'boolean':
    case 'date':
      return `CAST(${text} AS ${type.kind})`
    case 'time':
      return `CAST(${text} AS ${TIME})`
  }
}
