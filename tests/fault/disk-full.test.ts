// A full disk is named as such, leaves nothing half loaded, and once there is room the same run works.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import type { Workspace } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess } from '../support/cli.ts'
import { truthOf } from '../support/truth.ts'
import { queryCount } from '../support/warehouse.ts'
import { makeWorkspace } from '../support/workspace.ts'

const DAY = '2026-11-18'

/** A workspace whose warehouse lies on a disk of a few dozen megabytes; undefined where one may not mount. */
async function smallDisk(workspace: Workspace): Promise<string | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-disk-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const { failed } = await execa('mount', ['-t', 'tmpfs', '-o', 'size=90m', 'tmpfs', folder], { reject: false })
  if (failed) return undefined
  onTestFinished(async () => void (await execa('umount', ['--lazy', folder], { reject: false })))
  await mkdir(workspace.stateDir, { recursive: true })
  return folder
}

test('a load that finds the disk full loads nothing and says so; with room again it loads all', async ({ skip }) => {
  const workspace = await makeWorkspace()
  const disk = await smallDisk(workspace)
  if (disk === undefined) return skip('mounting a small disk needs root')
  const file = path.join(disk, 'warehouse.duckdb')
  const filler = path.join(disk, 'filler')
  await writeFile(filler, Buffer.alloc(80_000_000))
  const worker = await startWorkerProcess(workspace, { MILLRACE_DUCKDB_PATH: file })

  const full = await millrace(workspace, ['run', 'daily', '--date', DAY, '--only', 'ingest'])
  expect(full.code).toBe(1)
  expect(full.stdout).toMatch(
    /DiskFull: the disk of .*warehouse\.duckdb has 13 MiB free, and this load needs 65 MiB there .* start the run again/,
  )

  await rm(filler)
  const roomy = await millrace(workspace, ['run', 'daily', '--date', DAY, '--only', 'ingest'])
  expect(roomy.code).toBe(0)
  await worker.stop()
  await execa('cp', [file, path.join(workspace.stateDir, 'warehouse.duckdb')])
  for (const table of ['viewing_logs', 'social_interactions'] as const) {
    expect(await queryCount(workspace, `select count(*) from raw.${table}`)).toBe(truthOf(table, DAY).good)
  }
})
