// tools/temporal-dev-server, built with the Go that is there.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { findOnPath, mustRun, run } from './command.mjs'
import { digest, readStamp, writeStamp } from './stamp.mjs'

/** @param {string} source @param {string} file @returns {boolean} whether `file` was built from these sources */
export function isBuilt(source, file) {
  return existsSync(file) && readStamp(`${file}.stamp`) === sourceDigest(source)
}

/**
 * @param {string} source
 * @param {string} file the executable; the old one stays until the new one is complete
 * @param {{ go: string, env: NodeJS.ProcessEnv, signal: AbortSignal, logFile: string, fixes: string[] }} options
 */
export async function buildDevServer(source, file, { go, env, signal, logFile, fixes }) {
  const unfinished = join(dirname(file), `.${basename(file)}`)
  const stamp = sourceDigest(source) // before the build: what is edited meanwhile belongs to the next one
  rmSync(unfinished, { force: true })
  await mustRun([go, 'build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', unfinished, '.'], {
    cwd: source,
    env: { ...env, CGO_ENABLED: '0' }, // SQLite is pure Go here: no C compiler needed
    signal,
    logFile,
    from: 'start',
    failure: () => ({
      what: 'Go could not build tools/temporal-dev-server, and there is no other Temporal server',
      fixes,
    }),
  })
  rmSync(`${file}.stamp`, { force: true })
  renameSync(unfinished, file)
  writeStamp(`${file}.stamp`, stamp)
}

/**
 * @param {string} source
 * @param {AbortSignal} signal
 * @returns {Promise<{ go: string, reason: '' } | { go: '', reason: string }>} a Go that can build it, or why there is none
 */
export async function findGo(source, signal) {
  const needed = neededGo(source)
  const go = findOnPath('go')[0]
  if (!go) return { go: '', reason: `Go is not on PATH (tools/temporal-dev-server needs ${needed})` }
  // Outside of any module, because inside one Go answers with the toolchain it would fetch for it.
  const { code, stdout } = await run([go, 'env', 'GOVERSION', 'GOTOOLCHAIN'], { cwd: '/', signal })
  if (code !== 0) return { go: '', reason: `${go} does not answer \`go env\`` }
  const [goVersion = '', toolchain = ''] = stdout.trim().split('\n')
  const version = goVersion.replace(/^go/, '')
  const fetchesNewer = toolchain !== 'local' && isAtLeast(version, '1.21')
  if (fetchesNewer || isAtLeast(version, needed)) return { go, reason: '' }
  const local = toolchain === 'local' ? ' and may fetch no other (GOTOOLCHAIN=local)' : ''
  return { go: '', reason: `${go} is ${version}${local}; tools/temporal-dev-server needs ${needed}` }
}

/** @param {string} source @returns {string} the oldest Go that will do, from go.mod */
export function neededGo(source) {
  return /^go (\S+)/m.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1] ?? ''
}

function sourceDigest(source) {
  const files = readdirSync(source).filter((name) => /\.(go|mod|sum)$/.test(name) && !name.endsWith('_test.go'))
  return digest(
    files.sort().map((name) => join(source, name)),
    process.platform,
    process.arch,
  )
}

function isAtLeast(version, needed) {
  const parts = (text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0)
  const [have, want] = [parts(version), parts(needed)]
  const i = [0, 1, 2].find((i) => (have[i] ?? 0) !== (want[i] ?? 0)) ?? 0
  return (have[i] ?? 0) >= (want[i] ?? 0)
}
