// dbt does not outlive its worker, however that one goes, and what it said until then is on the disk.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventsFile } from '../../src/dbt/launch.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'
import { A, asked, attempt, B, C, kill, launchOf, makeFake, type FakeDbt, type Step } from './fake-dbt.ts'

/** Three seconds after SIGINT, one and a half after SIGTERM, and slack for a busy machine. */
const GONE_WITHIN_MS = 8_000

const LAUNCH_MODULE = pathToFileURL(path.join(INSTALLATION.root, 'src', 'dbt', 'launch.ts')).href
const WORKER = `
import { readFileSync } from 'node:fs'
import { launchProcess } from '${LAUNCH_MODULE}'
const { ended } = await launchProcess(JSON.parse(readFileSync(process.argv[2], 'utf8')), new AbortController().signal)
await ended
`

interface WorkerProcess {
  readonly pid: number
  readonly ended: Promise<unknown>
}

/** A process that launches the fake as attempt 1.1, waits for its end, and ends. */
async function startWorker(fake: FakeDbt): Promise<WorkerProcess> {
  const [script, launch] = ['worker.mjs', 'launch.json'].map((name) => path.join(fake.folder, name))
  if (script === undefined || launch === undefined) throw new Error('never')
  await writeFile(script, WORKER)
  await writeFile(launch, JSON.stringify(await launchOf(fake, '1.1')))
  const child = spawn(process.execPath, ['--no-warnings', script, launch], { stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = once(child, 'exit')
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error('the worker started without a number')
  onTestFinished(() => kill(pid))
  return { pid, ended }
}

async function events({ stepDir }: FakeDbt): Promise<string> {
  return await readFile(eventsFile(path.join(stepDir, '1.1')), 'utf8').catch(() => '')
}

describe('when the worker is killed, nothing of dbt is left within seconds, and what it said is kept,', () => {
  const working: readonly Step[] = [['begin'], ['node', A], ['start', B], ['hang']]

  test.each<[string, readonly Step[], string[]]>([
    ['where it is asked to end', working, ['SIGINT']],
    ['where it ignores SIGINT', [['ignore', 'SIGINT'], ...working], ['SIGINT', 'SIGTERM']],
    ['where it ignores SIGINT and SIGTERM', [['ignore', 'SIGINT', 'SIGTERM'], ...working], ['SIGINT', 'SIGTERM']],
    ['where a process of its group ignores them', [['grandchild', 'group'], ...working], ['SIGINT']],
  ])('%s', async (_what, steps, signals) => {
    const fake = await makeFake([steps, [['sound']]])
    const worker = await startWorker(fake)
    await expect.poll(() => events(fake), { timeout: 10_000 }).toContain(`"unique_id": "${B}"`)
    const said = await events(fake)

    kill(worker.pid)
    await worker.ended

    await expect.poll(() => fake.alive(), { timeout: GONE_WITHIN_MS }).toEqual([])
    expect(await fake.signals()).toEqual(signals)
    expect(await events(fake)).toBe(said)
    // The next worker goes on with what is missing.
    const { verdict } = await attempt(fake, '1.2')
    const [, second] = await fake.calls()
    expect({ verdict, asked: second && asked(second) }).toEqual({ verdict: 'sound', asked: [B, C] })
  })
})

test('when the worker is killed, a dbt that ends meanwhile has done all that it did', async () => {
  const fake = await makeFake([
    [['ignore', 'SIGINT', 'SIGTERM'], ['begin'], ['node', A], ['start', B], ['pause', 1], ['finish', B], ['exit', 0]],
    [['sound']],
  ])
  const worker = await startWorker(fake)
  await expect.poll(() => events(fake), { timeout: 10_000 }).toContain(`"unique_id": "${B}"`)

  kill(worker.pid)
  await worker.ended

  await expect.poll(() => fake.alive(), { timeout: GONE_WITHIN_MS }).toEqual([])
  await attempt(fake, '1.2')
  expect((await fake.calls()).map(asked)).toEqual([[], [C]])
})

describe('when dbt has ended, no watcher is left', () => {
  test.each<[string, readonly Step[]]>([
    ['behind one that went well', [['sound']]],
    ['behind one that was killed', [['begin'], ['kill']]],
  ])('%s', async (_what, steps) => {
    const fake = await makeFake([steps])

    const worker = await startWorker(fake)

    expect(await worker.ended).toEqual([0, null])
    expect(await fake.calls()).toHaveLength(1)
    await expect.poll(() => fake.alive(), { timeout: 2_000 }).toEqual([])
  })
})
