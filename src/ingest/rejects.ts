// Rejects: records that were not loaded, each with its reason and where its bytes stand in the file.
import { StringDecoder } from 'node:string_decoder'
import type { RejectReason } from '../pipeline/report.ts'

export interface Reject {
  readonly recordNumber: number
  readonly line: number
  readonly byteOffset: number
  readonly code: string
  readonly column: string | null
  readonly message: string
  /** The record's bytes as UTF-8, cut at 8 KiB. */
  readonly rawText: string
}

const MAX_RAW_BYTES = 8 * 1024
const MAX_REASONS = 10

export function rawText(bytes: Buffer): string {
  const text =
    bytes.length <= MAX_RAW_BYTES
      ? bytes.toString('utf8')
      : // Leaves out the half of a character at the cut.
        new StringDecoder('utf8').write(bytes.subarray(0, MAX_RAW_BYTES))
  return text.replaceAll('\0', '\u2400')
}

/** The commonest reasons first. */
export function groupByReason(rejects: readonly Reject[]): RejectReason[] {
  const groups = Map.groupBy(rejects, ({ code, column }) => JSON.stringify([code, column]))
  return [...groups.values()]
    .map((group) => ({ code: group[0]?.code ?? '', column: group[0]?.column ?? null, count: group.length }))
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_REASONS)
}
