// The warm dbt process: forks of it are what dbt's own command line is, whatever becomes of the process itself.
import { mkdtemp, readFile, realpath, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { startHost } from '../../src/dbt/host.ts'
import type { Launch } from '../../src/dbt/launch.ts'
import { chooseLauncher, openDbtHosts, type DbtHosts } from '../../src/dbt/launcher.ts'
import { announceAttempt } from '../../src/dbt/resume.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'
import { modelName, writeGeneratedProject } from '../support/generated-project.ts'

const DBT = { python: INSTALLATION.python, executable: path.join(path.dirname(INSTALLATION.python), 'dbt') }
const NEVER = new AbortController().signal

let root: string
let hosts: DbtHosts
let attempts = 0

beforeAll(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-host-')))
  await writeGeneratedProject(root, { models: 2 })
  hosts = openDbtHosts()
})

afterAll(async () => {
  await hosts.stop()
  await rm(root, { recursive: true, force: true })
})

async function launchOf(words: readonly string[]): Promise<Launch> {
  const outputDir = path.join(root, 'attempts', String(attempts++))
  await announceAttempt(outputDir, 'digest')
  const how = ['--no-use-colors', '--log-format=json', '--log-level=debug', '--log-level-file=none']
  const where = ['--target-path', outputDir, '--log-path', outputDir]
  const env = { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false', PYTHONUNBUFFERED: '1' }
  return { ...DBT, args: [...how, ...words, ...where], projectDir: path.join(root, 'dbt'), env, outputDir }
}

async function warm(...words: string[]) {
  const launch = await launchOf(words)
  const { ended } = await chooseLauncher('warm', hosts)(launch, NEVER)
  const exit = await ended
  const events = await readFile(path.join(launch.outputDir, 'dbt-events.jsonl'), 'utf8')
  // dbt's first word of a parse.
  return { exit, parsed: events.includes('StateCheckVarsHash'), outputDir: launch.outputDir }
}

const compiled = (folder: string, model: number) =>
  readFile(path.join(folder, 'compiled', 'generated', 'models', `${modelName(model)}.sql`), 'utf8')

test('the second command has no parse; a touched file is no change, an edited one is, and its SQL is that of the command line', async () => {
  const file = path.join(root, 'dbt', 'models', `${modelName(1)}.sql`)
  expect(await warm('run')).toMatchObject({ exit: { exitCode: 0 }, parsed: true })
  expect(await warm('run')).toMatchObject({ exit: { exitCode: 0 }, parsed: false })
  await utimes(file, new Date(), new Date())
  expect(await warm('run')).toMatchObject({ exit: { exitCode: 0 }, parsed: false })

  await writeFile(file, `${await readFile(file, 'utf8')}\n-- edited {{ ref('${modelName(0)}') }}`)
  const edited = await warm('run')
  const again = await warm('run')

  expect([edited.parsed, again.parsed]).toEqual([true, false])
  const bare = path.join(root, 'bare')
  await execa(DBT.executable, ['compile', '--target-path', bare, '--log-path', bare], { cwd: path.join(root, 'dbt') })
  expect(await compiled(again.outputDir, 1)).toBe(await compiled(bare, 1))
  expect(await compiled(again.outputDir, 1)).toContain('-- edited')
}, 240_000)

/** Whether a command, before it has done anything, finds the code of this template and of macros that were used before. */
const FIND_CODE = `
import sys
from dbt_common.clients import jinja
def refuse(*_): raise LookupError('would be parsed')
jinja.MacroFuzzEnvironment._parse = refuse
try:
    jinja.get_template(sys.argv[1], {})
    code = True
except Exception:
    code = False
sys.exit((0 if code else 1) + (0 if jinja.template_cache.file_cache else 2))
`

test('what a command had to compile is there for the next one, until a file is edited', async () => {
  const script = path.join(root, 'find_code.py')
  await writeFile(script, FIND_CODE)
  const file = path.join(root, 'dbt', 'models', `${modelName(0)}.sql`)
  const text = (await readFile(file, 'utf8')).trim()
  const own = openDbtHosts()
  onTestFinished(() => own.stop())
  const launcher = chooseLauncher('warm', own)
  const found = async (sql: string) => {
    const launch = { ...(await launchOf([])), script, args: [sql] }
    return (await (await launcher(launch, NEVER)).ended).exitCode
  }
  const run = async () => (await (await launcher(await launchOf(['run']), NEVER)).ended).exitCode

  expect(await found(text)).toBe(3)
  expect(await run()).toBe(0)
  // Templates of macros are made when the process has nothing else to do.
  await expect.poll(() => found(text), { timeout: 60_000 }).toBe(0)
  expect(await found(`${text} `)).toBe(1)

  await writeFile(file, `${text}\n-- edited`)
  expect(await run()).toBe(0)
  expect(await found(text)).toBe(1)
  await writeFile(file, text)
}, 240_000)

/** Whether a command, before it has done anything, finds a class's code: every `dbt run` writes models into its manifest. */
const FIND_CLASS = `
import sys
from dbt.contracts.graph.nodes import ModelNode
from mashumaro.core.meta.code.builder import CodeBuilder
def refuse(*_): raise LookupError('would be made')
CodeBuilder.add_pack_method = refuse
try:
    object.__new__(ModelNode).to_dict()
except LookupError:
    sys.exit(1)
except AttributeError:
    sys.exit(0)
`

test('a new host makes, before its first command, the code of classes that commands of an earlier one needed', async () => {
  const script = path.join(root, 'find_class.py')
  await writeFile(script, FIND_CLASS)
  const foundBy = async (own: DbtHosts) => {
    const launch = { ...(await launchOf([])), script, args: [] }
    return (await (await chooseLauncher('warm', own)(launch, NEVER)).ended).exitCode === 0
  }
  expect((await warm('run')).exit.exitCode).toBe(0)
  await expect.poll(() => foundBy(hosts), { timeout: 60_000 }).toBe(true)

  // The names are kept when the host has nothing else to do.
  const byAnother = async () => {
    const own = openDbtHosts()
    try {
      return await foundBy(own)
    } finally {
      await own.stop()
    }
  }
  await expect.poll(byAnother, { timeout: 60_000 }).toBe(true)
}, 240_000)

test('a host that is retired before it is ready ends at once and is fit for nothing', async () => {
  const host = await startHost(DBT)

  host.retire()

  await host.ended
  expect(await host.fit).toHaveProperty('unfit')
}, 60_000)

test("exit codes are the command line's", async () => {
  expect((await warm('run', '--no-such-option')).exit).toEqual({ exitCode: 2, signal: undefined })
  expect((await warm('run', '--select', 'nothing_there')).exit).toEqual({ exitCode: 0, signal: undefined })
}, 120_000)

test('when the host is killed in the middle of a command, the command ends as if nothing had been, and the next one has a new host', async () => {
  const before = await hosts.find(DBT)
  const launch = await launchOf(['run'])
  // Killed before it could pass on the word to begin, the command line does it; `warm` would say so instead.
  const { ended } = await chooseLauncher('auto', hosts)(launch, NEVER)

  process.kill(before?.pid ?? 0, 'SIGKILL')

  expect(await ended).toEqual({ exitCode: 0, signal: undefined })
  expect((await warm('run')).exit).toEqual({ exitCode: 0, signal: undefined })
  expect((await hosts.find(DBT))?.pid).not.toBe(before?.pid)
}, 240_000)

test('a command that is killed is told by its signal, and the host serves the next one', async () => {
  const launch = await launchOf(['run'])
  const { ended } = await chooseLauncher('warm', hosts)(launch, NEVER)
  const { pid } = JSON.parse(await readFile(path.join(launch.outputDir, 'process.json'), 'utf8')) as { pid: number }

  process.kill(-pid, 'SIGKILL')

  expect(await ended).toEqual({ exitCode: undefined, signal: 'SIGKILL' })
  expect((await warm('run')).exit.exitCode).toBe(0)
}, 120_000)

test('a host that has served its number of commands is followed by another one', async () => {
  const short = openDbtHosts({ commands: 1, residentBytes: Infinity, idleMs: 60_000 })
  const first = await short.find(DBT)
  const { ended } = await chooseLauncher('warm', short)(await launchOf(['run', '--no-such-option']), NEVER)

  expect((await ended).exitCode).toBe(2)
  await first?.ended
  expect((await short.find(DBT))?.pid).not.toBe(first?.pid)
  await short.stop()
}, 120_000)

test('a dbt that is no script of dbt 1 is launched by itself, and refused where it must be warm', async () => {
  const launch = { ...(await launchOf([])), executable: '/bin/true' }

  const { ended } = await chooseLauncher('auto', hosts)(launch, NEVER)

  expect(await ended).toEqual({ exitCode: 0, signal: undefined })
  await expect(chooseLauncher('warm', hosts)(launch, NEVER)).rejects.toThrow('cannot be kept warm')
})
