// Abort signals put together.

/**
 * Aborts with the first of the signals, and for its reason. Lives as long as they do. Takes the place of
 * AbortSignal.any(), which Node 24.16 and later can leave unaborted for good: it only looks at its signals when it is
 * looked at itself, and one that aborted may be collected before that (nodejs/node#65995).
 */
export function firstAbort(...signals: readonly AbortSignal[]): AbortSignal {
  const first = new AbortController()
  for (const signal of signals) {
    const follow = () => first.abort(signal.reason)
    if (signal.aborted) follow()
    else signal.addEventListener('abort', follow, { once: true, signal: first.signal })
  }
  return first.signal
}
