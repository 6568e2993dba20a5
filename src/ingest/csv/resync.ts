// Behind a broken quote nobody knows what is text and what is table: finds where reading is certain again (decision 0006).
import type { Dialect } from '../../pipeline/dialect.ts'
import type { StructureFault } from './fault.ts'

export interface BrokenQuote {
  readonly kind: Extract<StructureFault, 'bare quote' | 'text after quote' | 'unclosed quote'>
  /** Behind the bare quote, behind the closing quote that text follows, or behind the opening quote that never closes. */
  readonly at: number
  /** Of an unclosed quote: behind the quote that cannot be its end; undefined when there is no quote. */
  readonly until: number | undefined
}

export interface Surroundings {
  /** What is there to read; the record with the broken quote begins at `start`. */
  readonly bytes: Buffer
  readonly start: number
  /** Nothing follows these bytes. */
  readonly atEnd: boolean
  /** More bytes will be looked at, when they have come. */
  readonly mayGrow: boolean
  readonly dialect: Dialect
  readonly expectedFields: number
}

/** So many whole records in a row are taken for records, not for the text of one field. */
const CONVINCING_RECORDS = 16

/**
 * Where the first record begins that is certainly one: what stands from `start` to there is to be rejected, line by
 * line. Undefined when more bytes are needed to tell; never when these are all that are looked at.
 */
export function resync(fault: BrokenQuote, place: Surroundings): number | undefined {
  const { bytes, mayGrow } = place
  const nowhere = mayGrow ? undefined : lastLineStart(place)
  let at = fault.at
  if (fault.kind === 'unclosed quote') {
    // Is the quote stray, or is its end lost further down? Only a long row of records shows that we are past it.
    const outside = read(place, at, false)
    if (outside.convincedAt <= (fault.until ?? bytes.length)) return outside.convincedAt
    if (fault.until === undefined) return nowhere
    at = fault.until
  }
  for (;;) {
    // Of two readings one is right: this is outside quotes, or inside. The first that contradicts itself is not.
    const outside = read(place, at, false)
    const inside = read(place, at, true)
    if (outside.convincedAt === inside.convincedAt && outside.convincedAt !== Infinity) {
      // They agree by now; what only one of them takes for records is not certain.
      return Math.max(outside.nextRecordAt ?? 0, inside.nextRecordAt ?? 0)
    }
    const outsideWins = outside.convincedAt < inside.diesAt || inside.diesAt < outside.diesAt
    const insideWins = inside.convincedAt < outside.diesAt || outside.diesAt < inside.diesAt
    if (outsideWins && (!insideWins || outside.convincedAt < inside.convincedAt)) {
      if (outside.nextRecordAt !== undefined) return outside.nextRecordAt
    } else if (insideWins && inside.nextRecordAt !== undefined) return inside.nextRecordAt
    const bothDeadAt = Math.max(outside.diesAt, inside.diesAt)
    if (bothDeadAt >= bytes.length) return nowhere
    // Both are wrong before the broken record has ended: the quote at which they failed is broken, too.
    at = bothDeadAt + 1
  }
}

interface Reading {
  /** The quote that this reading cannot explain, the end of the text inside quotes; Infinity where all is explained. */
  readonly diesAt: number
  /** Where the record behind a convincing row of records begins; Infinity without such a row. */
  readonly convincedAt: number
  /** Where the first record behind the broken one begins. */
  readonly nextRecordAt: number | undefined
}

/** Reads on from the middle of a field, until the reading contradicts itself, is convincing, or has read everything. */
function read({ bytes, atEnd, dialect, expectedFields }: Surroundings, from: number, startsInside: boolean): Reading {
  const text = new FieldReader(bytes, dialect)
  const lookahead = Math.max(2, dialect.comment?.length ?? 0)
  let nextRecordAt: number | undefined
  let inARow = 0
  let at = from
  let state: FieldState = startsInside ? 'inside' : 'outside'
  for (let isBroken = true; ; isBroken = false) {
    let fields = 1
    const recordStart = at
    if (!isBroken && text.isComment(at)) {
      const next = text.lineAfter(at)
      if (next === undefined) return { diesAt: Infinity, convincedAt: Infinity, nextRecordAt }
      at = next
      continue
    }
    for (;;) {
      const field: FieldEnd = text.field(at, state)
      state = 'start'
      // Whether a quote among the last bytes is a contradiction may depend on what follows.
      if (field.kind === 'contradiction' && (atEnd || field.at < bytes.length - lookahead)) {
        return { diesAt: field.at, convincedAt: Infinity, nextRecordAt }
      }
      if (field.kind === 'contradiction') return { diesAt: Infinity, convincedAt: Infinity, nextRecordAt }
      if (field.kind === 'end') {
        // What is not finished is no contradiction, unless nothing can come any more.
        const diesAt = field.inside && atEnd ? bytes.length : Infinity
        return { diesAt, convincedAt: Infinity, nextRecordAt: nextRecordAt ?? (atEnd ? bytes.length : undefined) }
      }
      at = field.next
      if (field.kind === 'line end') break
      fields++
    }
    nextRecordAt ??= at
    if (isBroken || text.isBlank(recordStart)) continue
    inARow = fields === expectedFields ? inARow + 1 : 0
    // In a table of one column any line looks like a record.
    if (inARow === CONVINCING_RECORDS && expectedFields > 1) return { diesAt: Infinity, convincedAt: at, nextRecordAt }
  }
}

