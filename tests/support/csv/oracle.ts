// A second CSV reader, slow and simple: the whole text at once, as a string with a character per byte, by regular expressions.
import type { Dialect } from '../../../src/pipeline/dialect.ts'

export interface OracleRecord {
  readonly number: number
  readonly line: number
  readonly byteOffset: number
  /** A character per byte. */
  readonly text: string
  /** Only of sound records. */
  readonly fields: readonly OracleField[] | undefined
  readonly fault: string | undefined
}

export interface OracleField {
  /** Without quotes and escapes, still a character per byte. */
  readonly text: string
  readonly quoted: boolean
}

export interface OracleReading {
  readonly header: readonly OracleField[] | undefined
  readonly records: readonly OracleRecord[]
  readonly blankLines: number
  readonly commentLines: number
}

/** What the scanner has to find in these bytes; `refused` with the fault of the header, where there is one. */
export function oracle(bytes: Buffer, dialect: Dialect, expectedFields: number): OracleReading | { refused: string } {
  const text = bytes.toString('latin1')
  const lineEnd = dialect.lineEnd === 'lf' ? '\n' : '\r'
  const lineAt = (offset: number) => text.slice(0, offset).split(lineEnd).length
  const lineAfter = (offset: number) => text.indexOf(lineEnd, offset) + 1 || text.length
  const records: OracleRecord[] = []
  let header: readonly OracleField[] | undefined
  let blankLines = 0
  let commentLines = 0

  let at = isUnicode(dialect) && text.startsWith('\xef\xbb\xbf') ? 3 : 0
  for (let n = 0; n < dialect.skip && at < text.length; n++) at = lineAfter(at)
  const record = (offset: number, content: string, fault: string | undefined, fields?: readonly OracleField[]) =>
    records.push({ number: records.length + 1, line: lineAt(offset), byteOffset: offset, text: content, fields, fault })

  while (at < text.length) {
    if (dialect.comment !== null && text.startsWith(dialect.comment, at)) {
      commentLines++
      at = lineAfter(at)
      continue
    }
    const isHeader = dialect.header && header === undefined
    const found = oneRecord(text, at, dialect)
    if (isHeader && (found.kind === 'broken' || found.kind === 'endless')) return { refused: faultOf(found) }
    if (found.kind === 'endless') {
      record(at, found.text, 'record too long')
      at = lineAfter(at + found.text.length)
    } else if (found.kind === 'broken') {
      const resumeAt = certainAgainAt(text, at, found, dialect, expectedFields)
      let fault = found.fault
      while (at < resumeAt) {
        const next = lineAfter(at)
        const line = text.slice(at, Math.min(next, resumeAt)).replace(lineEnd === '\n' ? /\r?\n$/ : /\r$/, '')
        if (line === '') blankLines++
        else record(at, line, fault)
        fault = 'after broken quote'
        at = next
      }
    } else {
      const isBlank = found.text === '' && (isHeader || expectedFields > 1)
      const lengths = found.fields.map((field) => field.rawLength)
      const tooLong = Math.max(...lengths) > dialect.maxFieldBytes ? 'field too long' : undefined
      const encoding = isUnicode(dialect) && !isUtf8(found.text) ? 'invalid encoding' : undefined
      const overlong = found.text.length > dialect.maxRecordBytes ? 'record too long' : undefined
      const count = Math.sign(found.fields.length - expectedFields)
      const counted = count === 0 ? undefined : count < 0 ? 'too few fields' : 'too many fields'
      const fields = found.fields.map(({ text, quoted }) => ({ text, quoted }))
      if (isBlank) blankLines++
      else if (isHeader) {
        const fault = found.fault ?? encoding ?? overlong ?? tooLong
        if (fault !== undefined) return { refused: fault }
        header = fields
      } else {
        const fault = overlong ?? found.fault ?? counted ?? encoding ?? tooLong
        record(at, found.text, fault, fault === undefined ? fields : undefined)
      }
      at = found.next
    }
  }
  if (dialect.header && header === undefined) return { refused: 'empty' }
  return { header, records, blankLines, commentLines }
}

