// Bars of real nodes in a real history: two commands over the same nodes, a failing test, a cancelled run.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { RunReport } from '../../src/pipeline/report.ts'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { taskQueueOf } from '../support/cli.ts'
import { finishedNodes, until } from '../support/dbt-run.ts'
import { modelName, writeGeneratedProject, type GeneratedProject } from '../support/generated-project.ts'
import { barsOf } from '../support/history.ts'
import { change } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'

async function startRun(project: GeneratedProject) {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-bars-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeGeneratedProject(root, project)
  const workspace: Workspace = workspaceAt(root)
  await startWorker(workspace)
  const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
  onTestFinished(() => client.connection.close())
  const workflowId = taskQueueOf(workspace)
  const start = () => client.workflow.start('generated', { workflowId, taskQueue: workflowId, args: [{}] })
  return { workspace, start }
}

const barOf = (step: string, index: number, end: string) => ({
  activityId: `${step}/1.1/model.generated.${modelName(index)}`,
  type: 'model',
  end,
})

test.each(['warm', 'cli'] as const)(
  'two commands (%s) over the same nodes have bars of their own; a failing test has one, too, and so has a failing model; both are told',
  async (launcher) => {
    const commands = ['{ command: run }', '{ command: build }']
    const { workspace, start } = await startRun({ models: 2, commands, launcher })
    const handle = await start()
    const report = (await handle.result()) as RunReport
    expect(report).toMatchObject({ outcome: 'succeeded' })
    const { bars, refusedTasks } = await barsOf(handle)

    expect(bars).toEqual([
      barOf('dbt-run', 0, 'completed'),
      barOf('dbt-run', 1, 'completed'),
      barOf('dbt-build', 0, 'completed'),
      barOf('dbt-build', 1, 'completed'),
    ])
    expect(refusedTasks).toEqual([])

    // Behind dbt's back: its own SQL cannot double an id.
    await change(workspace, `insert into ${modelName(1)} values (1)`)
    await writeGeneratedProject(workspace.root, { models: 2, commands: ['{ command: test }'], launcher })
    const failing = await start()
    await expect(failing.result()).rejects.toMatchObject({
      cause: {
        type: 'DbtTestsFailed',
        message: expect.stringMatching(
          /dbt test: 1 test failed\. .*\n {2}test unique_m_0001_id \(data\): Got 1 result, .*\n {4}SQL: compiled\/.+\n {2}all of it: /,
        ),
      },
    })
    const { bars: testBars } = await barsOf(failing)
    expect(testBars).toEqual([
      {
        activityId: expect.stringMatching(/^dbt-test\/1\.1\/test\.generated\.unique_m_0001_id\./),
        type: 'test',
        end: 'failed',
        failure: 'fail',
      },
    ])

    await writeGeneratedProject(workspace.root, { models: 2, failing: [0], launcher })
    const broken = await start()
    await expect(broken.result()).rejects.toMatchObject({
      cause: {
        type: 'DbtNodesFailed',
        message: expect.stringMatching(
          /dbt build: 1 node failed, 5 skipped behind it\. .*\n {2}model m_0000 \(database\): .*Could not convert string 'no number'/s,
        ),
      },
    })
    expect((await barsOf(broken)).bars).toEqual([{ ...barOf('dbt-build', 0, 'failed'), failure: 'error' }])
  },
)

test('cancelling a run ends the bar of the node that ran', async () => {
  const { workspace, start } = await startRun({ models: 2, work: 2_000_000_000 })
  const handle = await start()
  await until(async () => (await barsOf(handle)).bars.length > 0)
  expect(await finishedNodes(workspace)).toEqual([])
  await handle.cancel()
  await expect(handle.result()).rejects.toThrow('Workflow execution cancelled')

  expect(await barsOf(handle)).toEqual({
    bars: [{ ...barOf('dbt-build', 0, 'failed'), failure: expect.any(String) }],
    refusedTasks: [],
  })
  expect((await handle.describe()).status.name).toBe('CANCELLED')
})
