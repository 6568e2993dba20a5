// A run's own log: events.jsonl in its folder, a JSON object a line, written by all activities of the run.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from './files.ts'
import { redactor } from './redaction.ts'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type RunEventLevel = (typeof LEVELS)[number]

export interface RunEvent {
  /** ISO 8601, UTC. */
  readonly at: string
  /** A step's id, or `plan`, or `record`. */
  readonly step: string
  /** `2.1`: the step's second attempt, the first worker that had it. */
  readonly attempt?: string
  readonly level: RunEventLevel
  /** May have several lines. */
  readonly text: string
}

export interface RunLog {
  /** Never throws: a full disk costs lines, not the run. Known secrets are the caller's to redact. */
  append(entry: Omit<RunEvent, 'at'>): void
  close(): void
}

const FILE = 'events.jsonl'
const LINE_END = 0x0a
const POLL_EVERY_MS = 200
const CHUNK_BYTES = 64 * 1024

const redact = redactor([])

/** The log of the run in this folder; folder and file are made by the first line. Any number may be open at once. */
export function openRunLog(folder: string): RunLog {
  let file: number | undefined
  let isLineOpen = false
  return {
    append(entry) {
      const event: RunEvent = { at: new Date().toISOString(), ...entry, text: redact(entry.text) }
      try {
        if (file === undefined) {
          mkdirSync(folder, { recursive: true })
          file = openSync(path.join(folder, FILE), 'a+')
          isLineOpen = endsInsideLine(file)
        }
        // One write with O_APPEND: the lines of several writers follow each other whole.
        const line = Buffer.from(`${isLineOpen ? '\n' : ''}${JSON.stringify(event)}\n`)
        isLineOpen = writeSync(file, line) < line.length
      } catch {
        // Whatever of it was written, the next line begins with a line end: one too many does no harm.
        isLineOpen = true
      }
    },
    close() {
      try {
        if (file !== undefined) closeSync(file)
      } catch {
        // As with a line that could not be written.
      }
      file = undefined
    },
  }
}

/** Whether an earlier writer was stopped in the middle of a line. */
function endsInsideLine(file: number): boolean {
  const { size } = fstatSync(file)
  if (size === 0) return false
  const last = Buffer.alloc(1)
  readSync(file, last, 0, 1, size - 1)
  return last[0] !== LINE_END
}

/**
 * The events of a run, oldest first. With `isOver` it waits for more, and for a file that is not there yet, until that
 * says true; what was written before it said so is still given. Lines that are torn are passed over.
 */
export async function* readRunLog(
  folder: string,
  isOver: () => boolean | Promise<boolean> = () => true,
): AsyncGenerator<RunEvent, void> {
  let file: FileHandle | undefined
  let begun = Buffer.alloc(0)
  try {
    for (;;) {
      // Asked before reading: a run writes its last line first, its report then.
      const over = await isOver()
      file ??= await openIfThere(path.join(folder, FILE))
      if (file !== undefined) {
        for await (const chunk of chunks(file)) {
          const { lines, rest } = splitLines(Buffer.concat([begun, chunk]))
          begun = rest
          for (const line of lines) {
            const event = parseEvent(line)
            if (event !== undefined) yield event
          }
        }
      }
      if (over) return
      await pause(POLL_EVERY_MS)
    }
  } finally {
    await file?.close()
  }
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** From where the last call stopped to the end of the file as it is now. */
async function* chunks(file: FileHandle): AsyncGenerator<Buffer, void> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES))
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function splitLines(bytes: Buffer): { lines: string[]; rest: Buffer<ArrayBuffer> } {
  const end = bytes.lastIndexOf(LINE_END) + 1
  const lines = bytes.subarray(0, end).toString('utf8').split('\n')
  return { lines, rest: Buffer.from(bytes.subarray(end)) }
}

function parseEvent(line: string): RunEvent | undefined {
  try {
    const event: unknown = JSON.parse(line)
    return isRunEvent(event) ? event : undefined
  } catch {
    return undefined
  }
}

function isRunEvent(value: unknown): value is RunEvent {
  if (typeof value !== 'object' || value === null) return false
  const { at, step, level, text } = value as Record<string, unknown>
  return [at, step, text].every((field) => typeof field === 'string') && LEVELS.some((known) => known === level)
}
