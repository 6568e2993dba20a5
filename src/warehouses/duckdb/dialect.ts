// DuckDB's spelling.
import { textReader, valueOf } from '../../ingest/types.ts'
import { quoteName } from '../../platform/duckdb.ts'
import type { Dialect } from '../sql/dialect.ts'

/** Of the warehouse file as it is attached to the engine, under `database`; a relation of dbt's names its own. */
export function duckdbDialect(database: string): Dialect {
  return {
    name: (...parts) => (parts.length === 2 ? quoteName(database, ...parts) : quoteName(...parts)),
    types: {
      text: 'VARCHAR',
      date: 'DATE',
      timestamp: 'TIMESTAMP',
      bigint: 'BIGINT',
      integer: 'INTEGER',
      double: 'DOUBLE',
      boolean: 'BOOLEAN',
    },
    rawType: (duckdbType) => duckdbType,
    catalogueType: (type) => SPELLINGS[type] ?? type,
    valueOfText: (text, type, rules) => valueOf(text, textReader(type, rules)),
    instantOf: (value, type) =>
      type === 'TIMESTAMP WITH TIME ZONE'
        ? `make_timestamp(epoch_us(${value}))`
        : /^(DATE|TIMESTAMP(_(S|MS|NS))?)$/.test(type)
          ? `CAST(${value} AS TIMESTAMP)`
          : undefined,
    finite: (value) => `CASE WHEN isfinite(${value}) THEN ${value} END`,
    isoText: (timestamp) => `strftime(${timestamp}, '%Y-%m-%dT%H:%M:%SZ')`,
  }
}

const SPELLINGS: Readonly<Record<string, string>> = { TIMESTAMPTZ: 'TIMESTAMP WITH TIME ZONE', REAL: 'FLOAT' }