type FieldEnd =
  | { readonly kind: 'delimiter' | 'line end'; readonly next: number }
  | { readonly kind: 'contradiction'; readonly at: number }
  | { readonly kind: 'end'; readonly inside: boolean }

/** At the start of a field, or in its middle: behind a quote that opened it, or without one. */
type FieldState = 'start' | 'inside' | 'outside'

/** Finds the ends of fields, slowly and simply. */
class FieldReader {
  readonly #bytes: Buffer
  readonly #delimiter: number
  readonly #quote: number
  readonly #lineEnd: number
  readonly #dialect: Dialect

  constructor(bytes: Buffer, dialect: Dialect) {
    this.#bytes = bytes
    this.#dialect = dialect
    this.#delimiter = dialect.delimiter.charCodeAt(0)
    this.#quote = dialect.quote?.charCodeAt(0) ?? -1
    this.#lineEnd = dialect.lineEnd === 'lf' ? LF : CR
  }

  isBlank(at: number): boolean {
    const byte = this.#bytes[at]
    return byte === this.#lineEnd || (byte === CR && this.#bytes[at + 1] === this.#lineEnd)
  }

  isComment(at: number): boolean {
    const { comment } = this.#dialect
    return comment !== null && this.#bytes.subarray(at, at + comment.length).equals(Buffer.from(comment))
  }

  lineAfter(at: number): number | undefined {
    const lineEnd = this.#bytes.indexOf(this.#lineEnd, at)
    return lineEnd === -1 ? undefined : lineEnd + 1
  }

  field(start: number, state: FieldState): FieldEnd {
    const bytes = this.#bytes
    let at = start
    if (state === 'inside' || (state === 'start' && bytes[at] === this.#quote)) {
      const textStart = state === 'inside' ? at : at + 1
      const closing = this.#closingQuote(textStart)
      if (closing === undefined) return { kind: 'end', inside: true }
      if (closing === 'too long') return { kind: 'contradiction', at: textStart + this.#dialect.maxFieldBytes }
      at = closing + 1
      const follows = bytes[at]
      const ends =
        at >= bytes.length ||
        follows === this.#delimiter ||
        follows === this.#lineEnd ||
        (follows === CR && (at + 1 === bytes.length || bytes[at + 1] === LF))
      if (!ends) return { kind: 'contradiction', at: closing }
    }
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === this.#delimiter) return { kind: 'delimiter', next: at + 1 }
      if (byte === this.#lineEnd) return { kind: 'line end', next: at + 1 }
      if (byte === this.#quote) return { kind: 'contradiction', at }
    }
    return { kind: 'end', inside: false }
  }

  #closingQuote(start: number): number | 'too long' | undefined {
    const bytes = this.#bytes
    const end = Math.min(bytes.length, start + this.#dialect.maxFieldBytes + 1)
    for (let at = start; at < end; at++) {
      if (this.#dialect.escape === 'backslash' && bytes[at] === BACKSLASH) at++
      else if (bytes[at] !== this.#quote) continue
      else if (this.#dialect.escape === 'doubled' && bytes[at + 1] === this.#quote) at++
      else return at
    }
    return bytes.length > start + this.#dialect.maxFieldBytes ? 'too long' : undefined
  }
}

/** Where the last line begins that has not ended yet; the end of the text, when it has. */
function lastLineStart({ bytes, start, atEnd, dialect }: Surroundings): number {
  if (atEnd) return bytes.length
  const lineStart = bytes.lastIndexOf(dialect.lineEnd === 'lf' ? LF : CR) + 1
  return lineStart > start ? lineStart : bytes.length
}

const LF = 0x0a
const CR = 0x0d
const BACKSLASH = 0x5c
