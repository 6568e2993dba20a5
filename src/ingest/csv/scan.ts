// The CSV reader of RFC 4180 records, byte by byte: finds each record's bounds and faults, guesses nothing.
import { isUtf8 } from 'node:buffer'

/** Why a record's bytes are not a record of this table. Stable: they stand in rejects tables. */
export type StructureFault =
  | 'too few fields'
  | 'too many fields'
  | 'bare quote'
  | 'text after quote'
  | 'bare carriage return'
  | 'NUL byte'
  | 'invalid UTF-8'

/** One record of the file. Numbers count from 1, the header is not counted; offsets are bytes from the file's start. */
export interface ScannedRecord {
  readonly number: number
  readonly line: number
  readonly byteOffset: number
  /** Without the line end. Only valid until the next record. */
  readonly bytes: Buffer
  readonly fault: StructureFault | undefined
}

export interface ScanSummary {
  readonly records: number
  readonly faulty: number
  /** Lines that hold nothing: not records, unless the table has a single column. */
  readonly blankLines: number
  /** Every record is sound and every line ends alike, so another reader can take the file as it is. */
  readonly clean: boolean
}

export type ScanOutcome =
  | { readonly kind: 'scanned'; readonly header: Buffer; readonly summary: ScanSummary }
  /** The file as a whole cannot be read: which record is at fault, and how. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Longest record in bytes; one longer is taken for a quote that never closes. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024

const QUOTE = 0x22
const COMMA = 0x2c
const LF = 0x0a
const CR = 0x0d
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

const FIELD_START = 0
const UNQUOTED = 1
const QUOTED = 2
const QUOTE_IN_QUOTED = 3

/**
 * Reads UTF-8 CSV (comma, double quotes, LF or CRLF) from chunks of bytes. The first record is the header; `onHeader`
 * gets its bytes (without a byte order mark) and says how many fields each record must have. `onRecord` gets every
 * further record, sound or not, in order. Memory: one chunk and one record.
 */
export async function scanCsv(
  chunks: AsyncIterable<Buffer>,
  onHeader: (header: Buffer) => number,
  onRecord: (record: ScannedRecord) => void,
): Promise<ScanOutcome> {
  let header: Buffer | undefined
  let expectedFields = 0
  let records = 0
  let faulty = 0
  let blankLines = 0
  let endsWithLf = 0
  let endsWithCrlf = 0
  let refusal: string | undefined

  // The current record: where it began in the file, and what has been seen of it.
  let rest: Buffer = Buffer.alloc(0)
  let restOffset = 0
  let scanned = 0
  let line = 1
  let recordLine = 1
  let state = FIELD_START
  let fields = 1
  let fault: StructureFault | undefined

  const finishRecord = (bytes: Buffer, byteOffset: number): void => {
    if (header === undefined) {
      header = Buffer.from(bytes)
      const found = fault ?? contentFault(bytes)
      if (found === undefined) expectedFields = onHeader(header)
      else refusal = `its header cannot be read (${found})`
    } else if (bytes.length > MAX_RECORD_BYTES) {
      refusal = tooLong(recordLine)
    } else if (bytes.length === 0 && expectedFields > 1) {
      blankLines++
    } else {
      records++
      const found = fault ?? countFault(fields, expectedFields) ?? contentFault(bytes)
      if (found !== undefined) faulty++
      onRecord({ number: records, line: recordLine, byteOffset, bytes, fault: found })
    }
    state = FIELD_START
    fields = 1
    fault = undefined
    recordLine = line
  }

  for await (const chunk of chunks) {
    let buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (restOffset === 0 && header === undefined && buffer.length < BOM.length && isStartOfBom(buffer)) {
      rest = buffer
      continue
    }
    if (restOffset === 0 && header === undefined && buffer.subarray(0, 3).equals(BOM)) {
      buffer = buffer.subarray(3)
      restOffset = 3
    }
    let start = 0
    for (let at = scanned; at < buffer.length; at++) {
      const byte = buffer[at]
      if (state === QUOTED) {
        if (byte === QUOTE) state = QUOTE_IN_QUOTED
        else if (byte === LF) line++
        continue
      }
      if (byte === LF) {
        const crlf = at > start && buffer[at - 1] === CR
        if (crlf) endsWithCrlf++
        else endsWithLf++
        line++
        finishRecord(buffer.subarray(start, crlf ? at - 1 : at), restOffset + start)
        if (refusal !== undefined) return refused(refusal)
        start = at + 1
      } else if (byte === COMMA) {
        fields++
        state = FIELD_START
      } else if (byte === QUOTE) {
        if (state === FIELD_START || state === QUOTE_IN_QUOTED) state = QUOTED
        else fault ??= 'bare quote'
      } else if (byte === CR) {
        // Right only as the first half of CRLF; the next byte may be in the next chunk.
        if (at + 1 === buffer.length) break
        if (buffer[at + 1] !== LF) {
          fault ??= 'bare carriage return'
          state = UNQUOTED
        }
      } else if (state === QUOTE_IN_QUOTED) {
        fault ??= 'text after quote'
        state = UNQUOTED
      } else {
        state = UNQUOTED
      }
    }
    rest = buffer.subarray(start)
    restOffset += start
    scanned = rest.at(-1) === CR && state !== QUOTED ? rest.length - 1 : rest.length
    if (rest.length > MAX_RECORD_BYTES) return refused(tooLong(recordLine))
  }

  if (state === QUOTED) return refused(`a quote opened in the record that begins in line ${recordLine} is never closed`)
  if (rest.length > 0) {
    if (rest.at(-1) === CR) fault ??= 'bare carriage return'
    finishRecord(rest, restOffset)
    if (refusal !== undefined) return refused(refusal)
  }
  if (header === undefined) return refused('the file is empty, not even a header line is there')
  const clean = faulty === 0 && blankLines === 0 && (endsWithLf === 0 || endsWithCrlf === 0)
  return { kind: 'scanned', header, summary: { records, faulty, blankLines, clean } }
}

/** The fields of one sound record's bytes, as text; quotes are taken off. */
export function splitFields(bytes: Buffer): string[] {
  const fields: string[] = []
  let at = 0
  while (at <= bytes.length) {
    if (bytes[at] === QUOTE) {
      let end = at + 1
      while (end < bytes.length && (bytes[end] !== QUOTE || bytes[end + 1] === QUOTE))
        end += bytes[end] === QUOTE ? 2 : 1
      fields.push(bytes.toString('utf8', at + 1, end).replaceAll('""', '"'))
      at = end + 2
    } else {
      const comma = bytes.indexOf(COMMA, at)
      const end = comma === -1 ? bytes.length : comma
      fields.push(bytes.toString('utf8', at, end))
      at = end + 1
    }
  }
  return fields
}

function countFault(fields: number, expected: number): StructureFault | undefined {
  if (fields < expected) return 'too few fields'
  return fields > expected ? 'too many fields' : undefined
}

function contentFault(bytes: Buffer): StructureFault | undefined {
  if (bytes.includes(0)) return 'NUL byte'
  return isUtf8(bytes) ? undefined : 'invalid UTF-8'
}

function isStartOfBom(bytes: Buffer): boolean {
  return bytes.equals(BOM.subarray(0, bytes.length))
}

function tooLong(line: number): string {
  return `the record that begins in line ${line} is longer than ${MAX_RECORD_BYTES} bytes; is a quote left open there?`
}

function refused(reason: string): ScanOutcome {
  return { kind: 'refused', reason }
}
