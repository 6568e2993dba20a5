// The CSV reader, byte by byte: finds each record's bounds and faults in a stream of text bytes, guesses nothing.
import { isUtf8 } from 'node:buffer'
import type { Dialect } from '../../pipeline/dialect.ts'
import type { StructureFault } from './fault.ts'
import { resync, type BrokenQuote } from './resync.ts'

/**
 * What the scanner tells, in the file's order. Records are numbered from 1, the header is not counted; lines from 1;
 * `byteOffset` counts from the text's start. The bytes, `buffer[start, end)` without the line end, are only valid
 * during the call.
 */
export interface ScanEvents {
  /** The first record, where the dialect has a header; returns how many fields each record must have. */
  header(fields: readonly string[]): number
  sound(buffer: Buffer, start: number, end: number, number: number, line: number, byteOffset: number): void
  faulty(bytes: Buffer, fault: StructureFault, number: number, line: number, byteOffset: number): void
}

export interface ScanSummary {
  readonly records: number
  readonly faulty: number
  /** Lines that hold nothing: not records, unless the table has a single column. */
  readonly blankLines: number
  readonly commentLines: number
}

/** The file as a whole cannot be read. */
export class ScanRefusal extends Error {}

const ORDINARY = 0
const DELIMITER = 1
const LINE_END = 2
const QUOTE = 3
const CARRIAGE_RETURN = 4
const ESCAPE = 5
const BARE_LINE_FEED = 6
const UNDEFINED = 7
/** Also behind the last byte of the buffer, so that inner loops need not ask where they are. */
const NUL = 8

const LF = 0x0a
const CR = 0x0d
const BOM = Buffer.from([0xef, 0xbb, 0xbf])
/** Windows-1252 gives these bytes no character. */
const UNDEFINED_IN_1252 = [0x81, 0x8d, 0x8f, 0x90, 0x9d]
const FIRST_CAPACITY = 2 * 1024 * 1024

/**
 * A scanner of one text: `push` its bytes in pieces of any size, then `end`. Memory: a buffer of twice
 * the longest record (at most `maxRecordBytes`; twice that behind a broken quote) and of one piece. Throws ScanRefusal where nothing can be read.
 */
export class CsvScanner {
  readonly #dialect: Dialect
  readonly #events: ScanEvents
  readonly #unquoted: Uint8Array
  readonly #quoted: Uint8Array
  readonly #lineEnd: number
  readonly #quote: number
  readonly #comment: Buffer | undefined
  readonly #checksUtf8: boolean
  /** A record of so many bytes is within all limits. */
  readonly #unmeasured: number

  #buffer: Buffer = Buffer.allocUnsafe(FIRST_CAPACITY)
  /** Bytes in the buffer. */
  #length = 0
  /** Where the record begins that is not finished. */
  #start = 0
  /** Offset of the buffer's first byte in the text. */
  #base = 0
  /** An unfinished record is looked at again only when the buffer holds this much. */
  #wait = 0
  #atStart = true
  #skipLines: number
  /** In a line that is skipped, a comment, or the rest of what is too long: everything up to its end is passed over. */
  #passing = false
  /** Bytes up to here are known to be valid UTF-8. */
  #validUntil = 0

  #expected: number | undefined
  #line = 1
  #records = 0
  #faulty = 0
  #blankLines = 0
  #commentLines = 0

  constructor(dialect: Dialect, expectedFields: number | undefined, events: ScanEvents) {
    this.#dialect = dialect
    this.#events = events
    this.#unquoted = byteClasses(dialect)
    this.#quoted = quotedByteClasses(dialect)
    this.#lineEnd = dialect.lineEnd === 'lf' ? LF : CR
    this.#quote = dialect.quote?.charCodeAt(0) ?? -1
    this.#comment = dialect.comment === null ? undefined : Buffer.from(dialect.comment, 'latin1')
    this.#checksUtf8 = dialect.encoding === 'utf-8' || dialect.encoding === 'utf-16'
    this.#unmeasured = Math.min(dialect.maxFieldBytes, dialect.maxRecordBytes)
    this.#skipLines = dialect.skip
    this.#expected = dialect.header ? undefined : expectedFields
  }

