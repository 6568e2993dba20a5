// Waiting between tries: doubled each time, with jitter, never beyond a number of tries, ended by an abort.
import { setTimeout as sleep } from 'node:timers/promises'
import { BigQueryError } from './error.ts'

export interface RetryRules {
  readonly tries: number
  readonly firstDelayMs: number
  readonly longestDelayMs: number
}

/** About three quarters of a minute in all; what lasts longer is tried again as a whole by the workflow. */
export const RETRY_RULES: RetryRules = { tries: 8, firstDelayMs: 500, longestDelayMs: 20_000 }

/** Runs the work until it succeeds, fails for good, or has used up its tries; then the last error is thrown. */
export async function withRetries<T>(
  rules: RetryRules,
  abort: AbortSignal | undefined,
  canHelp: (error: unknown) => boolean,
  work: (tried: number) => Promise<T>,
): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    abort?.throwIfAborted()
    try {
      return await work(tried)
    } catch (error) {
      abort?.throwIfAborted()
      if (tried + 1 >= rules.tries || !canHelp(error)) throw error
      await pause(delayMs(rules, tried, error), abort)
    }
  }
}

/** Between half of the doubled delay and the whole, so that those who failed together do not come back together. */
export function delayMs(rules: RetryRules, tried: number, error?: unknown): number {
  const doubled = Math.min(rules.firstDelayMs * 2 ** tried, rules.longestDelayMs)
  const asked = error instanceof BigQueryError ? (error.retryAfterMs ?? 0) : 0
  return Math.max(doubled / 2 + (Math.random() * doubled) / 2, Math.min(asked, rules.longestDelayMs))
}

/** Sleeps; an abort ends it with the signal's reason. */
export async function pause(ms: number, abort: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, abort === undefined ? {} : { signal: abort })
  } catch (error) {
    abort?.throwIfAborted()
    throw error
  }
}

/** Gives up waiting when the signal aborts; what was begun goes on unheard. */
export async function untilAborted<T>(work: Promise<T>, abort: AbortSignal | undefined): Promise<T> {
  if (abort === undefined) return await work
  abort.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(abort.reason instanceof Error ? abort.reason : new Error('aborted'))
  abort.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    abort.removeEventListener('abort', onAbort)
    // Whichever lost the race must not be an unhandled rejection.
    work.catch(() => undefined)
  }
}
