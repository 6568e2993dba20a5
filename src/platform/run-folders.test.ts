// Which folders of runs are kept, and that removing them touches nothing else.
import { lutimes, mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listRunFolders, removeOldRuns } from './run-folders.ts'
import { runFolder, runsFolder, workspaceAt, type Workspace } from './workspace.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.parse('2026-11-19T12:00:00Z')
const LIMITS = { runs: 3, days: 30 }

let workspace: Workspace
beforeEach(async () => {
  workspace = workspaceAt(await mkdtemp(path.join(tmpdir(), 'millrace-runs-')))
})
afterEach(() => rm(workspace.root, { recursive: true }))

const runId = (n: number) => `01a1fea1-1411-7c1c-973c-${String(n).padStart(12, '0')}`

/** A run's folder with a dbt attempt in it, all of it so many days old. */
async function makeRun(workflow: string, n: number, daysOld: number, { ended = true } = {}): Promise<string> {
  const folder = runFolder(workspace, workflow, runId(n))
  await mkdir(path.join(folder, 'dbt-run-1.1'), { recursive: true })
  await writeFile(path.join(folder, 'dbt-run-1.1', 'dbt.log'), 'log')
  await writeFile(path.join(folder, 'events.jsonl'), '{}\n')
  if (ended) await writeFile(path.join(folder, 'report.json'), '{}')
  await age(folder, daysOld)
  return folder
}

async function age(folder: string, daysOld: number): Promise<void> {
  const time = new Date(NOW_MS - daysOld * DAY_MS)
  for (const name of await readdir(folder, { recursive: true })) await lutimes(path.join(folder, name), time, time)
  await utimes(folder, time, time)
}

/** `workflow/number` of all runs that are there. */
async function left(): Promise<string[]> {
  const runs = await listRunFolders(workspace)
  return runs.map(({ folder, workflow }) => `${workflow}/${Number(folder.slice(-12))}`).sort()
}

const removeOld = (limits = LIMITS) => removeOldRuns(workspace, limits, NOW_MS)

describe('kept', () => {
  test('are the newest of all pipelines together, whatever order they lie in', async () => {
    await makeRun('weekly-a', 1, 5)
    await makeRun('daily-a', 2, 1)
    await makeRun('daily-a', 3, 3)
    await makeRun('daily-b', 4, 2)
    await makeRun('daily-b', 5, 4)

    expect(await removeOld()).toEqual({ removed: 2, problems: [] })
    expect(await left()).toEqual(['daily-a/2', 'daily-a/3', 'daily-b/4'])
  })

  test('are none that are older than the days, even among the newest', async () => {
    await makeRun('daily-a', 1, 29.9)
    await makeRun('daily-b', 2, 30.1)

    await removeOld()
    expect(await left()).toEqual(['daily-a/1'])
  })

  test('is a run that has not ended, beside so many that have', async () => {
    for (const n of [1, 2, 3]) await makeRun('daily-a', n, n)
    await makeRun('daily-b', 4, 20, { ended: false })

    await removeOld()
    expect(await left()).toEqual(['daily-a/1', 'daily-a/2', 'daily-a/3', 'daily-b/4'])
  })

  test('is a run that has not ended and began long ago, as long as anything in it is written', async () => {
    const folder = await makeRun('daily-a', 1, 40, { ended: false })
    await makeRun('daily-b', 2, 40, { ended: false })
    const yesterday = new Date(NOW_MS - DAY_MS)
    await utimes(path.join(folder, 'events.jsonl'), yesterday, yesterday)

    await removeOld()
    expect(await left()).toEqual(['daily-a/1'])
  })

  test('is what comes from the future', async () => {
    await makeRun('daily-a', 1, -3)
    await removeOld({ runs: 1, days: 1 })
    expect(await left()).toEqual(['daily-a/1'])
  })
})

describe('removing', () => {
  test('takes a workflow folder along when nothing is in it any more', async () => {
    await makeRun('daily-old', 1, 40)
    await makeRun('daily-mixed', 2, 40)
    await makeRun('daily-mixed', 3, 1)
    await removeOld()
    expect(await readdir(runsFolder(workspace))).toEqual(['daily-mixed'])
    expect(await readdir(path.join(runsFolder(workspace), 'daily-mixed'))).toEqual([runId(3)])
  })

  test('leaves alone what is no run: other names, files, a workspace without runs', async () => {
    expect(await removeOld()).toEqual({ removed: 0, problems: [] })
    const other = path.join(runsFolder(workspace), 'notes', 'mine')
    await mkdir(other, { recursive: true })
    await writeFile(path.join(other, 'report.json'), '{}')
    await writeFile(path.join(runsFolder(workspace), 'README'), 'x')
    await age(runsFolder(workspace), 100)

    expect(await removeOld()).toEqual({ removed: 0, problems: [] })
    expect(await readdir(other)).toEqual(['report.json'])
  })

  test('follows no links: to runs, to workflows, inside runs', async () => {
    const elsewhere = path.join(workspace.root, 'elsewhere')
    await mkdir(path.join(elsewhere, runId(7)), { recursive: true })
    await writeFile(path.join(elsewhere, runId(7), 'report.json'), '{}')
    await age(elsewhere, 100)
    const folder = await makeRun('daily-a', 1, 0)
    await symlink(elsewhere, path.join(folder, 'link'))
    await symlink(path.join(elsewhere, runId(7)), path.join(path.dirname(folder), runId(2)))
    await symlink(elsewhere, path.join(runsFolder(workspace), 'daily-link'))
    await age(folder, 100)

    expect(await removeOld()).toEqual({ removed: 1, problems: [] })
    expect(await readdir(path.join(elsewhere, runId(7)))).toEqual(['report.json'])
    expect(await readdir(path.dirname(folder))).toEqual([runId(2)])
    expect(await readdir(runsFolder(workspace))).toEqual(['daily-a', 'daily-link'])
  })

  test('that was killed half-way is finished by the next, and never looks like a run meanwhile', async () => {
    const folder = await makeRun('daily-a', 1, 1)
    await rename(folder, path.join(path.dirname(folder), `.removed-${runId(1)}`))

    expect(await left()).toEqual([])
    await removeOld()
    expect(await readdir(runsFolder(workspace))).toEqual([])
  })

  test('by two workers at once goes well', async () => {
    for (let n = 0; n < 40; n++) await makeRun(`daily-${n % 4}`, n, 40)
    const both = await Promise.all([removeOld(), removeOld()])
    expect(both.flatMap(({ problems }) => problems)).toEqual([])
    expect(both.reduce((sum, { removed }) => sum + removed, 0)).toBe(40)
    expect(await readdir(runsFolder(workspace))).toEqual([])
  })

  test('says what it could not remove, does the rest, and has another go the next time', async () => {
    const stuck = await makeRun('daily-a', 1, 40)
    await makeRun('daily-b', 2, 40)
    await mkdir(path.join(path.dirname(stuck), `.removed-${runId(1)}`, 'in the way'), { recursive: true })

    const { removed, problems } = await removeOld()
    expect(removed).toBe(1)
    expect(problems.join('\n')).toMatch(new RegExp(`^ENOTEMPTY.*${stuck}`))
    expect(await left()).toEqual(['daily-a/1'])
    expect(await removeOld()).toEqual({ removed: 1, problems: [] })
  })
})
