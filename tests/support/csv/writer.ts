// Writes tables as CSV in any dialect, knowing where each record stands, and makes up dialects and nasty tables for properties.
import * as fc from 'fast-check'
import { DEFAULT_DIALECT, dialectProblems, type Dialect } from '../../../src/pipeline/dialect.ts'

/** Rows of fields; null is the NULL of the dialect. */
export type Table = readonly (readonly (string | null)[])[]

export interface WriteOptions {
  readonly quoteAll: boolean
  readonly lineEnds: 'lf' | 'crlf' | 'mixed'
  readonly finalLineEnd: boolean
  readonly byteOrderMark: boolean
}

export interface Written {
  readonly bytes: Buffer
  /** Of each record, the header not counted: without its line end, and the next one's start. */
  readonly ranges: readonly { readonly start: number; readonly end: number; readonly next: number }[]
}

/** The file, encoded as the scanner takes it: UTF-8 for the Unicode encodings, else a byte per character. */
export function writeCsv(
  header: readonly string[] | undefined,
  table: Table,
  dialect: Dialect,
  options: WriteOptions,
): Written {
  const parts: Buffer[] = []
  const ranges: { start: number; end: number; next: number }[] = []
  let length = 0
  const write = (text: string) => {
    const bytes = encoded(text, dialect)
    parts.push(bytes)
    length += bytes.length
  }
  if (options.byteOrderMark && dialect.encoding.startsWith('utf')) write('\ufeff')
  for (let n = 0; n < dialect.skip; n++) write(`"not, of; the| table${lineEnd(n, dialect, options)}`)
  const rows = header === undefined ? table : [header, ...table]
  for (const [index, row] of rows.entries()) {
    const start = length
    write(row.map((field, column) => fieldText(field, column, row.length, dialect, options)).join(dialect.delimiter))
    const end = length
    const isLast = index === rows.length - 1
    // An empty record is only there by its line end.
    if (!isLast || options.finalLineEnd || start === end) write(lineEnd(index, dialect, options))
    if (header === undefined || index > 0) ranges.push({ start, end, next: length })
  }
  return { bytes: Buffer.concat(parts), ranges }
}

function lineEnd(index: number, dialect: Dialect, { lineEnds }: WriteOptions): string {
  if (dialect.lineEnd === 'cr') return '\r'
  return lineEnds === 'crlf' || (lineEnds === 'mixed' && index % 2 === 0) ? '\r\n' : '\n'
}

function fieldText(
  field: string | null,
  column: number,
  columns: number,
  dialect: Dialect,
  { quoteAll }: WriteOptions,
): string {
  const { quote, delimiter, escape, comment } = dialect
  if (field === null) return dialect.nulls[column % dialect.nulls.length] ?? ''
  if (quote === null) return field
  const mustQuote =
    field === '' ||
    dialect.nulls.includes(field) ||
    [delimiter, quote, '\r', '\n'].some((special) => field.includes(special)) ||
    (column === 0 && comment !== null && (field + (columns > 1 ? delimiter : '')).startsWith(comment))
  if (!quoteAll && !mustQuote) return field
  const escaped =
    escape === 'doubled'
      ? field.replaceAll(quote, quote + quote)
      : field.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`)
  return quote + escaped + quote
}

/** The bytes of a text of Windows-1252 beyond Latin-1, as far as the tables below use it. */
const BEYOND_LATIN1: Readonly<Record<string, number>> = { '€': 0x80, œ: 0x9c }

export function encoded(text: string, { encoding }: Dialect): Buffer {
  if (encoding === 'utf-8' || encoding === 'utf-16') return Buffer.from(text)
  return Buffer.from(Array.from(text, (character) => BEYOND_LATIN1[character] ?? character.charCodeAt(0)))
}

/** Any dialect that can be read; `limits` are its longest field and record. */
export function dialects(limits?: fc.Arbitrary<Pick<Dialect, 'maxFieldBytes' | 'maxRecordBytes'>>) {
  return fc
    .record({
      delimiter: fc.constantFrom(',', ';', '\t', '|'),
      quote: fc.constantFrom('"', '"', '"', "'", null),
      escape: fc.constantFrom('doubled' as const, 'doubled' as const, 'backslash' as const),
      encoding: fc.constantFrom('utf-8' as const, 'latin1' as const, 'windows-1252' as const, 'utf-16' as const),
      lineEnd: fc.constantFrom('lf' as const, 'lf' as const, 'cr' as const),
      header: fc.boolean(),
      nulls: fc.constantFrom([''], ['NULL'], ['', 'n'], ['\\N']),
      comment: fc.constantFrom(null, null, '#', '//', 'ab'),
      skip: fc.constantFrom(0, 0, 0, 1, 2),
    })
    .chain((dialect) =>
      (limits ?? fc.constant({})).map((limit): Dialect => ({ ...DEFAULT_DIALECT, ...dialect, ...limit })),
    )
    .filter((dialect) => dialectProblems(dialect).length === 0)
}

/** Pieces of text that mean something to a CSV reader of this dialect, and some that do not. */
function pieces({ delimiter, quote, encoding, comment }: Dialect): string[] {
  const beyond = { 'utf-8': ['é', '😀'], 'utf-16': ['é', '😀'], latin1: ['é', 'ÿ'], 'windows-1252': ['€', 'œ'] }
  const special = quote === null ? [] : [delimiter, quote, quote, '\r', '\n', '\r\n', '\n']
  return ['a', 'b', '1', ' ', '\\', comment ?? '#', 'n', ...special, ...beyond[encoding]]
}

/** Texts that a dialect can carry; without quotes none holds a delimiter, a line end or a null text. */
export function texts(dialect: Dialect): fc.Arbitrary<string> {
  const any = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.array(fc.constantFrom(...pieces(dialect)), { maxLength: 6 }).map((all) => all.join('')),
    },
    { weight: 1, arbitrary: fc.constantFrom('', ...dialect.nulls.filter((text) => !text.startsWith('\\'))) },
  )
  if (dialect.quote !== null) return any
  return any.filter(
    (text) =>
      text !== '' &&
      !dialect.nulls.includes(text) &&
      (dialect.comment === null || !text.startsWith(dialect.comment.slice(0, 1))),
  )
}

/** Tables whose rows have `columns` fields, of the texts given. */
export function tables(
  text: fc.Arbitrary<string>,
  columns: number,
  rows: { minLength?: number; maxLength?: number },
): fc.Arbitrary<(string | null)[][]> {
  const field = fc.option(text, { freq: 6 })
  return fc.array(fc.array(field, { minLength: columns, maxLength: columns }), rows)
}

export const writeOptions: fc.Arbitrary<WriteOptions> = fc.record({
  quoteAll: fc.boolean(),
  lineEnds: fc.constantFrom('lf', 'crlf', 'mixed'),
  finalLineEnd: fc.boolean(),
  byteOrderMark: fc.boolean(),
})
