// Reads a file line by line while somebody else writes it.
import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

const CHUNK_BYTES = 256 * 1024
const POLL_EVERY_MS = 50
const LINE_FEED = 0x0a

/**
 * Calls `onLine` with each whole line, without its line end, as it is written; resolves when `over` aborted and all that
 * the file holds was read. A last line that its writer did not finish is given when `over` has aborted. Memory: one line.
 */
export async function followLines(file: string, over: AbortSignal, onLine: (line: Buffer) => void): Promise<void> {
  const handle = await open(file, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let rest: Buffer[] = []
    let read = 0
    for (;;) {
      // Looked at before reading: what was written until then is read in this turn, and no more in the last one, because
      // somebody who outlives the writer may go on writing faster than lines are read.
      const last = over.aborted
      const end = last ? (await handle.stat()).size : Infinity
      while (read < end) {
        const { bytesRead } = await handle.read(chunk, 0, Math.min(CHUNK_BYTES, end - read))
        if (bytesRead === 0) break
        read += bytesRead
        rest = splitLines(chunk.subarray(0, bytesRead), rest, onLine)
      }
      if (last) break
      await pause(POLL_EVERY_MS, undefined, { signal: over }).catch(() => undefined)
    }
    if (rest.length > 0) onLine(Buffer.concat(rest))
  } finally {
    await handle.close()
  }
}

function splitLines(chunk: Buffer, before: Buffer[], onLine: (line: Buffer) => void): Buffer[] {
  let rest = before
  let from = 0
  for (let to = chunk.indexOf(LINE_FEED); to !== -1; to = chunk.indexOf(LINE_FEED, from)) {
    const part = chunk.subarray(from, to)
    onLine(rest.length === 0 ? part : Buffer.concat([...rest, part]))
    rest = []
    from = to + 1
  }
  return from === chunk.length ? rest : [...rest, Buffer.from(chunk.subarray(from))]
}
