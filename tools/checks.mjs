// The static checks, each a command that must exit 0: `npm run check` runs them all, a test runs each.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Name → argv, run in the project's folder with the project's own tools. */
export const CHECKS = {
  'types (tsc)': ['tsc', '--noEmit'],
  'lint (oxlint, type-aware)': ['oxlint', '--type-aware', '--deny-warnings'],
  'format (oxfmt)': ['oxfmt', '--check'],
  'dead code (knip)': ['knip', '--no-progress'],
  'imports (dependency-cruiser)': [
    'depcruise',
    '--config',
    '.dependency-cruiser.mjs',
    'src',
    'tests',
    'tools',
    '--output-type',
    'err',
  ],
}

/** Runs one check; resolves to its exit code and all that it printed. */
export function runCheck([command = '', ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(ROOT, 'node_modules', '.bin', command), args, { cwd: ROOT })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
