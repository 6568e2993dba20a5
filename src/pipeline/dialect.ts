// How a CSV file is written: declared for each entry, never sniffed.

/** All of it plain data, so that it can stand in a plan and travel to the scanning thread. */
export interface Dialect {
  /** One ASCII character. */
  readonly delimiter: string
  /** One ASCII character; null where no field is ever quoted. */
  readonly quote: string | null
  /** How a quote stands inside a quoted field: twice, or behind a backslash (which then stands twice itself). */
  readonly escape: 'doubled' | 'backslash'
  readonly encoding: Encoding
  /** LF takes CRLF as well, also mixed; CR is what Mac OS wrote before 2001. */
  readonly lineEnd: 'lf' | 'cr'
  /** Whether the first record names the columns. */
  readonly header: boolean
  /** Unquoted texts that mean NULL. A quoted one is always a text. */
  readonly nulls: readonly string[]
  /** Lines that begin with this are no records; null where every line may be one. */
  readonly comment: string | null
  /** What numbers with a fraction are written with. */
  readonly decimal: '.' | ','
  /** Lines before the header (or the first record) that do not belong to the table. */
  readonly skip: number
  readonly maxFieldBytes: number
  readonly maxRecordBytes: number
}

export const ENCODINGS = ['utf-8', 'latin1', 'windows-1252', 'utf-16'] as const
export type Encoding = (typeof ENCODINGS)[number]

export const MEBIBYTE = 1024 * 1024

/** RFC 4180 in UTF-8. */
export const DEFAULT_DIALECT: Dialect = {
  delimiter: ',',
  quote: '"',
  escape: 'doubled',
  encoding: 'utf-8',
  lineEnd: 'lf',
  header: true,
  nulls: [''],
  comment: null,
  decimal: '.',
  skip: 0,
  maxFieldBytes: 4 * MEBIBYTE,
  maxRecordBytes: 8 * MEBIBYTE,
}

/** What is wrong with a dialect, each with the key of a pipeline file to blame; empty when it can be read. */
export function dialectProblems(dialect: Dialect): { readonly key: string; readonly message: string }[] {
  const { delimiter, quote, escape, comment, decimal, nulls, maxFieldBytes, maxRecordBytes } = dialect
  const problems: { key: string; message: string }[] = []
  const say = (key: string, message: string) => problems.push({ key, message })
  const special = (key: string, text: string) => {
    if (!/^[\t\x20-\x7e]$/.test(text)) say(key, 'must be one printable ASCII character or a tab')
    else if (/^[A-Za-z0-9]$/.test(text)) say(key, 'cannot be a letter or digit')
  }
  special('delimiter', delimiter)
  if (quote !== null) special('quote', quote)
  if (quote === delimiter) say('quote', 'must differ from the delimiter')
  if (escape === 'backslash' && (delimiter === '\\' || quote === '\\')) {
    say('escape', 'a backslash that escapes cannot be the delimiter or the quote, too')
  }
  if (comment !== null && !/^[\x21-\x7e]+$/.test(comment)) say('comment', 'must be printable ASCII characters')
  else if (comment !== null && (comment.startsWith(delimiter) || (quote !== null && comment.startsWith(quote)))) {
    say('comment', 'cannot begin with the delimiter or the quote')
  }
  if (decimal === ',' && delimiter === ',' && quote === null) {
    say('decimal', 'cannot be a comma like the delimiter where nothing is quoted')
  }
  if (maxRecordBytes < maxFieldBytes) say('max_record', 'cannot be less than max_field')
  for (const text of nulls) {
    const holds = [delimiter, ...(quote === null ? [] : [quote]), '\r', '\n'].some(
      (byte) => byte !== '' && text.includes(byte),
    )
    if (holds) say('null', `${JSON.stringify(text)} holds a delimiter, quote or line end, so no field can be it`)
  }
  return problems
}

/** The bytes between line ends are already those of the canonical form (canonical.ts), each field as it stands. */
export function isCanonical({ delimiter, quote, escape, encoding, lineEnd, nulls }: Dialect): boolean {
  return (
    delimiter === ',' &&
    quote === '"' &&
    escape === 'doubled' &&
    (encoding === 'utf-8' || encoding === 'utf-16') &&
    lineEnd === 'lf' &&
    nulls.length === 1 &&
    nulls[0] === ''
  )
}
