// Stage 3 of a load: DuckDB reads the scanned file as text, each value is checked against its type's pattern, then cast.
import type { ContractColumn } from '../pipeline/plan.ts'
import { columnTypeText } from '../pipeline/column-type.ts'
import { failure } from '../pipeline/failure.ts'
import { asCount, quoteName, quoteText, type Engine } from '../platform/duckdb.ts'
import { MAX_RECORD_BYTES } from './csv/scan.ts'
import { describeExpected, textReader, type TextReader } from './types.ts'

/** A file that DuckDB may read with a fixed dialect: every record sound, all line ends alike. */
export interface CleanFile {
  readonly path: string
  /** The columns in the file's order. */
  readonly header: readonly string[]
  /** Whether each record begins with its number in the original file (a copy) or is simply the n-th (the original). */
  readonly numbered: boolean
  readonly records: number
}

/** A value that is not of its column's type. */
export interface TypeReject {
  readonly recordNumber: number
  readonly column: string
  readonly message: string
}

/** Name of the table that typing leaves in the engine, and of its two columns besides the contract's. */
export const TYPED_TABLE = 'typed'
export const RECORD_COLUMN = '_source_record'
const BAD_COLUMN = '_bad_column'
const BAD_VALUE = '_bad_value'
/** SQL condition over TYPED_TABLE: the rows to load. */
export const IS_GOOD = `${BAD_COLUMN} IS NULL`

const MAX_SHOWN_CHARS = 200

/**
 * Fills TYPED_TABLE and returns the rejects. Fails with CountsDisagree when DuckDB's reader counts other records than
 * our scanner did: then one of the two has misread the file, and nothing may be loaded.
 */
export async function typeFile(
  engine: Engine,
  file: CleanFile,
  contract: readonly ContractColumn[],
): Promise<TypeReject[]> {
  await engine.run(`CREATE OR REPLACE TABLE ${TYPED_TABLE} AS ${typedQuery(file, contract)}`)
  const [counted] = await engine.rows(`SELECT count(*) AS records FROM ${TYPED_TABLE}`)
  const records = asCount(counted?.['records'])
  if (records !== file.records) {
    throw failure(
      'CountsDisagree',
      `${file.path}: our scan found ${file.records} sound records, DuckDB's reader ${records}; ` +
        `nothing was loaded. Please report this file as a bug of Millrace`,
    )
  }
  const rejects = await engine.rows(
    `SELECT ${RECORD_COLUMN}, ${BAD_COLUMN}, ${BAD_VALUE} FROM ${TYPED_TABLE} WHERE ${BAD_COLUMN} IS NOT NULL ORDER BY 1`,
  )
  const types = new Map(contract.map(({ name, type }) => [String(name), columnTypeText(type)]))
  return rejects.map((row) => {
    const column = String(row[BAD_COLUMN])
    const expected = describeExpected(types.get(column) ?? 'known type')
    return {
      recordNumber: asCount(row[RECORD_COLUMN]),
      column,
      message: `'${String(row[BAD_VALUE]).slice(0, MAX_SHOWN_CHARS)}' is not ${expected}`,
    }
  })
}

function typedQuery(file: CleanFile, contract: readonly ContractColumn[]): string {
  const recordNumber = file.numbered ? `${quoteName(RECORD_COLUMN)}::BIGINT` : 'row_number() OVER ()'
  const columns = contract.map(({ name, type }) => ({
    name: quoteText(name),
    text: quoteName(name),
    value: quoteName(`_value_${name}`),
    reader: textReader(type),
  }))
  const values = columns.map(({ text, value, reader }) => `${text}, ${valueOf(text, reader)} AS ${value}`)
  const faults = columns.filter(({ reader }) => reader.duckdbType !== 'VARCHAR')
  const pick = (result: 'name' | 'text') =>
    faults.length === 0
      ? 'NULL::VARCHAR'
      : `CASE ${faults.map((fault) => `WHEN ${fault.text} IS NOT NULL AND ${fault.value} IS NULL THEN ${fault[result]}`).join(' ')} END`
  return `SELECT ${RECORD_COLUMN}, ${columns.map(({ text, value }) => `${value} AS ${text}`).join(', ')},
      ${pick('name')} AS ${BAD_COLUMN}, ${pick('text')} AS ${BAD_VALUE}
    FROM (SELECT ${recordNumber} AS ${RECORD_COLUMN}, ${values.join(', ')} FROM ${readerCall(file)})`
}

/**
 * The text's value, NULL where it has none. Only texts of the right form are cast: DuckDB reads `10:00:00 CET`, and then
 * every text behind it that names no offset as Central European Time, too.
 */
function valueOf(text: string, { pattern, cast, duckdbType }: TextReader): string {
  const value = `${cast(text)}::${duckdbType}`
  return pattern === undefined ? value : `CASE WHEN regexp_full_match(${text}, ${quoteText(pattern)}) THEN ${value} END`
}

/** Everything about the dialect is said; nothing is left for the reader to guess. */
function readerCall(file: CleanFile): string {
  const columns = [...(file.numbered ? [RECORD_COLUMN] : []), ...file.header]
  const struct = columns.map((column) => `${quoteText(column)}: 'VARCHAR'`).join(', ')
  const options = [
    `columns = {${struct}}`,
    'auto_detect = false',
    `header = ${file.numbered ? 'false' : 'true'}`,
    "delim = ','",
    `quote = '"'`,
    `escape = '"'`,
    "nullstr = ''",
    // So that a quoted "" stays the empty string.
    'allow_quoted_nulls = false',
    'strict_mode = true',
    `max_line_size = ${MAX_RECORD_BYTES + 64}`,
    // Else the file's name is read, too: `.gz` unpacked, and a folder `date=2026-01-05` put over the column `date`.
    "compression = 'none'",
    'hive_partitioning = false',
    // Else the first line end decides, and in a copy (no header) that may be one inside quotes.
    ...(file.numbered ? [String.raw`new_line = '\n'`] : []),
  ]
  return `read_csv(${quoteText(literalPath(file.path))}, ${options.join(', ')})`
}

/** DuckDB takes every path for a glob: `logs[1].csv` would be read from `logs1.csv`. */
function literalPath(path: string): string {
  return path.replaceAll(/[[*?]/g, '[$&]')
}
