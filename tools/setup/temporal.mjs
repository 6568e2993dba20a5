// Step 3: an executable that serves Temporal, always reachable as .millrace/bin/temporal.
//
// The first that there is: a server of somebody else (TEMPORAL_ADDRESS) · the Temporal CLI on PATH · one got before ·
// the CLI as the SDK downloads it · tools/temporal-dev-server, built with Go.
import { existsSync, mkdirSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join, sep } from 'node:path'
import { findOnPath, run } from './command.mjs'
import { SetupFailure } from './failure.mjs'
import { buildDevServer, findGo, isBuilt, neededGo } from './temporal-build.mjs'
import { downloadCli, whyNoDownload } from './temporal-download.mjs'

const DOWNLOADING = 'downloading the Temporal CLI'
const BUILDING = 'building tools/temporal-dev-server with Go, about 5 minutes the first time'

/** @param {import('./main.mjs').Project} project @returns {import('./main.mjs').Step} */
export function temporalServer({ root, state, logs, env, signal }) {
  const bin = join(state, 'bin')
  const link = join(bin, 'temporal')
  const downloaded = join(bin, 'temporal-cli')
  const built = join(bin, 'temporal-dev-server')
  const source = join(root, 'tools/temporal-dev-server')

  /** What prepare found: something to link, or ways to get it and why the others are closed. */
  let existing = ''
  let downloadable = false
  let go = ''
  let reasons = []

  return {
    name: 'temporal',

    async isDone() {
      if (process.env.TEMPORAL_ADDRESS) return true
      const linked = readLink(link)
      if (cliOnPath(bin).includes(linked)) return true
      const isOwn = (linked === downloaded && existsSync(downloaded)) || (linked === built && isBuilt(source, built))
      return isOwn && (await firstThatAnswers(cliOnPath(bin), signal)) === undefined
    },

    async prepare() {
      const onPath = cliOnPath(bin)
      const own = [existsSync(downloaded) && downloaded, isBuilt(source, built) && built].filter(Boolean)
      existing = (await firstThatAnswers([...onPath, ...own], signal)) ?? ''
      if (existing) return `linking ${existing}`

      const [noDownload, found] = await Promise.all([whyNoDownload(signal), findGo(source, signal)])
      const noCli = onPath.length > 0 ? `${onPath.join(', ')} does not answer --version` : 'no `temporal` is on PATH'
      reasons = [noCli, noDownload, found.reason].filter(Boolean)
      downloadable = !noDownload
      go = found.go
      if (!downloadable && !go) throw noServer(reasons, source)
      return downloadable ? DOWNLOADING : BUILDING
    },

    async run(report, packages) {
      mkdirSync(bin, { recursive: true })
      if (existing) return replaceLink(link, existing)
      if (downloadable) {
        await packages // the SDK that downloads is one of them
        const onMegabytes = (count) => report.detail(`${DOWNLOADING}, ${count} MB`)
        const reason = await downloadCli(root, downloaded, { signal, onMegabytes })
        if (!reason) return replaceLink(link, downloaded)
        reasons.push(reason)
        if (!go) throw noServer(reasons, source)
        report.phase(BUILDING)
      }
      await buildDevServer(source, built, {
        go,
        env,
        signal,
        logFile: join(logs, 'temporal.log'),
        fixes: waysOut(source),
      })
      return replaceLink(link, built)
    },
  }
}

/** Executables named `temporal`, without our own link should somebody have its folder on PATH. */
function cliOnPath(bin) {
  return findOnPath('temporal').filter(
    (path) => !existsSync(bin) || !realpathSync(path).startsWith(realpathSync(bin) + sep),
  )
}

async function firstThatAnswers(paths, signal) {
  for (const path of paths) {
    const { code } = await run([path, '--version'], { signal })
    if (code === 0) return path
  }
  return undefined
}

function readLink(link) {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

/** Changes the link in one go: somebody may be starting a server through it. @returns {string} what was done */
function replaceLink(link, target) {
  rmSync(`${link}.new`, { force: true })
  symlinkSync(target, `${link}.new`)
  renameSync(`${link}.new`, link)
  return `.millrace/bin/temporal is ${target}`
}

function noServer(reasons, source) {
  return new SetupFailure('there is no Temporal server and no way to get one', waysOut(source), reasons.join('\n'))
}

function waysOut(source) {
  return [
    'install the Temporal CLI: brew install temporal (macOS), curl -sSf https://temporal.download/cli.sh | sh (Linux)',
    `or Go ${neededGo(source)} or newer, which builds the server of this project: https://go.dev/dl`,
    'or use a server you have: TEMPORAL_ADDRESS=host:7233 npm run setup',
  ]
}