  /** So far. */
  get summary(): ScanSummary {
    return {
      records: this.#records,
      faulty: this.#faulty,
      blankLines: this.#blankLines,
      commentLines: this.#commentLines,
    }
  }

  push(chunk: Buffer): void {
    this.#makeRoom(chunk.length)
    chunk.copy(this.#buffer, this.#length)
    this.#length += chunk.length
    if (this.#length - this.#start >= this.#wait) this.#scan(false)
  }

  end(): ScanSummary {
    this.#makeRoom(0)
    this.#scan(true)
    if (this.#expected === undefined) throw new ScanRefusal('it is empty, not even a header line is there')
    return this.summary
  }

  /** Room for so many bytes more and the NUL behind them. */
  #makeRoom(bytes: number): void {
    const kept = this.#length - this.#start
    const target = kept + bytes + 1 > this.#buffer.length ? Buffer.allocUnsafe((kept + bytes) * 2 + 1) : this.#buffer
    if (this.#start > 0 || target !== this.#buffer) this.#buffer.copy(target, 0, this.#start, this.#length)
    this.#buffer = target
    this.#base += this.#start
    this.#validUntil = Math.max(0, this.#validUntil - this.#start)
    this.#length = kept
    this.#start = 0
  }

  #scan(atEnd: boolean): void {
    this.#buffer[this.#length] = 0
    if (this.#atStart && !this.#passBom(atEnd)) return
    this.#checkEncoding(atEnd)
    while (this.#start < this.#length) {
      if (!this.#step(atEnd)) {
        const unfinished = this.#length - this.#start
        const window =
          unfinished > recordWindow(this.#dialect) ? doubtWindow(this.#dialect) : recordWindow(this.#dialect)
        this.#wait = Math.min(unfinished * 2, window + 1)
        return
      }
    }
    this.#wait = 0
  }

  #passBom(atEnd: boolean): boolean {
    if (this.#length < BOM.length && !atEnd) return false
    const hasBom = this.#checksUtf8 && this.#buffer.subarray(0, this.#length).subarray(0, BOM.length).equals(BOM)
    if (hasBom) this.#start = BOM.length
    this.#atStart = false
    return true
  }

  /** One look at all lines that are complete; only where it finds a fault is every record looked at by itself. */
  #checkEncoding(atEnd: boolean): void {
    if (!this.#checksUtf8) return
    const from = Math.max(this.#start, this.#validUntil)
    const until = atEnd
      ? this.#length
      : this.#buffer.subarray(0, this.#length).lastIndexOf(this.#lineEnd, this.#length - 1) + 1
    if (until > from && isUtf8(this.#buffer.subarray(from, until))) this.#validUntil = until
  }

  /** Takes one record or line; false when its end is not in the buffer yet. */
  #step(atEnd: boolean): boolean {
    if (this.#passing) return this.#passOver(atEnd)
    if (this.#skipLines > 0) {
      this.#skipLines--
      this.#passing = true
      return true
    }
    if (this.#comment !== undefined) {
      const text = this.#buffer.subarray(this.#start, Math.min(this.#length, this.#start + this.#comment.length))
      if (text.length < this.#comment.length && !atEnd) return false
      if (text.equals(this.#comment)) {
        this.#commentLines++
        this.#passing = true
        return true
      }
    }
    return this.#record(atEnd)
  }

  #passOver(atEnd: boolean): boolean {
    const next = this.#nextLine(this.#start, atEnd)
    if (next === undefined) {
      this.#start = this.#length
      return true
    }
    this.#passing = false
    this.#line++
    this.#start = next
    return true
  }

  /** Where the next physical line begins; the text's end counts as one. */
  #nextLine(from: number, atEnd: boolean): number | undefined {
    const at = this.#buffer.subarray(0, this.#length).indexOf(this.#lineEnd, from)
    if (at !== -1) return at + 1
    return atEnd ? this.#length : undefined
  }

  /** Takes one record. Looks no further than it may be long, so that what is found does not depend on the pieces' sizes. */
  #record(atEnd: boolean): boolean {
    const length = Math.min(this.#length, this.#start + recordWindow(this.#dialect))
    const covered = this.#buffer[length] ?? 0
    this.#buffer[length] = 0
    const taken = this.#recordWithin(length, atEnd && length === this.#length)
    this.#buffer[length] = covered
    return typeof taken === 'boolean' ? taken : this.#broken(taken, atEnd)
  }

  /** The hot path: one record, from `#start` to its line end, if that stands before `length`. */
  #recordWithin(length: number, atEnd: boolean): boolean | BrokenQuote {
    const buffer = this.#buffer
    const unquoted = this.#unquoted
    const start = this.#start
    let at = start
    let fields = 1
    let linesInside = 0
    let fault: StructureFault | undefined
    let end = -1
    let next = -1

    // Each turn begins at the start of a field.
    for (;;) {
      let kind = unquoted[buffer[at] ?? 0]
      if (kind === QUOTE) {
        const open = at
        const linesBefore = linesInside
        const quoted = this.#quoted
        let closed = false
        at++
        while (!closed) {
          while ((kind = quoted[buffer[at] ?? 0]) === ORDINARY) at++
          if (kind === QUOTE) {
            if (this.#dialect.escape === 'doubled' && buffer[at + 1] === this.#quote && at + 1 < length) at += 2
            else closed = true
          } else if (kind === LINE_END) {
            linesInside++
            at++
          } else if (kind === ESCAPE) {
            const escaped = buffer[at + 1]
            if (at + 1 === length) at++
            else if (escaped === this.#quote || escaped === buffer[at]) at += 2
            else {
              fault ??= 'bad escape'
              at++
            }
          } else if (kind === UNDEFINED) {
            fault ??= 'invalid encoding'
            at++
          } else if (at < length) {
            fault ??= 'NUL byte'
            at++
          } else {
            if (!atEnd && length === this.#length) return false
            return { kind: 'unclosed quote', at: open + 1, until: undefined }
          }
        }
        at++
        kind = unquoted[buffer[at] ?? 0]
        if (at === length && !atEnd) return this.#unfinished(length, linesInside)
        const ends = kind === DELIMITER || kind === LINE_END || (kind === CARRIAGE_RETURN && this.#crlfAt(at))
        if (!ends && at < length) {
          // CR at the very end of what is here: whether an LF follows is not known yet.
          if (kind === CARRIAGE_RETURN && at + 1 === length && !atEnd) return this.#unfinished(length, linesInside)
          return linesInside > linesBefore
            ? { kind: 'unclosed quote', at: open + 1, until: at }
            : { kind: 'text after quote', at, until: at }
        }
      }

      // Up to the end of the field.
      for (;;) {
        while (kind === ORDINARY) kind = unquoted[buffer[++at] ?? 0]
        if (kind === DELIMITER || kind === LINE_END) break
        if (kind === QUOTE) return { kind: 'bare quote', at: at + 1, until: at }
        if (kind === CARRIAGE_RETURN) {
          if (at + 1 === length && !atEnd) return this.#unfinished(length, linesInside)
          if (this.#crlfAt(at)) break
          fault ??= 'bare carriage return'
        } else if (kind === BARE_LINE_FEED) fault ??= 'bare line feed'
        else if (kind === UNDEFINED) fault ??= 'invalid encoding'
        else if (at < length) fault ??= 'NUL byte'
        else break
        kind = unquoted[buffer[++at] ?? 0]
      }

      if (kind === DELIMITER) {
        fields++
        at++
      } else if (kind === LINE_END) {
        end = at
        next = at + 1
        break
      } else if (kind === CARRIAGE_RETURN) {
        end = at
        next = at + 2
        break
      } else {
        if (!atEnd) return this.#unfinished(length, linesInside)
        end = length
        next = length
        break
      }
    }

    if (end > start && fault === undefined && fields === this.#expected && end - start <= this.#unmeasured) {
      if (this.#validUntil >= end || !this.#checksUtf8 || isUtf8(buffer.subarray(start, end))) {
        this.#records++
        this.#events.sound(buffer, start, end, this.#records, this.#line, this.#base + start)
        this.#line += linesInside + 1
        this.#start = next
        return true
      }
    }
    this.#finish(start, end, fields, fault)
    this.#line += linesInside + 1
    this.#start = next
    return true
  }

  #crlfAt(at: number): boolean {
    return at + 1 < this.#length && this.#buffer[at + 1] === LF && this.#lineEnd === LF
  }

  /** The record goes on behind `length`; one that is too long already is given up. */
  #unfinished(length: number, linesInside: number): boolean {
    if (length === this.#length) return false
    const bytes = this.#buffer.subarray(this.#start, length)
    if (this.#expected === undefined) this.#header(bytes, 'record too long')
    this.#reject(bytes, 'record too long', this.#line, this.#start)
    this.#line += linesInside
    this.#passing = true
    this.#start = length
    return true
  }

  /** A record that the hot path could not take as it is. */
  #finish(start: number, end: number, fields: number, structure: StructureFault | undefined): void {
    const bytes = this.#buffer.subarray(start, end)
    if (this.#expected === undefined) {
      if (bytes.length === 0) this.#blankLines++
      else this.#header(bytes, structure)
      return
    }
    if (bytes.length === 0 && this.#expected > 1) {
      this.#blankLines++
      return
    }
    const fault =
      (bytes.length > this.#dialect.maxRecordBytes ? 'record too long' : structure) ??
      countFault(fields, this.#expected) ??
      (this.#checksUtf8 && !isUtf8(bytes) ? 'invalid encoding' : undefined) ??
      this.#lengthFault(bytes)
    if (fault === undefined) {
      this.#records++
      this.#events.sound(this.#buffer, start, end, this.#records, this.#line, this.#base + start)
    } else {
      this.#reject(bytes, fault, this.#line, start)
    }
  }

  #header(bytes: Buffer, structure: StructureFault | undefined): void {
    const fault =
      structure ?? (this.#checksUtf8 && !isUtf8(bytes) ? 'invalid encoding' : undefined) ?? this.#lengthFault(bytes)
    if (fault !== undefined) {
      const hint =
        this.#lineEnd === LF && bytes.includes(CR) && !bytes.includes(LF)
          ? '; if its lines end with CR alone, declare `line_end: cr`'
          : ''
      throw new ScanRefusal(`its header in line ${this.#line} cannot be read (${fault})${hint}`)
    }
    this.#expected = this.#events.header(fieldTexts(bytes, this.#dialect))
  }

  #lengthFault(bytes: Buffer): StructureFault | undefined {
    const { maxFieldBytes, maxRecordBytes } = this.#dialect
    if (bytes.length > maxRecordBytes) return 'record too long'
    if (bytes.length <= maxFieldBytes) return undefined
    let longest = 0
    eachField(bytes, 0, bytes.length, this.#dialect, (from, to) => {
      longest = Math.max(longest, to - from)
    })
    return longest > maxFieldBytes ? 'field too long' : undefined
  }

  #reject(bytes: Buffer, fault: StructureFault, line: number, start: number): void {
    this.#records++
    this.#faulty++
    this.#events.faulty(bytes, fault, this.#records, line, this.#base + start)
  }

  /** A quote where none may be: rejects the lines that it puts in doubt, and goes on where reading is certain again. */
  #broken(fault: BrokenQuote, atEnd: boolean): boolean {
    if (this.#expected === undefined) {
      throw new ScanRefusal(`its header in line ${this.#line} cannot be read (${fault.kind})`)
    }
    const length = Math.min(this.#length, this.#start + doubtWindow(this.#dialect))
    const seesEnd = atEnd && length === this.#length
    const resumeAt = resync(fault, {
      bytes: this.#buffer.subarray(0, length),
      start: this.#start,
      atEnd: seesEnd,
      mayGrow: !atEnd && length === this.#length,
      dialect: this.#dialect,
      expectedFields: this.#expected,
    })
    if (resumeAt === undefined) return false
    let kind: StructureFault = fault.kind
    while (this.#start < resumeAt) {
      const start = this.#start
      const lineEnd = this.#buffer.subarray(0, resumeAt).indexOf(this.#lineEnd, start)
      const next = lineEnd === -1 ? resumeAt : lineEnd + 1
      const end = lineEnd === -1 ? resumeAt : lineEnd
      const isCrlf = this.#lineEnd === LF && lineEnd > start && this.#buffer[lineEnd - 1] === CR
      const bytes = this.#buffer.subarray(start, isCrlf ? end - 1 : end)
      if (bytes.length === 0) this.#blankLines++
      else this.#reject(bytes, kind, this.#line, start)
      kind = 'after broken quote'
      this.#start = next
      // The rest of a line that has not ended goes with it.
      this.#passing = lineEnd === -1 && !seesEnd
      if (!this.#passing) this.#line++
    }
    return true
  }
}

/**
 * The fields of one sound record, each as `buffer[from, to)` without the quotes round it, escapes still in it.
 */
export function eachField(
  buffer: Buffer,
  start: number,
  end: number,
  { delimiter, quote, escape }: Dialect,
  take: (from: number, to: number, quoted: boolean) => void,
): void {
  const delimiterByte = delimiter.charCodeAt(0)
  const quoteByte = quote?.charCodeAt(0) ?? -1
  const escapeByte = escape === 'backslash' ? BACKSLASH : quoteByte
  let at = start
  for (;;) {
    const from = at
    if (at < end && buffer[at] === quoteByte) {
      at++
      while (at < end) {
        const byte = buffer[at]
        if (byte === escapeByte && at + 1 < end && (buffer[at + 1] === quoteByte || buffer[at + 1] === escapeByte)) {
          at += 2
        } else if (byte === quoteByte) break
        else at++
      }
      take(from + 1, at, true)
      at += 2
    } else {
      while (at < end && buffer[at] !== delimiterByte) at++
      take(from, at, false)
      at++
    }
    if (at > end) return
  }
}

const BACKSLASH = 0x5c

/** The fields of one sound record as texts, for headers. */
function fieldTexts(bytes: Buffer, dialect: Dialect): string[] {
  const texts: string[] = []
  eachField(bytes, 0, bytes.length, dialect, (from, to, quoted) => {
    const text = decode(bytes.subarray(from, to), dialect)
    texts.push(quoted ? unescape(text, dialect) : text)
  })
  return texts
}

/** Bytes of the dialect's encoding as a text. */
export function decode(bytes: Buffer, { encoding }: Pick<Dialect, 'encoding'>): string {
  switch (encoding) {
    case 'utf-8':
    case 'utf-16':
      return bytes.toString('utf8')
    case 'latin1':
      return bytes.toString('latin1')
    case 'windows-1252':
      return new TextDecoder('windows-1252').decode(bytes)
  }
}

function unescape(text: string, { quote, escape }: Dialect): string {
  if (quote === null) return text
  return escape === 'doubled' ? text.replaceAll(quote + quote, quote) : text.replaceAll(/\\(.)/gs, '$1')
}

/** How many bytes of a record are looked at: the longest with its line end. */
function recordWindow({ maxRecordBytes }: Dialect): number {
  return maxRecordBytes + 2
}

/** How many bytes behind a broken record's start are looked at. */
function doubtWindow(dialect: Dialect): number {
  return 2 * recordWindow(dialect)
}

function countFault(fields: number, expected: number): StructureFault | undefined {
  if (fields < expected) return 'too few fields'
  return fields > expected ? 'too many fields' : undefined
}

function byteClasses({ delimiter, quote, lineEnd, encoding }: Dialect): Uint8Array {
  const classes = new Uint8Array(256)
  classes[0] = NUL
  classes[CR] = lineEnd === 'cr' ? LINE_END : CARRIAGE_RETURN
  classes[LF] = lineEnd === 'cr' ? BARE_LINE_FEED : LINE_END
  classes[delimiter.charCodeAt(0)] = DELIMITER
  if (quote !== null) classes[quote.charCodeAt(0)] = QUOTE
  if (encoding === 'windows-1252') for (const byte of UNDEFINED_IN_1252) classes[byte] = UNDEFINED
  return classes
}

function quotedByteClasses({ quote, escape, lineEnd, encoding }: Dialect): Uint8Array {
  const classes = new Uint8Array(256)
  classes[0] = NUL
  classes[lineEnd === 'cr' ? CR : LF] = LINE_END
  if (escape === 'backslash') classes[BACKSLASH] = ESCAPE
  if (quote !== null) classes[quote.charCodeAt(0)] = QUOTE
  if (encoding === 'windows-1252') for (const byte of UNDEFINED_IN_1252) classes[byte] = UNDEFINED
  return classes
}
