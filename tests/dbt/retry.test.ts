// `millrace retry`: a new run that goes on where a failed one stopped, or says why it cannot.
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { RunReport } from '../../src/pipeline/report.ts'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess } from '../support/cli.ts'
import { filesNamed } from '../support/dbt-run.ts'
import { writeGeneratedProject } from '../support/generated-project.ts'
import { change, query } from '../support/warehouse.ts'

async function makeWorkspace(): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-retry-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeGeneratedProject(root, { models: 3, needy: [1] })
  return workspaceAt(root)
}

/** The run's id and report; reports of earlier runs are there, too. */
async function reportOf(workspace: Workspace, stdout: string): Promise<RunReport> {
  const id = /^\S+/.exec(stdout)?.[0] ?? ''
  const file = (await filesNamed(workspace, 'report.json')).find((name) => name.includes(id)) ?? ''
  return JSON.parse(await readFile(file, 'utf8')) as RunReport
}

async function timesBuilt(workspace: Workspace): Promise<Record<string, unknown>> {
  const rows = await query(workspace, 'select node, count(*) as n from audit group by node order by node')
  return Object.fromEntries(rows.map((row) => [String(row['node']), row['n']]))
}

test('a retried run takes over what was done; once another run has written it starts afresh and says so', async () => {
  const workspace = await makeWorkspace()
  await startWorkerProcess(workspace)
  const failed = await millrace(workspace, ['run', 'generated'])
  const id = /^\S+/.exec(failed.stdout)?.[0] ?? ''
  expect(failed.code).toBe(1)
  expect(failed.stdout).toContain(`Go on        npx millrace retry ${id}`)
  expect(await timesBuilt(workspace)).toEqual({ m_0000: 1 })

  await change(workspace, 'create table needed as select 1 as v')
  const retried = await millrace(workspace, ['retry', id])
  expect(retried.code).toBe(0)
  expect(retried.stdout).toContain(`takes over what ${id} finished`)
  expect(await timesBuilt(workspace)).toEqual({ m_0000: 1, m_0001: 1, m_0002: 1 })
  const report = await reportOf(workspace, retried.stdout)
  expect(report.steps[0]?.dbt).toMatchObject({ counts: { success: 3, pass: 6 }, total: 9, takenOver: 3 })

  const again = await millrace(workspace, ['retry', report.workflowId])
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('did not fail, so there is nothing to retry')])

  // Of the first run nothing can be taken over any more: another one has written since.
  const late = await millrace(workspace, ['retry', id])
  expect(late.stdout).toContain(
    `starts afresh instead of going on with ${id}: ${report.workflowId} has written to target dev since`,
  )
  expect(await timesBuilt(workspace)).toEqual({ m_0000: 2, m_0001: 2, m_0002: 2 })
})
