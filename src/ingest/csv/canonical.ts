// Writes records in the one form that the next stage reads: UTF-8, LF, RFC 4180, comma; NULL is an empty unquoted field.
import { decode, eachField } from './scan.ts'
import { isCanonical, type Dialect } from '../../pipeline/dialect.ts'

const COMMA = 0x2c
const QUOTE = 0x22
const LF = 0x0a
const CR = 0x0d
const BACKSLASH = 0x5c
const PIECE_BYTES = 1024 * 1024

/** Collects lines and hands them on in pieces of about a mebibyte; a piece is only valid during the call. */
export class CanonicalWriter {
  readonly #dialect: Dialect
  readonly #verbatim: boolean
  readonly #nulls: readonly Buffer[]
  readonly #utf8: readonly Buffer[] | undefined
  readonly #write: (piece: Buffer) => void
  #out: Buffer = Buffer.allocUnsafe(PIECE_BYTES * 2)
  #length = 0

  constructor(dialect: Dialect, write: (piece: Buffer) => void) {
    this.#dialect = dialect
    this.#verbatim = isCanonical(dialect)
    this.#nulls = dialect.nulls.map((text) => encodeNull(text, dialect))
    this.#utf8 = singleByteTable(dialect)
    this.#write = write
  }

  /** `number,` and the record's fields. */
  row(buffer: Buffer, start: number, end: number, number: number): void {
    this.#digits(number)
    this.#fields(buffer, start, end)
    this.#endLine()
  }

  /** Fields that stand before a record's own: whole numbers, and texts; null is NULL. */
  prefix(values: readonly (number | string | null)[]): void {
    for (const value of values) {
      if (typeof value === 'number') {
        this.#digits(value)
      } else {
        if (value !== null) this.#text(Buffer.from(value))
        this.#room(1)
        this.#out[this.#length++] = COMMA
      }
    }
  }

  /** A sound record's fields behind its prefix. */
  fields(buffer: Buffer, start: number, end: number): void {
    this.#fields(buffer, start, end)
    this.#endLine()
  }

  /** So many NULLs behind a prefix: a record without fields. */
  noFields(count: number): void {
    this.#room(count + 1)
    for (let field = 1; field < count; field++) this.#out[this.#length++] = COMMA
    this.#endLine()
  }

  end(): void {
    if (this.#length > 0) this.#write(this.#out.subarray(0, this.#length))
    this.#length = 0
  }

  #endLine(): void {
    this.#room(1)
    this.#out[this.#length++] = LF
    if (this.#length >= PIECE_BYTES) this.end()
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#out.length) return
    const larger = Buffer.allocUnsafe((this.#length + bytes) * 2)
    this.#out.copy(larger, 0, 0, this.#length)
    this.#out = larger
  }

  /** A whole number and a comma. */
  #digits(number: number): void {
    this.#room(17)
    let digits = 1
    for (let power = 10; power <= number; power *= 10) digits++
    let rest = number
    for (let at = this.#length + digits - 1; at >= this.#length; at--) {
      const quotient = Math.floor(rest / 10)
      this.#out[at] = 0x30 + (rest - quotient * 10)
      rest = quotient
    }
    this.#length += digits
    this.#out[this.#length++] = COMMA
  }

  #fields(buffer: Buffer, start: number, end: number): void {
    if (this.#verbatim) {
      this.#room(end - start)
      buffer.copy(this.#out, this.#length, start, end)
      this.#length += end - start
      return
    }
    let first = true
    eachField(buffer, start, end, this.#dialect, (from, to, quoted) => {
      if (!first) {
        this.#room(1)
        this.#out[this.#length++] = COMMA
      }
      first = false
      if (quoted) this.#text(this.#decoded(this.#unescaped(buffer.subarray(from, to))))
      else if (!this.#isNull(buffer, from, to)) this.#text(this.#decoded(buffer.subarray(from, to)))
    })
  }

  #isNull(buffer: Buffer, from: number, to: number): boolean {
    return this.#nulls.some((text) => text.length === to - from && text.equals(buffer.subarray(from, to)))
  }

  #decoded(bytes: Buffer): Buffer {
    const table = this.#utf8
    if (table === undefined || bytes.every((byte) => byte < 0x80)) return bytes
    return Buffer.concat(Array.from(bytes, (byte) => table[byte] ?? Buffer.of(byte)))
  }

  #unescaped(bytes: Buffer): Buffer {
    const { quote, escape } = this.#dialect
    const escapeByte = escape === 'backslash' ? BACKSLASH : (quote?.charCodeAt(0) ?? -1)
    if (!bytes.includes(escapeByte)) return bytes
    const kept = Buffer.allocUnsafe(bytes.length)
    let length = 0
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === escapeByte) at++
      kept[length++] = bytes[at] ?? 0
    }
    return kept.subarray(0, length)
  }

  /** A text, quoted where it must be; the empty one always, so that it is not NULL. */
  #text(bytes: Buffer): void {
    this.#room(bytes.length * 2 + 2)
    const out = this.#out
    let plain = bytes.length > 0
    for (let at = 0; plain && at < bytes.length; at++) {
      const byte = bytes[at]
      plain = byte !== COMMA && byte !== QUOTE && byte !== LF && byte !== CR
    }
    if (plain) {
      bytes.copy(out, this.#length)
      this.#length += bytes.length
      return
    }
    out[this.#length++] = QUOTE
    for (const byte of bytes) {
      if (byte === QUOTE) out[this.#length++] = QUOTE
      out[this.#length++] = byte
    }
    out[this.#length++] = QUOTE
  }
}

/** The UTF-8 of each byte of a single-byte encoding; undefined where the bytes are UTF-8 already. */
function singleByteTable(dialect: Dialect): Buffer[] | undefined {
  if (dialect.encoding === 'utf-8' || dialect.encoding === 'utf-16') return undefined
  return Array.from({ length: 256 }, (_, byte) => Buffer.from(decode(Buffer.of(byte), dialect)))
}

function encodeNull(text: string, { encoding }: Dialect): Buffer {
  if (encoding === 'utf-8' || encoding === 'utf-16') return Buffer.from(text)
  const bytes = Array.from({ length: 256 }, (_, byte) => byte)
  const table = new Map(bytes.map((byte) => [decode(Buffer.of(byte), { encoding }), byte]))
  return Buffer.from(Array.from(text, (character) => table.get(character) ?? 0))
}
