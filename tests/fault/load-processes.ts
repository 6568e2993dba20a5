// Loads in processes of their own, some of which die on the way.
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FailureInfo } from '../../src/pipeline/failure.ts'
import type { LoadReport } from '../../src/pipeline/report.ts'
import type { LoadRequest } from './one-load.ts'

const PROGRAM = fileURLToPath(new URL('one-load-process.ts', import.meta.url))

export type LoadOutcome =
  | { readonly report: LoadReport }
  | { readonly failure: FailureInfo }
  | { readonly signal: NodeJS.Signals }

export interface LoadProcess {
  readonly process: ChildProcess
  readonly outcome: Promise<LoadOutcome>
}

/** `fault`: the point, and the marker file that says that it was reached (platform/fault.ts). */
export function startLoad(
  request: LoadRequest,
  fault?: { readonly point: string; readonly marker: string },
): LoadProcess {
  const env = { ...process.env, ...(fault && { MILLRACE_FAULT: `${fault.point}@${fault.marker}` }) }
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(request)], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<LoadOutcome>()
  let told = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (told += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.once('error', reject)
  child.once('close', (code, signal) => {
    if (signal !== null) resolve({ signal })
    else if (told === '') reject(new Error(`the load ended with code ${code} and no word: ${errors}`))
    else resolve(JSON.parse(told) as LoadOutcome) // one-load-process.ts
  })
  return { process: child, outcome: promise }
}
