// Feeds a file's records through a named pipe to a statement of the engine, while a thread scans the file.
import { closeSync, constants, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { ScanSummary } from './csv/scan.ts'
import { ScanRefusal } from './csv/scan.ts'
import type { FeedJob, LastReply, ReadReply } from './read-thread.ts'

export interface FeedProgress {
  readonly doneBytes: number
  readonly records: number
}

/**
 * Scans the file and runs the statement that reads the pipe, side by side: neither needs the file in memory or a copy
 * on disk. Resolves when both are done, to what the scan counted and the statement gave. Rejects with ScanRefusal when
 * the file as a whole cannot be read (the statement has then seen a part of it and must be undone), with the
 * statement's error, or with the signal's reason.
 */
export async function feed<T>(
  job: FeedJob,
  statement: () => Promise<T>,
  onProgress: (progress: FeedProgress) => void,
  abort: AbortSignal,
): Promise<{ readonly summary: ScanSummary; readonly result: T }> {
  return await inTurn(async () => {
    abort.throwIfAborted()
    const sides = [scanInThread(job, onProgress, abort), statement()] as const
    const both = Promise.allSettled(sides)
    await releasePipe(job.pipe, sides, both)
    const [scanned, stated] = await both
    abort.throwIfAborted()
    const reply = scanned.status === 'fulfilled' ? scanned.value : undefined
    if (reply?.kind === 'refused') throw new ScanRefusal(reply.reason)
    if (stated.status === 'rejected') throw stated.reason
    if (scanned.status === 'rejected') throw scanned.reason
    if (reply?.kind !== 'fed') throw new Error('the engine stopped reading before the end of the file')
    return { summary: reply.summary, result: stated.value }
  })
}

/**
 * A statement that reads a pipe holds one of the four threads that Node has for such work in all, and the scan needs one
 * to unpack its file: with all four held, nothing would ever move again.
 */
const AT_ONCE = 2
const turns = { taken: 0, waiting: [] as (() => void)[] }

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (turns.taken >= AT_ONCE) await new Promise<void>((resolve) => turns.waiting.push(resolve))
  else turns.taken++
  try {
    return await work()
  } finally {
    const next = turns.waiting.shift()
    if (next === undefined) turns.taken--
    else next()
  }
}

/** Threads without work: starting one takes longer than scanning a small file. They keep no process alive. */
const idle: Worker[] = []

function takeThread(): Worker {
  const rested = idle.pop()
  if (rested === undefined) return new Worker(new URL('./read-thread.ts', import.meta.url))
  rested.removeAllListeners('exit').ref()
  return rested
}

function restThread(thread: Worker): void {
  for (const event of ['message', 'error', 'exit']) thread.removeAllListeners(event)
  thread.once('exit', () => idle.splice(idle.indexOf(thread), 1)).unref()
  idle.push(thread)
}

async function scanInThread(
  job: FeedJob,
  onProgress: (progress: FeedProgress) => void,
  abort: AbortSignal,
): Promise<LastReply> {
  const thread = takeThread()
  const terminate = () => void thread.terminate()
  abort.addEventListener('abort', terminate, { once: true })
  if (abort.aborted) terminate()
  try {
    const last = await new Promise<LastReply>((resolve, reject) => {
      thread.on('message', (reply: ReadReply) => {
        if (reply.kind === 'progress') onProgress(reply)
        else resolve(reply)
      })
      thread.once('error', reject)
      thread.once('exit', () => reject(new Error('the scanning thread ended before its work was done')))
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      thread.postMessage(job)
    })
    if (!abort.aborted) restThread(thread)
    return last
  } finally {
    abort.removeEventListener('abort', terminate)
  }
}

const RELEASE_EVERY_MS = 20

/**
 * Opening a pipe waits for its other end: whichever side ends first must not leave the other one waiting. Opens both ends
 * for a moment, again and again until both sides are done, since the slower one may not have come to its opening yet.
 */
async function releasePipe(pipe: string, sides: readonly Promise<unknown>[], both: Promise<unknown>): Promise<void> {
  await Promise.race(sides).catch(() => undefined)
  const done = both.then(() => true)
  do {
    closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK))
  } while (!(await Promise.race([done, sleep(RELEASE_EVERY_MS, false)])))
}
