// The SQL of a load's second stage: DuckDB reads canonical records as text, each value is checked, then cast.
import { columnTypeText, type ColumnType } from '../pipeline/column-type.ts'
import type { ContractColumn } from '../pipeline/plan.ts'
import { quoteName, quoteText } from '../platform/duckdb.ts'
import { MEBIBYTE, type Dialect } from '../pipeline/dialect.ts'
import { REJECT_COLUMNS } from './rejects.ts'
import { describeExpected, textReader, valueOf, type ReadingRules } from './types.ts'

/** A column of the raw table that comes from the file, and which of a record's fields holds it. */
export interface TypedColumn extends ContractColumn {
  /** Counted from 0; undefined where the file does not have this optional column. */
  readonly field: number | undefined
}

/** A column that no file has. */
export interface ConstantColumn {
  readonly name: string
  readonly value: { readonly kind: 'text'; readonly text: string } | { readonly kind: 'source file' | 'source record' }
  readonly duckdbType: string
  /** Of a text that somebody declared: it has to be of that type. */
  readonly type?: ColumnType
}

/** How the records of one file become rows. */
export interface RowShape {
  readonly columns: readonly TypedColumn[]
  /** The table keeps the texts; they are checked all the same. */
  readonly rawAsText: boolean
  readonly rules: ReadingRules
  readonly constants: readonly ConstantColumn[]
}

/** A file's records as they come out of the pipe (read-thread.ts). */
export interface PipedFile {
  readonly pipe: string
  readonly fields: number
  readonly dialect: Dialect
  /** As it stands in `_source_file`. */
  readonly name: string
}

/** DuckDB's type of a column in the raw table. */
export function rawType(column: ContractColumn, rawAsText: boolean): string {
  return rawAsText ? 'VARCHAR' : textReader(column.type).duckdbType
}

/** Every name of the raw table's row, in the order of rowsQuery. */
export function rowNames(shape: RowShape): string[] {
  return [...shape.columns, ...shape.constants].map(({ name }) => name)
}

/** The rows of the file's good records, in its order. */
export function rowsQuery(shape: RowShape, file: PipedFile): string {
  const values = shape.columns.map(({ name }, index) => `${shape.rawAsText ? 't' : 'v'}${index} AS ${quoteName(name)}`)
  const constants = shape.constants.map(
    ({ name, value, duckdbType }) => `${constantValue(value, file)}::${duckdbType} AS ${quoteName(name)}`,
  )
  const faults = shape.columns.flatMap((column, index) => faultsOf(column, index, shape))
  const good = faults.map(({ isBad }) => `(${isBad}) IS NOT TRUE`)
  return `SELECT ${[...values, ...constants].join(', ')}
    FROM ${typedFields(shape, file, ['n'])}
    ${good.length === 0 ? '' : `WHERE ${good.join(' AND ')}`}`
}

/**
 * REJECT_COLUMNS and `_source_file` of the file's rejects; the pipe must carry the records' origins. `isKeyFault` is a
 * condition over the record number `n` that finds good rows whose key is rejected.
 */
export function rejectsQuery(shape: RowShape, file: PipedFile, key: readonly string[], isKeyFault: string): string {
  const faults = shape.columns.flatMap((column, index) => faultsOf(column, index, shape))
  const keyFault = {
    isBad: 'is_key_fault',
    code: 'duplicate key',
    column: key.join(', '),
    message: "'another record of the load has the same key'",
  }
  const pick = (of: (fault: Fault) => string) =>
    `CASE ${[...faults, keyFault].map((fault) => `WHEN ${fault.isBad} THEN ${of(fault)}`).join(' ')} END`
  const found = `CASE WHEN code IS NOT NULL THEN {'code': code, 'column_name': NULL, 'message': message} ELSE ${pick(
    (fault) =>
      `{'code': ${quoteText(fault.code)}, 'column_name': ${quoteText(fault.column)}, 'message': ${fault.message}}`,
  )} END`
  const names = REJECT_COLUMNS.map(([name]) => name)
  return `SELECT ${names.join(', ')}, ${quoteText(file.name)} AS _source_file
    FROM (SELECT n AS _source_record, line, byte_offset, raw_text, unnest(${found})
      FROM (SELECT *, ${isKeyFault} AS is_key_fault
        FROM ${typedFields(shape, file, ['n', 'line', 'byte_offset', 'code', 'message', 'raw_text'])}))
    WHERE code IS NOT NULL`
}

/** SQL of every value that a rule names, each with what to say where it is none: such a rule would hold for any record. */
export function ruleValues(shape: RowShape): { readonly sql: string; readonly problem: string }[] {
  const { columns, constants, rules } = shape
  const added = constants.flatMap(({ name, value, type }) =>
    type === undefined || value.kind !== 'text'
      ? []
      : {
          sql: valueOf(quoteText(value.text), textReader(type)),
          problem: `added column '${name}': '${value.text}' is not ${describeExpected(columnTypeText(type))}`,
        },
  )
  const ruled = columns.flatMap(({ name, type, accepted = [], min, max }) =>
    [...accepted, min, max]
      .filter((text) => text !== undefined)
      .map((text) => ({
        sql: valueOf(quoteText(text), textReader(type, rules)),
        problem: `rules of column '${name}': '${text}' is not ${describeExpected(columnTypeText(type))}`,
      })),
  )
  return [...added, ...ruled]
}

