// Runs the tools that do the work (npm, pip, go) so that none of them outlives the set-up, however that ends.
import { spawn } from 'node:child_process'
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { SetupFailure } from './failure.mjs'

const EXCERPT_LINES = 12

/**
 * Starts the command in a process group of its own, beside a reader of file descriptor 3. That pipe ends when we do, by
 * kill -9 too, and then the reader kills the group: a half-done `npm ci` must not write on under the next set-up.
 */
const GUARD = '(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec "$@" 3<&-'

/**
 * Runs a command to its end.
 * @param {string[]} argv
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal }} [options] an aborted signal ends the command and throws its reason
 * @returns {Promise<{ code: number | null, output: string, stdout: string }>} output: both streams as they came
 */
export async function run(argv, { cwd, env = process.env, signal } = {}) {
  signal?.throwIfAborted()
  const child = spawn('/bin/sh', ['-c', GUARD, 'sh', ...argv], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const parts = { output: '', stdout: '' }
  child.stdout.on('data', (chunk) => {
    parts.stdout += chunk
    parts.output += chunk
  })
  child.stderr.on('data', (chunk) => (parts.output += chunk))
  if (process.env.MILLRACE_DEBUG)
    for (const stream of [child.stdout, child.stderr]) stream.pipe(process.stderr, { end: false })

  // What the guard does when we die is right for an orderly stop, too: every step can be killed anywhere, and npm takes
  // its time after a gentle signal.
  const stop = () => child.stdio[3].destroy()
  signal?.addEventListener('abort', stop, { once: true })
  child.once('exit', stop)
  child.stdio[3].on('error', () => {}) // the other end went first
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
  return { code, ...parts }
}

/**
 * Runs a command that has to succeed; its whole output is kept in `logFile`.
 * @param {string[]} argv
 * @param {Parameters<typeof run>[1] & { logFile: string, from?: 'start' | 'end', failure: (output: string) => { what: string, fixes: string[] } }} options
 *   from: whether the tool says what matters first or last
 */
export async function mustRun(argv, { logFile, from = 'end', failure, ...options }) {
  const result = await run(argv, options)
  if (result.code === 0) return result
  mkdirSync(dirname(logFile), { recursive: true })
  writeFileSync(logFile, `$ ${argv.join(' ')}\n${result.output}`)
  const lines = result.output.split('\n').filter((line) => line.trim())
  const shown = from === 'end' ? lines.slice(-EXCERPT_LINES) : lines.slice(0, EXCERPT_LINES)
  if (shown.length < lines.length) shown.push(`(all ${lines.length} lines: ${logFile})`)
  const { what, fixes } = failure(result.output)
  throw new SetupFailure(what, fixes, shown.join('\n'))
}

/** All executables of that name on PATH, in order. @param {string} name @returns {string[]} */
export function findOnPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return folders.map((folder) => join(folder, name)).filter(isExecutable)
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
