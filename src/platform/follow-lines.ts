// Reads a file line by line while somebody else writes it.
import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

const CHUNK_BYTES = 256 * 1024
const POLL_EVERY_MS = 50
const LINE_FEED = 0x0a

/** A longer line is left out: nobody could hold it. */
const MAX_LINE_BYTES = 64 * 1024 * 1024

/**
 * Calls `onLine` with each whole line, without its line end, as it is written; resolves when `over` aborted and all that
 * the file holds was read. A last line that its writer did not finish is given when `over` has aborted. Memory: one line.
 */
export async function followLines(file: string, over: AbortSignal, onLine: (line: Buffer) => void): Promise<void> {
  const handle = await open(file, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    const lines = lineSplitter(onLine)
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
        lines.add(chunk.subarray(0, bytesRead))
        // Who writes as fast as we read would hold this turn for ever.
        if (!last && over.aborted) break
      }
      if (last) break
      await pause(POLL_EVERY_MS, undefined, { signal: over }).catch(() => undefined)
    }
    lines.end()
  } finally {
    await handle.close()
  }
}

function lineSplitter(onLine: (line: Buffer) => void) {
  /** The line that is not whole yet; undefined when it is too long to be kept. */
  let begun: Buffer[] | undefined = []
  let begunBytes = 0
  const finish = (part: Buffer) => {
    if (begun !== undefined) onLine(begun.length === 0 ? part : Buffer.concat([...begun, part]))
    begun = []
    begunBytes = 0
  }
  return {
    add(chunk: Buffer) {
      let from = 0
      for (let to = chunk.indexOf(LINE_FEED); to !== -1; to = chunk.indexOf(LINE_FEED, from)) {
        finish(chunk.subarray(from, to))
        from = to + 1
      }
      begunBytes += chunk.length - from
      if (begunBytes > MAX_LINE_BYTES) begun = undefined
      if (from < chunk.length) begun?.push(Buffer.from(chunk.subarray(from)))
    },
    end() {
      if (begunBytes > 0) finish(Buffer.alloc(0))
    },
  }
}