interface Fault {
  /** SQL that is true for a bad record; NULL is not. */
  readonly isBad: string
  readonly code: string
  readonly column: string
  /** SQL of a text. */
  readonly message: string
}

/** In the order in which they are looked for: a value that is none first, then the column's rules. */
function faultsOf(column: TypedColumn, index: number, { rules }: RowShape): Fault[] {
  const { type, notNull, accepted, min, max } = column
  const text = `t${index}`
  const value = `v${index}`
  const named = (isBad: string, code: string, message: string): Fault => ({ isBad, code, column: column.name, message })
  const saying = (what: string) => `'''' || left(${text}, ${MAX_SHOWN_CHARS}) || ${quoteText(`' ${what}`)}`
  const faults: Fault[] = []
  if (column.field !== undefined && type.kind !== 'string') {
    const typeText = columnTypeText(type)
    faults.push(
      named(
        `${text} IS NOT NULL AND ${value} IS NULL`,
        `not ${typeText}`,
        saying(`is not ${describeExpected(typeText)}`),
      ),
    )
  }
  if (notNull) faults.push(named(`${text} IS NULL`, 'is null', "'a value is missing that must be there'"))
  const reader = textReader(type, rules)
  const literal = (wanted: string) => valueOf(quoteText(wanted), reader)
  if (accepted !== undefined) {
    const list = accepted.map(literal).join(', ')
    faults.push(named(`${value} NOT IN (${list})`, 'not accepted', saying(`is none of ${accepted.join(', ')}`)))
  }
  if (min !== undefined)
    faults.push(named(`${value} < ${literal(min)}`, 'below minimum', saying(`is less than ${min}`)))
  if (max !== undefined)
    faults.push(named(`${value} > ${literal(max)}`, 'above maximum', saying(`is more than ${max}`)))
  return faults
}

const MAX_SHOWN_CHARS = 200

/**
 * Each column's text `t0` and its value `v0` behind the prefix. Two steps, so that a text is cast once however often its
 * value is looked at; the statement must run without filter push-down (load-stream.ts), which would undo that.
 */
function typedFields({ columns, rules }: RowShape, file: PipedFile, prefix: readonly string[]): string {
  const texts = columns.flatMap(({ field, type }, index) => {
    const source = field === undefined ? 'NULL::VARCHAR' : `f${field}`
    return [`${source} AS t${index}`, `${textReader(type, rules).candidate(source)} AS c${index}`]
  })
  const values = columns.flatMap(({ type }, index) => {
    const reader = textReader(type, rules)
    return [`t${index}`, `${valueOf(`t${index}`, reader, `c${index}`)}::${reader.duckdbType} AS v${index}`]
  })
  return `(SELECT ${[...prefix, ...values].join(', ')}
    FROM (SELECT ${[...prefix, ...texts].join(', ')} FROM ${readPipe(file, prefix)}))`
}

function constantValue(value: ConstantColumn['value'], file: PipedFile): string {
  switch (value.kind) {
    case 'text':
      return quoteText(value.text)
    case 'source file':
      return quoteText(file.name)
    case 'source record':
      return 'n'
  }
}

/** Everything about the dialect is said; nothing is left for the reader to guess. */
function readPipe(file: PipedFile, prefix: readonly string[]): string {
  const numbers = new Set(['n', 'line', 'byte_offset'])
  const fields = Array.from({ length: file.fields }, (_, index) => `f${index}`)
  const struct = [...prefix, ...fields]
    .map((name) => `${quoteText(name)}: '${numbers.has(name) ? 'BIGINT' : 'VARCHAR'}'`)
    .join(', ')
  // In UTF-8 a byte can become three, doubled quotes make two of one; the raw text may stand before it.
  const longest = 3 * file.dialect.maxRecordBytes + 64 * 1024
  const options = [
    `columns = {${struct}}`,
    'auto_detect = false',
    'header = false',
    "delim = ','",
    `quote = '"'`,
    `escape = '"'`,
    "nullstr = ''",
    // So that a quoted "" stays the empty string.
    'allow_quoted_nulls = false',
    'strict_mode = true',
    String.raw`new_line = '\n'`,
    `max_line_size = ${longest}`,
    `buffer_size = ${Math.max(longest, 8 * MEBIBYTE)}`,
    "compression = 'none'",
    'hive_partitioning = false',
  ]
  return `read_csv(${quoteText(literalPath(file.pipe))}, ${options.join(', ')})`
}

/** DuckDB takes every path for a glob: a folder `[a]` would be looked for as `a`. */
function literalPath(path: string): string {
  return path.replaceAll(/[[*?]/g, '[$&]')
}
