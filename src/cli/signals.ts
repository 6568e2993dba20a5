// Ctrl+C and its kin: the first ends things in order, the second at once.
import { sayError } from './terminal.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const EXIT_CODE_OF_CTRL_C = 130
const SAME_SIGNAL_WITHIN_MS = 500

/** A signal that aborts with the first SIGINT, SIGTERM or SIGHUP; the second ends the process. */
export function abortOnSignal(): AbortSignal {
  const controller = new AbortController()
  let firstAtMs = 0
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (controller.signal.aborted) {
        // A supervisor that signals the whole group reaches this process twice at once.
        if (performance.now() - firstAtMs < SAME_SIGNAL_WITHIN_MS) return
        sayError('ended at once; `npm start` takes over what was left running')
        process.exit(EXIT_CODE_OF_CTRL_C)
      }
      firstAtMs = performance.now()
      controller.abort(signal)
    })
  }
  return controller.signal
}

export function untilAborted(abort: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (abort.aborted) resolve()
  abort.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