type Found =
  | {
      readonly kind: 'record'
      readonly text: string
      readonly fields: readonly (OracleField & { readonly rawLength: number })[]
      readonly fault: string | undefined
      readonly next: number
    }
  | { readonly kind: 'endless'; readonly text: string }
  | Broken

interface Broken {
  readonly kind: 'broken'
  readonly fault: string
  readonly behind: number
  /** Behind the quote that is no end of an unclosed quote. */
  readonly until: number | undefined
}

const faultOf = (found: Broken | { kind: 'endless' }) => (found.kind === 'broken' ? found.fault : 'record too long')

/** The record that begins at `start`, of which no more than the longest record and its line end are looked at. */
function oneRecord(whole: string, start: number, dialect: Dialect): Found {
  const text = whole.slice(0, start + dialect.maxRecordBytes + 2)
  const isCut = text.length < whole.length
  const { plain, quoted, fieldEnd, afterQuote } = patterns(dialect)
  const fields: (OracleField & { rawLength: number })[] = []
  const faults: string[] = []
  const endless = { kind: 'endless', text: text.slice(start) } as const
  let at = start
  for (;;) {
    if (text[at] === dialect.quote) {
      const inside = matchAt(quoted, text, at + 1)
      const closing = at + 1 + (inside ?? '').length
      if (inside === undefined || text[closing] !== dialect.quote) {
        return { kind: 'broken', fault: 'unclosed quote', behind: at + 1, until: undefined }
      }
      const behind = closing + 1
      const rest = text.slice(behind)
      if (isCut && (rest === '' || (rest === '\r' && dialect.lineEnd === 'lf'))) return endless
      if (rest !== '' && matchAt(afterQuote, text, behind) === undefined) {
        return inside.includes(dialect.lineEnd === 'lf' ? '\n' : '\r')
          ? { kind: 'broken', fault: 'unclosed quote', behind: at + 1, until: behind }
          : { kind: 'broken', fault: 'text after quote', behind, until: undefined }
      }
      faults.push(...byteFaults(inside, dialect, true))
      fields.push({ text: unescaped(inside, dialect), quoted: true, rawLength: inside.length })
      at = behind
    } else {
      let field = matchAt(plain, text, at) ?? ''
      const stray = dialect.quote === null ? -1 : field.indexOf(dialect.quote)
      if (stray !== -1) return { kind: 'broken', fault: 'bare quote', behind: at + stray + 1, until: undefined }
      if (isCut && at + field.length === text.length) return endless
      if (dialect.lineEnd === 'lf' && text[at + field.length] === '\n') field = field.replace(/\r$/, '')
      faults.push(...byteFaults(field, dialect, false))
      fields.push({ text: field, quoted: false, rawLength: field.length })
      at += field.length
    }
    const end = matchAt(fieldEnd, text, at) ?? ''
    if (isCut && end === '' && at >= text.length) return endless
    if (end !== dialect.delimiter) {
      return { kind: 'record', text: text.slice(start, at), fields, fault: faults[0], next: at + end.length }
    }
    at += end.length
  }
}

/** What bytes of a field are wrong, in order. */
function byteFaults(field: string, { escape, lineEnd, encoding, quote }: Dialect, isQuoted: boolean): string[] {
  const units = isQuoted && escape === 'backslash' ? (field.match(/\\[\s\S]?|[^\\]/g) ?? []) : field.split('')
  return units.flatMap((unit) => {
    const faults: string[] = []
    if (unit.length === 2 && unit[1] !== quote && unit[1] !== '\\') faults.push('bad escape')
    if (unit === '\\' && isQuoted && escape === 'backslash') faults.push('bad escape')
    if (unit.includes('\0')) faults.push('NUL byte')
    if (encoding === 'windows-1252' && /[\x81\x8d\x8f\x90\x9d]/.test(unit)) faults.push('invalid encoding')
    if (!isQuoted && unit === '\r') faults.push('bare carriage return')
    if (!isQuoted && unit === '\n' && lineEnd === 'cr') faults.push('bare line feed')
    return faults
  })
}

