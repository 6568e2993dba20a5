// BigQuery's types: what a raw column of the engine becomes, and how the API and SQL spell one and the same.
import type { Field } from '../../platform/bigquery/rest.ts'

const RAW_TYPES: Readonly<Record<string, string>> = {
  VARCHAR: 'STRING',
  // As text: BigQuery's JSON would reorder keys and bend numbers, and JSON_VALUE reads a STRING as well.
  JSON: 'STRING',
  SMALLINT: 'INT64',
  INTEGER: 'INT64',
  BIGINT: 'INT64',
  REAL: 'FLOAT64',
  DOUBLE: 'FLOAT64',
  BOOLEAN: 'BOOL',
  DATE: 'DATE',
  // Both kinds: Power BI's DirectQuery breaks on DATETIME, and Millrace stores UTC anyway.
  TIMESTAMP: 'TIMESTAMP',
  TIMESTAMPTZ: 'TIMESTAMP',
  TIME: 'TIME',
}

/** NUMERIC holds 29 digits before the point and 9 behind it, BIGNUMERIC 38 and 38: every contract's number is exact. */
export function rawType(duckdbType: string): string {
  const known = RAW_TYPES[duckdbType]
  if (known !== undefined) return known
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(duckdbType) ?? []
  if (precision === undefined) throw new Error(`no type in BigQuery for ${duckdbType}`)
  return Number(scale) <= 9 && Number(precision) - Number(scale) <= 29 ? 'NUMERIC' : 'BIGNUMERIC'
}

/** The value of a raw column as Parquet carries it into a column of rawType. */
export function exported(column: string, duckdbType: string): string {
  switch (duckdbType) {
    case 'JSON':
      return `${column}::VARCHAR`
    case 'SMALLINT':
    case 'INTEGER':
      return `${column}::BIGINT`
    case 'REAL':
      return `${column}::DOUBLE`
    case 'TIMESTAMP':
      // With the zone, Parquet says that it is an instant.
      return `${column} AT TIME ZONE 'UTC'`
    default:
      return column
  }
}

const SQL_NAMES: Readonly<Record<string, string>> = {
  INTEGER: 'INT64',
  FLOAT: 'FLOAT64',
  BOOLEAN: 'BOOL',
  DECIMAL: 'NUMERIC',
  BIGDECIMAL: 'BIGNUMERIC',
}

/** A field of the API as SQL writes its type: `NUMERIC(10, 2)`, `ARRAY<STRUCT<a INT64>>`. */
export function typeText(field: Field): string {
  const { type = '', mode, precision, scale, maxLength, fields = [] } = field
  if (mode === 'REPEATED') return `ARRAY<${typeText({ ...field, mode: 'NULLABLE' })}>`
  if (type === 'RECORD' || type === 'STRUCT') {
    return `STRUCT<${fields.map((inner) => `${inner.name} ${typeText(inner)}`).join(', ')}>`
  }
  const name = SQL_NAMES[type] ?? type
  if (precision !== undefined) return `${name}(${precision}${scale === undefined ? '' : `, ${scale}`})`
  return maxLength === undefined ? name : `${name}(${maxLength})`
}

/** Two spellings of one type become one. */
export function sameSpelling(type: string): string {
  const text = type
    .toUpperCase()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([(),<>]) ?/g, '$1')
  return text.replaceAll(/\b(?:INTEGER|FLOAT|BOOLEAN|DECIMAL|BIGDECIMAL)\b/g, (name) => SQL_NAMES[name] ?? name)
}
