// Runs the scanner over chunks and keeps what it tells, in the form of the second reader (oracle.ts).
import type { Dialect } from '../../../src/pipeline/dialect.ts'
import { CsvScanner, eachField, ScanRefusal, type ScanSummary } from '../../../src/ingest/csv/scan.ts'
import type { OracleField, OracleRecord } from './oracle.ts'

export interface Scanned {
  readonly header: readonly string[] | undefined
  readonly records: readonly OracleRecord[]
  readonly summary: ScanSummary
}

/** A character per byte, as in the oracle; `refused` with the message, where the scanner refuses the whole. */
export function scanAll(
  chunks: readonly Buffer[],
  dialect: Dialect,
  expectedFields: number,
): Scanned | { refused: string } {
  const records: OracleRecord[] = []
  let header: readonly string[] | undefined
  const scanner = new CsvScanner(dialect, expectedFields, {
    header(fields) {
      header = fields
      return expectedFields
    },
    sound(buffer, start, end, number, line, byteOffset) {
      const fields: OracleField[] = []
      eachField(buffer, start, end, dialect, (from, to, quoted) => {
        const raw = buffer.toString('latin1', from, to)
        fields.push({ text: quoted ? unescaped(raw, dialect) : raw, quoted })
      })
      records.push({
        number,
        line,
        byteOffset,
        text: buffer.toString('latin1', start, end),
        fields,
        fault: undefined,
      })
    },
    faulty(bytes, fault, number, line, byteOffset) {
      records.push({ number, line, byteOffset, text: bytes.toString('latin1'), fields: undefined, fault })
    },
  })
  try {
    for (const chunk of chunks) scanner.push(chunk)
    const summary = scanner.end()
    return { header, records, summary }
  } catch (error) {
    if (error instanceof ScanRefusal) return { refused: error.message }
    throw error
  }
}

/** The same bytes in pieces of the given sizes, over and over. */
export function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

function unescaped(raw: string, { quote, escape }: Dialect): string {
  let text = ''
  const introduces = escape === 'backslash' ? '\\' : quote
  for (let at = 0; at < raw.length; at++) {
    if (raw[at] === introduces) at++
    text += raw[at] ?? ''
  }
  return text
}