/** Decision 0006: where lines are certainly records again, behind a quote that puts them in doubt. */
function certainAgainAt(whole: string, start: number, broken: Broken, dialect: Dialect, expectedFields: number) {
  const text = whole.slice(0, start + 2 * (dialect.maxRecordBytes + 2))
  const isCut = text.length < whole.length
  const lineEnd = dialect.lineEnd === 'lf' ? '\n' : '\r'
  const lastLine = text.lastIndexOf(lineEnd) + 1
  const nowhere = isCut && lastLine > start ? lastLine : text.length
  const readFrom = (at: number, mode: Mode) => reading(text, at, mode, isCut, dialect, expectedFields)

  let at = broken.behind
  if (broken.fault === 'unclosed quote') {
    const { convincedAt } = readFrom(at, 'plain')
    if (convincedAt !== undefined && convincedAt <= (broken.until ?? text.length)) return convincedAt
    if (broken.until === undefined) return nowhere
    at = broken.until
  }
  for (;;) {
    const plain = readFrom(at, 'plain')
    const quoted = readFrom(at, 'quoted')
    // Ordered by what happens first: one is convincing or one contradicts itself.
    const events = [
      { at: plain.convincedAt, winner: plain },
      { at: quoted.convincedAt, winner: quoted },
      { at: plain.diesAt, winner: quoted },
      { at: quoted.diesAt, winner: plain },
    ].flatMap((event) => (event.at === undefined ? [] : [{ at: event.at, winner: event.winner }]))
    const first = Math.min(...events.map((event) => event.at))
    const winners = new Set(events.filter((event) => event.at === first).map((event) => event.winner))
    if (winners.size === 0) return nowhere
    if (first === plain.convincedAt && first === quoted.convincedAt) {
      return Math.max(...[plain, quoted].map((reading) => reading.nextRecordAt ?? 0))
    }
    const [winner] = winners
    if (winners.size === 1 && winner?.nextRecordAt !== undefined) return winner.nextRecordAt
    const lastDeath = Math.max(plain.diesAt ?? Infinity, quoted.diesAt ?? Infinity)
    if (lastDeath >= text.length) return nowhere
    at = lastDeath + 1
  }
}

type Mode = 'plain' | 'quoted' | 'start'

interface Reading {
  readonly diesAt: number | undefined
  readonly convincedAt: number | undefined
  readonly nextRecordAt: number | undefined
}

/** Reads on from the middle of a field in one of the two ways. */
function reading(
  text: string,
  from: number,
  mode: Mode,
  isCut: boolean,
  dialect: Dialect,
  expectedFields: number,
): Reading {
  const starts: number[] = []
  const counts: number[] = []
  const lineEnd = dialect.lineEnd === 'lf' ? '\n' : '\r'
  const result = (rest: Partial<Reading>): Reading => ({
    diesAt: undefined,
    convincedAt: undefined,
    nextRecordAt: starts[0],
    ...rest,
  })
  let rest = tail(text, from, mode, isCut, dialect)
  for (;;) {
    if (rest.kind === 'dead') return result({ diesAt: rest.at })
    if (rest.kind === 'over') {
      const isOver = !isCut && rest.inside
      const nextRecordAt = starts[0] ?? (isCut ? undefined : text.length)
      return result({ nextRecordAt, diesAt: isOver ? text.length : undefined })
    }
    const content = starts.length === 0 ? 'broken' : text.slice(starts.at(-1), rest.next)
    if (!/^\r?\n$/.test(content) && content !== lineEnd && content !== 'broken') counts.push(rest.fields)
    starts.push(rest.next)
    if (expectedFields > 1 && counts.length >= 16 && counts.slice(-16).every((count) => count === expectedFields)) {
      return result({ convincedAt: rest.next })
    }
    let next = rest.next
    while (dialect.comment !== null && text.startsWith(dialect.comment, next)) {
      const end = text.indexOf(lineEnd, next)
      if (end === -1) return result({})
      next = end + 1
    }
    if (next !== rest.next) starts.push(next)
    rest = tail(text, next, 'start', isCut, dialect)
  }
}

