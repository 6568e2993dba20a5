// A warm process that hangs, grows, idles or has threads: it is replaced, and its commands are done otherwise or refused.
import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { HOST_LIMITS, type HostLimits } from '../../src/dbt/host.ts'
import type { Launch } from '../../src/dbt/launch.ts'
import { chooseLauncher, openDbtHosts, type LauncherChoice } from '../../src/dbt/launcher.ts'
import { announceAttempt } from '../../src/dbt/resume.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'

const { python } = INSTALLATION
const DBT = { python, executable: path.join(path.dirname(python), 'dbt') }
/** What dbt's own command line says of an option that it does not know: with it a command is over at once. */
const WRONG_USAGE = { exitCode: 2, signal: undefined }

async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-warm-faults-')))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function openHosts(limits: Partial<HostLimits> = {}) {
  const hosts = openDbtHosts({ ...HOST_LIMITS, ...limits })
  onTestFinished(() => hosts.stop())
  const run = async (choice: LauncherChoice, dbt = DBT) => {
    const folder = await makeFolder()
    const outputDir = path.join(folder, '1.1')
    await announceAttempt(outputDir, 'digest')
    const launch: Launch = { ...dbt, args: ['run', '--no-such-option'], projectDir: folder, env: {}, outputDir }
    const { ended } = await chooseLauncher(choice, hosts)(launch, new AbortController().signal)
    return await ended
  }
  return { hosts, run }
}

/** How a command ended, or why there was none. */
const outcomeOf = (run: Promise<unknown>) => run.catch((error: unknown) => String(error))

test.each<[LauncherChoice, unknown]>([
  ['auto', WRONG_USAGE],
  ['warm', expect.stringContaining('did not begin the command: it did not answer within 10 s')],
])(
  'a process that hangs is ended; launcher %s does its command by the command line, or says so',
  async (choice, outcome) => {
    const { hosts, run } = openHosts()
    const hanging = await hosts.find(DBT)
    process.kill(hanging?.pid ?? 0, 'SIGSTOP')

    expect(await outcomeOf(run(choice))).toEqual(outcome)

    await hanging?.ended
    expect((await hosts.find(DBT))?.pid).not.toBe(hanging?.pid)
  },
  240_000,
)

test('a process that has grown above its limit ends behind its command, and one that idles ends by itself', async () => {
  const { hosts, run } = openHosts({ residentBytes: 1 })
  const grown = await hosts.find(DBT)
  expect(await run('warm')).toEqual(WRONG_USAGE)
  await grown?.ended
  expect((await hosts.find(DBT))?.pid).not.toBe(grown?.pid)

  const { hosts: idling } = openHosts({ idleMs: 10 })
  const idle = await idling.find(DBT)
  await idle?.ended
  expect(await idle?.isUsable()).toBe(false)
}, 240_000)

test('a process with a second thread forks nothing: the command line does it, or it is refused', async () => {
  const folder = await makeFolder()
  const executable = path.join(folder, 'dbt')
  await writeFile(executable, `#!${python}\nimport sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n`)
  await chmod(executable, 0o755)
  // Stands before the real one on the path: a process imports it, dbt's own command line on such a project does not.
  const sleeper = 'import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n'
  await writeFile(path.join(folder, 'psycopg2.py'), sleeper)
  const { run } = openHosts()

  await expect(run('warm', { python, executable })).rejects.toThrow('2 threads: a fork would copy only one of them')
  expect(await run('auto', { python, executable })).toEqual(WRONG_USAGE)
}, 240_000)
