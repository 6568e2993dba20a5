// Step 2: dbt in a Python virtual environment of its own, from a lock file with hashes.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { findOnPath, isExecutable, mustRun, run } from './command.mjs'
import { SetupFailure } from './failure.mjs'
import { digest, readStamp, writeStamp } from './stamp.mjs'

const OLDEST = 10
/** The newest Python 3 that dbt's dependencies have wheels for; a newer one is taken only when there is no other. */
const NEWEST = 13

/** @param {import('./main.mjs').Project} project @returns {import('./main.mjs').Step} */
export function pythonEnvironment({ root, state, logs, env, signal }) {
  const venv = join(state, 'venv')
  const lock = join(root, 'tools/python/requirements.lock')
  const stampFile = join(venv, '.millrace-stamp')
  // The path belongs in: the scripts of a virtual environment name their Python by its full path, so it cannot move.
  const stamp = () => digest([lock], venv, process.env.MILLRACE_PYTHON ?? '')
  let python

  return {
    name: 'python',
    isDone: async () => readStamp(stampFile) === stamp() && existsSync(join(venv, 'bin/python')),
    prepare: async () => {
      python = await findPython(signal)
      return `installing dbt into .millrace/venv, Python 3.${python.version}`
    },
    async run() {
      rmSync(venv, { recursive: true, force: true }) // half-built, or built from another lock
      const failure = (what, fix) => () => ({ what, fixes: [fix] })
      await mustRun([python.path, '-m', 'venv', venv], {
        env,
        signal,
        logFile: join(logs, 'python.log'),
        failure: failure('the virtual environment .millrace/venv could not be made', installVenv(python.version)),
      })
      // Plain pip, because it reads the indexes and certificates people have configured for it (uv does not), and is only
      // 10 s slower. It also compiles: 1.5 s less for each start of dbt where Python may not write into the folder.
      await mustRun(
        [
          join(venv, 'bin/python'),
          '-m',
          'pip',
          'install',
          '--quiet',
          '--no-input',
          '--disable-pip-version-check',
          '--no-deps',
          '--require-hashes',
          '-r',
          lock,
        ],
        {
          env: { ...env, PIP_USER: '0' },
          signal,
          logFile: join(logs, 'python.log'),
          failure: failure(
            'pip could not install dbt',
            `when that is fixed (what pip is configured to use: ${python.path} -m pip config list), run the same command again`,
          ),
        },
      )
      writeStamp(stampFile, stamp())
      const dbt = /^dbt-core==(\S+)/m.exec(readFileSync(lock, 'utf8'))?.[1]
      return `dbt ${dbt ?? ''} installed, Python 3.${python.version}`
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
 * @returns {Promise<{ path: string, version: number }>} version: the 11 of 3.11
 */
async function findPython(signal) {
  const chosen = process.env.MILLRACE_PYTHON
  const versioned = Array.from({ length: NEWEST - OLDEST + 1 }, (_, i) => `python3.${NEWEST - i}`)
  const candidates = chosen
    ? [isExecutable(chosen) ? chosen : (findOnPath(chosen)[0] ?? chosen)]
    : ['python3', ...versioned].flatMap((name) => findOnPath(name).slice(0, 1))
  const found = []
  for (const path of candidates) {
    const { code, stdout } = await run([path, '-c', PROBE], { signal })
    const [, major, minor, venv] = /^(\d+) (\d+) (.+)/.exec(stdout) ?? []
    if (code === 0 && major === '3') found.push({ path, version: Number(minor), complete: venv === 'complete' })
  }
  const usable = found.filter(({ version, complete }) => complete && version >= OLDEST)
  const best = usable.find(({ version }) => version <= NEWEST) ?? usable[0]
  if (best) return best

  const incomplete = found.find(({ version }) => version >= OLDEST)
  if (incomplete)
    throw new SetupFailure(
      `${incomplete.path} (3.${incomplete.version}) lacks its venv module, which dbt's environment is made with`,
      [installVenv(incomplete.version)],
    )
  const seen = chosen
    ? `MILLRACE_PYTHON=${chosen} is none`
    : found.length > 0
      ? `found only ${found.map(({ path, version }) => `${path} (3.${version})`).join(', ')}`
      : 'none is on PATH'
  throw new SetupFailure(`dbt needs Python 3.${OLDEST} or newer: ${seen}`, [
    'Debian, Ubuntu: sudo apt-get install -y python3 python3-venv',
    'macOS: brew install python@3.13',
    'somewhere else: MILLRACE_PYTHON=/path/to/python3 npm run setup',
  ])
}

function installVenv(version) {
  return process.platform === 'darwin' ? 'brew install python@3.13' : `sudo apt-get install -y python3.${version}-venv`
}
