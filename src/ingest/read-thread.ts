// A thread that reads files, one at a time, and writes their records in canonical form into pipes. Started by feed.ts only.
import { closeSync, openSync, writeSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { CanonicalWriter } from './csv/canonical.ts'
import type { Dialect } from '../pipeline/dialect.ts'
import { CsvScanner, ScanRefusal, type ScanEvents, type ScanSummary } from './csv/scan.ts'
import type { StructureFault } from './csv/fault.ts'
import { rawText } from './rejects.ts'
import { textChunks, type TextSource } from './text-chunks.ts'

export interface FeedJob {
  readonly source: TextSource
  readonly dialect: Dialect
  /** How many fields each record must have. */
  readonly fields: number
  /** A named pipe; opening it waits until somebody reads there. */
  readonly pipe: string
  /**
   * rows: number and fields of each sound record. origins: number, line, byte offset, code, message and raw text of
   * each record, then its fields; where `soundToo` is not set, the faulty ones only.
   */
  readonly content: { readonly kind: 'rows' } | { readonly kind: 'origins'; readonly soundToo: boolean }
}

export type ReadReply = { readonly kind: 'progress'; readonly doneBytes: number; readonly records: number } | LastReply

/** The job is over, and the pipe closed. */
export type LastReply =
  | { readonly kind: 'fed'; readonly summary: ScanSummary }
  /** The file as a whole cannot be read. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody reads the pipe any more. */
  | { readonly kind: 'broken pipe' }

const PROGRESS_EVERY_MS = 250

let lastProgressMs = Number.NEGATIVE_INFINITY

function reply(message: ReadReply): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
  parentPort?.postMessage(message)
}

function showProgress(doneBytes: number, records: number): void {
  const now = performance.now()
  if (now - lastProgressMs < PROGRESS_EVERY_MS) return
  lastProgressMs = now
  reply({ kind: 'progress', doneBytes, records })
}

async function feed(job: FeedJob): Promise<LastReply> {
  lastProgressMs = Number.NEGATIVE_INFINITY
  const pipe = openSync(job.pipe, 'w')
  try {
    const writer = new CanonicalWriter(job.dialect, (piece) => writeAll(pipe, piece))
    const scanner = new CsvScanner(job.dialect, job.fields, eventsFor(job, writer))
    const chunks = textChunks(job.source, (doneBytes) => showProgress(doneBytes, scanner.summary.records))
    for await (const chunk of chunks) scanner.push(chunk)
    const summary = scanner.end()
    if (!job.dialect.header && summary.records === 0) throw new ScanRefusal('it is empty, not a single record is there')
    writer.end()
    return { kind: 'fed', summary }
  } catch (error) {
    if (error instanceof ScanRefusal) return { kind: 'refused', reason: error.message }
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return { kind: 'broken pipe' }
    throw error
  } finally {
    closeSync(pipe)
  }
}

function eventsFor({ content, dialect, fields }: FeedJob, writer: CanonicalWriter): ScanEvents {
  const header = () => fields
  if (content.kind === 'rows') {
    return {
      header,
      sound: (buffer, start, end, number) => writer.row(buffer, start, end, number),
      faulty: () => undefined,
    }
  }
  return {
    header,
    sound(buffer, start, end, number, line, byteOffset) {
      if (!content.soundToo) return
      writer.prefix([number, line, byteOffset, null, null, rawText(buffer.subarray(start, end), dialect)])
      writer.fields(buffer, start, end)
    },
    faulty(bytes, fault, number, line, byteOffset) {
      writer.prefix([number, line, byteOffset, fault, describe(fault, fields), rawText(bytes, dialect)])
      writer.noFields(fields)
    },
  }
}

const MESSAGES: Partial<Record<StructureFault, (fields: number) => string>> = {
  'too few fields': (fields) => `too few fields: the table has ${fields}`,
  'too many fields': (fields) => `too many fields: the table has ${fields}`,
  'after broken quote': () => 'stands behind a broken quote, so it may be text of a field or a record',
}

function describe(fault: StructureFault, fields: number): string {
  return MESSAGES[fault]?.(fields) ?? fault
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at)
}

// What else goes wrong ends the thread, and feed.ts hears of it.
parentPort?.on('message', (job: FeedJob) => void feed(job).then(reply))
