// The Temporal CLI as the SDK downloads it, given up early where the network lets nothing through.
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable, run } from './command.mjs'
import { projectNode } from './node-packages.mjs'

const HOST = 'https://temporal.download/'
const PROBE_MS = 3_000
const DEFAULT_STALL_SECONDS = 20
const WATCH_MS = 500

/**
 * Asked before the npm packages are there, so that a build can begin beside them where a download is hopeless.
 * @param {AbortSignal} signal
 * @returns {Promise<string>} why a download cannot work, or '' when it may
 */
export async function whyNoDownload(signal) {
  if (process.env.MILLRACE_OFFLINE === '1') return 'no download, because of MILLRACE_OFFLINE=1'
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return '' // the SDK goes through a proxy, this fetch would not
  try {
    const given = followed(signal)
    const timer = setTimeout(() => given.abort(new Error(`no answer within ${PROBE_MS / 1000} s`)), PROBE_MS)
    await fetch(HOST, { method: 'HEAD', signal: given.signal }).finally(() => clearTimeout(timer))
    return ''
  } catch (error) {
    signal.throwIfAborted()
    return `${HOST} cannot be reached (${error.cause?.code ?? error.message})`
  }
}

/**
 * Downloads the CLI; the file appears whole or not at all.
 * @param {string} root of the project, with its npm packages
 * @param {string} file where the CLI goes
 * @param {{ signal: AbortSignal, onMegabytes: (count: number) => void }} options
 * @returns {Promise<string>} why there is none, or ''
 */
export async function downloadCli(root, file, { signal, onMegabytes }) {
  const folder = join(dirname(file), '.download')
  rmSync(folder, { recursive: true, force: true }) // the SDK would wait for the rest of a download that was killed
  mkdirSync(folder)
  const stalled = followed(signal)
  const watch = watchGrowth(folder, stalled, onMegabytes)
  try {
    const { code, output } = await run([projectNode(root), join(root, 'tools/setup/sdk-download.mjs'), folder], {
      cwd: root,
      signal: stalled.signal,
    })
    const cli = readdirSync(folder)
      .map((name) => join(folder, name))
      .find(isExecutable)
    const said = output.split('\n').find((line) => /^\w*Error: /.test(line)) ?? `exit code ${code}`
    if (code !== 0 || !cli) return `the SDK could not download the Temporal CLI: ${said.trim()}`
    renameSync(cli, file)
    return ''
  } catch (error) {
    if (stalled.signal.aborted && !signal.aborted) return `the download of the Temporal CLI stopped: ${error.message}`
    throw error
  } finally {
    clearInterval(watch)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A controller that aborts with the signal as well. Not AbortSignal.any(): see src/platform/abort.ts. */
function followed(signal) {
  const controller = new AbortController()
  const follow = () => controller.abort(signal.reason)
  if (signal.aborted) follow()
  else signal.addEventListener('abort', follow, { once: true })
  return controller
}

/** A limit on silence, not on the whole: 50 MB take a minute on a line that is merely slow. */
function watchGrowth(folder, stalled, onMegabytes) {
  const stallSeconds = Number(process.env.MILLRACE_DOWNLOAD_TIMEOUT) || DEFAULT_STALL_SECONDS
  let sizeBytes = 0
  let grownAt = Date.now()
  return setInterval(() => {
    const now = folderSizeBytes(folder)
    if (now !== sizeBytes) grownAt = Date.now()
    sizeBytes = now
    onMegabytes(Math.round(sizeBytes / 1e6))
    if (Date.now() - grownAt > stallSeconds * 1000) stalled.abort(new Error(`nothing came for ${stallSeconds} s`))
  }, WATCH_MS)
}

function folderSizeBytes(folder) {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  } catch {
    return 0 // a file was renamed between the two calls
  }
}
