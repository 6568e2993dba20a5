// A project to set up in a second: the real tools/bootstrap.mjs, with npm, python3, go and temporal played by shell scripts.
import { execa } from 'execa'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** The only commands there are, beside the fakes: what a machine happens to have must not decide a test. */
const REAL_COMMANDS = ['cp', 'ln', 'mkdir', 'sleep', 'touch']

const FAKES = {
  npm: `
echo "npm $1" >> "$CALLS"
mkdir -p node_modules/.bin
ln -sf "$REAL_NODE" node_modules/.bin/node
echo "added 3 packages in 1s"`,
  // The copy in the virtual environment plays pip.
  python3: `
case "$2" in
  venv) echo "venv" >> "$CALLS"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  pip) echo "pip $3" >> "$CALLS" ;;
  *) echo "3 12 complete" ;;
esac`,
  go: `
case "$1" in
  env) echo go1.26.8; echo local ;;
  build) echo "go build" >> "$CALLS"; cp "$FAKES/temporal" "$PWD/../../.millrace/bin/.temporal-dev-server" ;;
esac`,
  temporal: `echo "temporal version 1.0.0"`,
} as const

type Tool = keyof typeof FAKES

export type FakeProject = ReturnType<typeof createFakeProject>

/** @param tools the programs this machine has */
export function createFakeProject({ tools }: { tools: readonly Tool[] }) {
  const home = mkdtempSync(join(tmpdir(), 'millrace-setup-'))
  const root = join(home, 'project')
  const path = join(home, 'path')
  const fakes = join(home, 'fakes')
  const calls = join(home, 'calls')
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }

  for (const folder of ['bootstrap.mjs', 'setup']) {
    cpSync(new URL(`../../tools/${folder}`, import.meta.url), join(root, 'tools', folder), { recursive: true })
  }
  write('package-lock.json', '{}')
  write('tools/python/requirements.lock', 'dbt-core==1.12.6 --hash=sha256:00\n')
  write('tools/temporal-dev-server/go.mod', 'module fake\n\ngo 1.26.8\n')
  write('tools/temporal-dev-server/main.go', 'package main\n')
  write('tools/test.mjs', `console.log('tests', ...process.argv.slice(2))`)
  write('bin/millrace.mjs', `console.log('millrace', ...process.argv.slice(2))`)
  writeFileSync(calls, '')
  for (const folder of [path, fakes]) mkdirSync(folder)
  for (const command of REAL_COMMANDS) symlinkSync(findCommand(command), join(path, command))

  /** Puts a program on PATH; `script` replaces what it does. */
  const install = (tool: Tool | 'python3.11', script?: string, folder = path) => {
    const body = script ?? (tool === 'python3.11' ? FAKES.python3 : FAKES[tool])
    writeFileSync(join(folder, tool), `#!/bin/sh${body.startsWith('\n') ? '' : '\n'}${body}\n`)
    chmodSync(join(folder, tool), 0o755)
  }
  for (const tool of tools) install(tool)
  install('temporal', undefined, fakes) // what `go build` "builds"

  const environment = {
    PATH: path,
    HOME: home,
    CALLS: calls,
    FAKES: fakes,
    REAL_NODE: process.execPath,
    MILLRACE_OFFLINE: '1',
    NO_COLOR: '1',
  }

  return {
    root,
    /** What programs see here. */
    environment,
    install,
    write,
    uninstall: (tool: Tool) => rmSync(join(path, tool)),
    has: (file: string) => existsSync(join(root, file)),
    read: (file: string) => readFileSync(join(root, file), 'utf8'),
    /** What the fakes were asked to do, in order. */
    calls: () => readFileSync(calls, 'utf8').split('\n').filter(Boolean),
    remove: () => rmSync(home, { recursive: true, force: true }),
    /** `node tools/bootstrap.mjs …args`; a failure is a result, not an exception. */
    bootstrap: (
      args: readonly string[] = [],
      { env = {}, nodeFlags = [] }: { env?: Record<string, string>; nodeFlags?: readonly string[] } = {},
    ) =>
      execa(process.execPath, [...nodeFlags, join(root, 'tools/bootstrap.mjs'), ...args], {
        cwd: root,
        env: { ...environment, ...env },
        extendEnv: false,
        reject: false,
        timeout: 20_000,
      }),
  }
}

function findCommand(name: string): string {
  const found = ['/bin', '/usr/bin'].map((folder) => join(folder, name)).find((file) => existsSync(file))
  if (!found) throw new Error(`this machine has no ${name}`)
  return found
}
