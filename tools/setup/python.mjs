// Step 2: dbt in a Python virtual environment of its own, from a lock file with hashes; and others that are asked for by name.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { findOnPath, isExecutable, mustRun, run } from './command.mjs'
import { SetupFailure } from './failure.mjs'
import { digest, readStamp, writeStamp } from './stamp.mjs'

const OLDEST = 10
/** The newest Python 3 that dbt's dependencies have wheels for; a newer one is taken only when there is no other. */
const NEWEST = 13

/**
 * @typedef {{
 *   name: string, venv: string, lock: string, shows: string, what: string, oldest?: number, afterwards?: string,
 * }} Environment
 *   name: of the step · venv: the folder in .millrace · lock: the file in tools/python · shows: the package whose version
 *   is told · what: is installed, in words · oldest: the 11 of Python 3.11 · afterwards: a script of tools/python
 */

/** @type {Environment} */
const DBT = { name: 'python', venv: 'venv', lock: 'requirements.lock', shows: 'dbt-core', what: 'dbt' }

/** Large ones that not everybody needs. @type {Environment[]} */
const ON_DEMAND = [
  {
    name: 'bigquery',
    venv: 'venv-bigquery',
    lock: 'requirements-bigquery.lock',
    shows: 'dbt-bigquery',
    what: 'dbt for BigQuery',
  },
  {
    name: 'bqemulator',
    venv: 'venv-bqemulator',
    lock: 'requirements-bqemulator.lock',
    shows: 'bqemulator',
    what: 'the BigQuery emulator of the tests',
    oldest: 11,
    afterwards: 'install_spatial.py',
  },
]

/** @param {import('./main.mjs').Project} project @returns {import('./main.mjs').Step} */
export function dbtEnvironment(project) {
  return pythonEnvironment(project, DBT)
}

/** @param {import('./main.mjs').Project} project @returns {import('./main.mjs').Step[]} */
export function pythonOnDemand(project) {
  return ON_DEMAND.map((environment) => pythonEnvironment(project, environment))
}

/**
 * @param {import('./main.mjs').Project} project
 * @param {Environment} environment
 * @returns {import('./main.mjs').Step}
 */
function pythonEnvironment({ root, state, logs, env, signal }, environment) {
  const { name, what, shows, oldest = OLDEST, afterwards } = environment
  const folder = `.millrace/${environment.venv}`
  const venv = join(state, environment.venv)
  const lock = join(root, 'tools/python', environment.lock)
  const script = afterwards === undefined ? [] : [join(root, 'tools/python', afterwards)]
  const stampFile = join(venv, '.millrace-stamp')
  // The path belongs in: the scripts of a virtual environment name their Python by its full path, so it cannot move.
  const stamp = () => digest([lock, ...script], venv, process.env.MILLRACE_PYTHON ?? '')
  const logFile = join(logs, `${name}.log`)
  let python

  return {
    name,
    isDone: async () => readStamp(stampFile) === stamp() && existsSync(join(venv, 'bin/python')),
    prepare: async () => {
      python = await findPython(what, oldest, signal)
      return `installing ${what} into ${folder}, Python 3.${python.version}`
    },
    async run() {
      rmSync(venv, { recursive: true, force: true }) // half-built, or built from another lock
      const must = (argv, failed, fix) =>
        mustRun(argv, {
          env: { ...env, PIP_USER: '0' },
          signal,
          logFile,
          failure: () => ({ what: failed, fixes: [fix] }),
        })
      await must(
        [python.path, '-m', 'venv', venv],
        `the virtual environment ${folder} could not be made`,
        installVenv(python.version),
      )
      const again = `when that is fixed (what pip is configured to use: ${python.path} -m pip config list), run the same command again`
      const pip = [join(venv, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--no-input']
      // Plain pip, because it reads the indexes and certificates people have configured for it (uv does not), and is only
      // 10 s slower. It also compiles: 1.5 s less for each start of dbt where Python may not write into the folder.
      await must(
        [...pip, '--disable-pip-version-check', '--no-deps', '--require-hashes', '-r', lock],
        `pip could not install ${what}`,
        again,
      )
      for (const file of script) {
        await must([join(venv, 'bin/python'), file], `${what} could not be made ready in ${folder}`, again)
      }
      writeStamp(stampFile, stamp())
      const version = new RegExp(`^${shows}==(\\S+)`, 'm').exec(readFileSync(lock, 'utf8'))?.[1]
      return `${what} ${version ?? ''} installed, Python 3.${python.version}`
    },
  }
}

const PROBE = `
import sys
try:
    import ensurepip, venv
    print(sys.version_info[0], sys.version_info[1], 'complete')
except ImportError:
    print(sys.version_info[0], sys.version_info[1], 'without venv')
`

/**
 * The first Python that will do; ones that are too old or lack venv (Debian packs it apart) are named when none does.
 * @param {string} what it is needed for
 * @param {number} oldest the 10 of 3.10
 * @param {AbortSignal} signal
 * @returns {Promise<{ path: string, version: number }>} version: the 11 of 3.11
 */
async function findPython(what, oldest, signal) {
  const chosen = process.env.MILLRACE_PYTHON
  const versioned = Array.from({ length: NEWEST - oldest + 1 }, (_, i) => `python3.${NEWEST - i}`)
  const candidates = chosen
    ? [isExecutable(chosen) ? chosen : (findOnPath(chosen)[0] ?? chosen)]
    : ['python3', ...versioned].flatMap((name) => findOnPath(name).slice(0, 1))
  const found = []
  for (const path of candidates) {
    const { code, stdout } = await run([path, '-c', PROBE], { signal })
    const [, major, minor, venv] = /^(\d+) (\d+) (.+)/.exec(stdout) ?? []
    if (code === 0 && major === '3') found.push({ path, version: Number(minor), complete: venv === 'complete' })
  }
  const usable = found.filter(({ version, complete }) => complete && version >= oldest)
  const best = usable.find(({ version }) => version <= NEWEST) ?? usable[0]
  if (best) return best

  const incomplete = found.find(({ version }) => version >= oldest)
  if (incomplete)
    throw new SetupFailure(
      `${incomplete.path} (3.${incomplete.version}) lacks its venv module, which the environment of ${what} is made with`,
      [installVenv(incomplete.version)],
    )
  const seen = chosen
    ? `MILLRACE_PYTHON=${chosen} is none`
    : found.length > 0
      ? `found only ${found.map(({ path, version }) => `${path} (3.${version})`).join(', ')}`
      : 'none is on PATH'
  throw new SetupFailure(`${what} needs Python 3.${oldest} or newer: ${seen}`, [
    'Debian, Ubuntu: sudo apt-get install -y python3 python3-venv',
    'macOS: brew install python@3.13',
    'somewhere else: MILLRACE_PYTHON=/path/to/python3 npm run setup',
  ])
}

function installVenv(version) {
  return process.platform === 'darwin' ? 'brew install python@3.13' : `sudo apt-get install -y python3.${version}-venv`
}
