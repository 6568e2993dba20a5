// What benchmarks share: programs that end with the benchmark, and medians.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** More than a worker needs to end its dbt in order. */
const END_WITHIN_MS = 60_000

export const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => abort.abort(new Error(`ended by ${signal}`)))
}

/** Ended by the first signal to this process, and where it is disposed of. */
export function start(file: string, args: readonly string[], cwd: string, env: Record<string, string>) {
  abort.signal.throwIfAborted()
  const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const closed = once(child, 'close') as Promise<[number | null]> // as Node documents the event
  const ended = closed.then(([code]) => ({ code, output }))
  // For whoever waits for it.
  ended.catch(() => undefined)
  const end = () => void child.kill('SIGTERM')
  abort.signal.addEventListener('abort', end)
  return {
    pid: child.pid ?? 0,
    ended,
    said(text: string): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      child.stderr.on('data', () => output.includes(text) && resolve())
      return promise
    },
    async [Symbol.asyncDispose]() {
      end()
      const late = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
      await ended.catch(() => undefined)
      clearTimeout(late)
      abort.signal.removeEventListener('abort', end)
    },
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}