type Tail =
  | { readonly kind: 'ended'; readonly fields: number; readonly next: number }
  | { readonly kind: 'dead'; readonly at: number }
  | { readonly kind: 'over'; readonly inside: boolean }

/** The rest of a record from the middle of a field. */
function tail(text: string, from: number, mode: Mode, isCut: boolean, dialect: Dialect): Tail {
  const { plain, quoted, fieldEnd, afterQuote } = patterns(dialect)
  const isKnown = (at: number) => !isCut || at < text.length - Math.max(2, dialect.comment?.length ?? 0)
  const dead = (at: number): Tail => (isKnown(at) ? { kind: 'dead', at } : { kind: 'over', inside: false })
  let at = from
  if (mode === 'quoted' || (mode === 'start' && text[at] === dialect.quote)) {
    const opened = mode === 'quoted' ? at : at + 1
    const inside = matchAt(quoted, text, opened) ?? ''
    if (inside.length > dialect.maxFieldBytes) return dead(opened + dialect.maxFieldBytes)
    const closing = opened + inside.length
    if (text[closing] !== dialect.quote) return { kind: 'over', inside: true }
    at = closing + 1
    const isEnd = at >= text.length || matchAt(afterQuote, text, at) !== undefined || text.slice(at) === '\r'
    if (!isEnd) return dead(closing)
  }
  const field = matchAt(plain, text, at) ?? ''
  const stray = dialect.quote === null ? -1 : field.indexOf(dialect.quote)
  if (stray !== -1) return dead(at + stray)
  at += field.length
  // A CR before LF belongs to the field here; only the LF is looked for.
  const end = matchAt(fieldEnd, text, at) ?? ''
  if (end === '') return { kind: 'over', inside: false }
  if (end !== dialect.delimiter) return { kind: 'ended', fields: 1, next: at + end.length }
  const rest = tail(text, at + 1, 'start', isCut, dialect)
  return rest.kind === 'ended' ? { ...rest, fields: rest.fields + 1 } : rest
}

function patterns({ delimiter, quote, escape, lineEnd }: Dialect) {
  const end = lineEnd === 'lf' ? '\\n' : '\\r'
  const d = escaped(delimiter)
  const q = quote === null ? '[]' : escaped(quote)
  const units = escape === 'doubled' ? [`(?!${q})[^]`, `${q}${q}`] : [`(?!${q}|\\\\)[^]`, `\\\\(?:${q}|\\\\)?`]
  const ends = lineEnd === 'lf' ? '\\r?\\n' : '\\r'
  return {
    plain: new RegExp(`(?:(?!${d}|${end})[^])*`, 'y'),
    quoted: new RegExp(`(?:${units.join('|')})*`, 'y'),
    fieldEnd: new RegExp(`${d}|${ends}`, 'y'),
    afterQuote: new RegExp(`${d}|${ends}`, 'y'),
  }
}

const escaped = (special: string) => `\\x${special.charCodeAt(0).toString(16).padStart(2, '0')}`

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function unescaped(inside: string, { quote, escape }: Dialect): string {
  return escape === 'doubled' ? inside.split(`${quote}${quote}`).join(quote ?? '') : inside.replace(/\\([^])/g, '$1')
}

const isUnicode = ({ encoding }: Dialect) => encoding === 'utf-8' || encoding === 'utf-16'

function isUtf8(latin1: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'))
    return true
  } catch {
    return false
  }
}
