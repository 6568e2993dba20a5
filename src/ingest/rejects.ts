// Rejects: records that were not loaded, each with its reason and where its bytes stand in the file.
import { decode } from './csv/scan.ts'
import type { Dialect } from '../pipeline/dialect.ts'

/** Columns of a reject as the engine hands it to a warehouse (typing.ts), in this order, in DuckDB's types. */
export const REJECT_COLUMNS = [
  ['_source_record', 'BIGINT'],
  ['line', 'BIGINT'],
  ['byte_offset', 'BIGINT'],
  ['code', 'VARCHAR'],
  ['column_name', 'VARCHAR'],
  ['message', 'VARCHAR'],
  ['raw_text', 'VARCHAR'],
] as const

export const MAX_RAW_BYTES = 8 * 1024

/** A record's bytes as a text to look at: cut at 8 KiB, NUL made visible. */
export function rawText(bytes: Buffer, dialect: Pick<Dialect, 'encoding'>): string {
  const cut = bytes.length <= MAX_RAW_BYTES ? bytes : withoutHalfCharacter(bytes.subarray(0, MAX_RAW_BYTES))
  return decode(cut, dialect).replaceAll('\0', '\u2400')
}

/** Leaves out the half of a UTF-8 character at the cut. */
function withoutHalfCharacter(bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > bytes.length - 4 && ((bytes[end - 1] ?? 0) & 0xc0) === 0x80) end--
  return ((bytes[end - 1] ?? 0) & 0xc0) === 0xc0 ? bytes.subarray(0, end - 1) : bytes.subarray(0, end)
}
