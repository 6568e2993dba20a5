// A statement that writes to a named pipe and a stream that reads it, side by side: neither waits for the other in vain.
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

const RELEASE_EVERY_MS = 20

/**
 * Runs `write`, which opens the pipe by its path and writes to it (more than once, too), and hands what it writes to `read`
 * as a stream, which ends when `write` has. Resolves to what both gave, or rejects with the error that came first: the
 * other side's is only its echo. Both have ended then. The stream is read without one of Node's few file threads.
 */
export async function throughPipe<Written, Taken>(
  pipe: string,
  write: () => Promise<Written>,
  read: (bytes: Readable) => Promise<Taken>,
): Promise<readonly [Written, Taken]> {
  const { bytes, letEnd } = openReader(pipe)
  const errors: unknown[] = []
  const over = new AbortController()
  /** Nobody reads any more: who writes is told EPIPE. What `read` does with its stream fails, without the other's text. */
  const breakOff = (error: unknown) => {
    errors.push(error)
    bytes.destroy(new Error('the rows ended before their time'))
    letEnd()
    over.abort()
  }
  const writing = start(write).then((result) => {
    letEnd()
    return { result }
  }, breakOff)
  const reading = start(() => read(bytes)).then((result) => {
    // Whoever reads less than all has not done its work.
    if (!bytes.readableEnded && errors.length === 0) breakOff(new Error('the rows were not read to their end'))
    return { result }
  }, breakOff)
  over.signal.addEventListener('abort', () => void releaseWriter(pipe, writing))
  const [written, taken] = await Promise.all([writing, reading])
  if (errors.length > 0) throw errors[0]
  if (written === undefined || taken === undefined) throw new Error('a side of the pipe ended without a result')
  return [written.result, taken.result]
}

/** The reading end. It sees no end before `letEnd` was called and all that write have closed their side. */
function openReader(pipe: string): { readonly bytes: Readable; readonly letEnd: () => void } {
  // Opened for both directions it does not wait, and then the reader needs not either.
  let keeper: number | undefined = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  const letEnd = () => {
    if (keeper !== undefined) closeSync(keeper)
    keeper = undefined
  }
  try {
    const fd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
    const bytes = new Socket({ fd, readable: true, writable: false })
    // Told by whoever reads it; without a listener the process would end.
    bytes.on('error', () => undefined)
    return { bytes, letEnd }
  } catch (error) {
    letEnd()
    throw error
  }
}

/** Opening a pipe waits for its other end: again and again, because who writes may not have come to its opening yet. */
async function releaseWriter(pipe: string, writing: Promise<unknown>): Promise<void> {
  const done = writing.then(() => true)
  do {
    closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK))
  } while (!(await Promise.race([done, sleep(RELEASE_EVERY_MS, false)])))
}

/** Also what is thrown at once comes as a rejection. */
async function start<T>(work: () => Promise<T>): Promise<T> {
  return await work()
}
