// What the warehouses spell differently, and the session in which the shared statements of this folder run.
import type { NewestBy } from '../../ingest/load-stream.ts'
import type { ReadingRules } from '../../ingest/types.ts'
import type { ColumnType } from '../../pipeline/column-type.ts'
import type { Identifier, TableName } from '../../pipeline/identifier.ts'
import type { Relation } from '../../pipeline/plan.ts'

export type SqlValue = string | number | bigint | boolean | null

/** SQL with a `?` for each value; no literal in it holds one. */
export interface Statement {
  readonly sql: string
  readonly values: readonly SqlValue[]
}

/** Types of the columns in Millrace's own tables. */
export type OwnType = 'text' | 'date' | 'timestamp' | 'bigint' | 'integer' | 'double' | 'boolean'

export interface Dialect {
  /** The quoted name. */
  name(...parts: readonly string[]): string
  readonly types: Readonly<Record<OwnType, string>>
  /** The warehouse's type for a raw column of a DuckDB type (ingest/types.ts lists them). */
  rawType(duckdbType: string): string
  /** A type as the warehouse's catalogue spells it, so that two spellings of one type are equal. */
  catalogueType(type: string): string
  /** SQL of the value of a text that a raw table keeps as it came; it has passed the type's pattern (ingest/types.ts). */
  valueOfText(text: string, type: ColumnType, rules: ReadingRules): string
  /** SQL of the instant (a timestamp in UTC) that a date or timestamp means; undefined for other types, as the catalogue spells them. */
  instantOf(value: string, type: string): string | undefined
  /** A value that has an end: a timestamp can be infinite in some warehouses. */
  finite(value: string): string
  /** SQL of a timestamp (UTC) as `2026-11-18T02:00:00Z`. */
  isoText(timestamp: string): string
}

export type Row = Readonly<Record<string, unknown>>

/** What the shared statements need of an open connection. Counts come as number or bigint. */
export interface Session {
  readonly dialect: Dialect
  /** Returns the number of rows that the statement changed, where the warehouse says so. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>
  rows(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>
  /** The same, a part at a time in memory. */
  stream(sql: string, values?: readonly SqlValue[]): AsyncIterable<Row>
  /** Undefined where there is no such table or view. */
  look(relation: TableName | Relation): Promise<FoundRelation | undefined>
  /** Creates the schema where it is missing. */
  ensureSchema(schema: Identifier): Promise<void>
}

/** A table or view as the catalogue has it. */
export interface FoundRelation {
  readonly kind: 'table' | 'view'
  /** In their order, each type as the catalogue spells it. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
}

export function tableSql({ dialect }: Pick<Session, 'dialect'>, { schema, table }: TableName): string {
  return dialect.name(schema, table)
}

/** `database.schema.name` of a relation of dbt's. */
export function relationSql({ dialect }: Pick<Session, 'dialect'>, { database, schema, name }: Relation): string {
  return dialect.name(database, schema, name)
}

/** A parameter of a type of its own: a warehouse cannot guess that of a text that means a date. */
export function typed({ types }: Dialect, type: OwnType): string {
  return type === 'text' ? '?' : `CAST(? AS ${types[type]})`
}

export function placeholders(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ')
}

/** A count column's value. Throws when it is not a whole number that JavaScript can hold. */
export function countOf(value: unknown): number {
  const number = typeof value === 'bigint' || typeof value === 'string' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw new Error(`not a count: ${String(value)}`)
  return number
}

/** One after the other; returns how many rows they changed together. */
export async function runAll(session: Session, statements: readonly Statement[]): Promise<number> {
  let changed = 0
  for (const { sql, values } of statements) changed += await session.run(sql, values)
  return changed
}

/** How new a row is: the column that says so, under the row's alias. */
export function newestSql(
  { dialect }: Pick<Session, 'dialect'>,
  { name, type, asText }: NewestBy,
  alias: string,
): string {
  const stored = `${alias}.${dialect.name(name)}`
  return asText === null ? stored : dialect.valueOfText(stored, type, asText)
}
