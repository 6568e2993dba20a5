// Schedules on the real server: what the pipeline files say is what is there, however often it is applied.
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { Workspace } from '../src/platform/workspace.ts'
import { millrace, taskQueueOf } from './support/cli.ts'
import { makeWorkspace } from './support/workspace.ts'

/** Lists are eventually consistent. */
const SOON = { timeout: 20_000, interval: 200 }

/** A workspace whose one pipeline has a name of its own, because schedules of all tests live on one server. */
async function scheduledWorkspace(): Promise<{ workspace: Workspace; name: string; client: Client }> {
  const workspace = await makeWorkspace()
  const name = taskQueueOf(workspace)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
  const daily = await readFile(path.join(workspace.pipelinesDir, 'daily.yml'), 'utf8')
  const yaml = daily.replace('name: daily', `name: ${name}`).replace(/schedules:[^]*$/, '')
  for (const file of await readdir(workspace.pipelinesDir)) await rm(path.join(workspace.pipelinesDir, file))
  await writeFile(path.join(workspace.pipelinesDir, `${name}.yml`), yaml)
  await writeFile(path.join(workspace.pipelinesDir, 'daily.yml'), daily.replace(/schedules:[^]*$/, ''))
  const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
  onTestFinished(() => client.connection.close())
  return { workspace, name, client }
}

function setSchedules(workspace: Workspace, name: string, schedules: string): Promise<void> {
  return appendFile(path.join(workspace.pipelinesDir, `${name}.yml`), schedules)
}

test('applying makes, then changes nothing, then removes only its own', async () => {
  const { workspace, name, client } = await scheduledWorkspace()
  const stranger = `${name}-stranger`
  await client.schedule.create({
    scheduleId: stranger,
    spec: { intervals: [{ every: '1d' }] },
    action: { type: 'startWorkflow', workflowType: 'other', taskQueue: 'other', args: [] },
    state: { paused: true },
  })
  await setSchedules(workspace, name, 'schedules: { nightly: { cron: "0 2 * * *", target: dev, catchup: 6h } }\n')

  const first = await millrace(workspace, ['schedules', 'apply'])
  expect(first.stdout).toMatch(new RegExp(`${name}\\.nightly\\s+created`))
  const description = await client.schedule.getHandle(`${name}.nightly`).describe()
  expect(description.policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 6 * 3_600_000 })
  expect(description.spec).toMatchObject({ timezone: 'UTC' })
  expect(description.info.nextActionTimes[0]?.toISOString()).toMatch(/T02:00:00/)
  expect(description.action).toMatchObject({ workflowType: name, args: [{ target: 'dev' }] })

  const second = await millrace(workspace, ['schedules', 'apply'])
  expect(second.stdout).toMatch(/unchanged/)

  const file = path.join(workspace.pipelinesDir, `${name}.yml`)
  await writeFile(file, (await readFile(file, 'utf8')).replace('0 2 * * *', '30 4 * * *'))
  expect((await millrace(workspace, ['schedules', 'apply'])).stdout).toMatch(/updated \(spec\)/)

  await writeFile(file, (await readFile(file, 'utf8')).replace(/schedules:[^]*$/, ''))
  await expect.poll(async () => (await millrace(workspace, ['schedules', 'list'])).stdout, SOON).toContain(name)
  expect((await millrace(workspace, ['schedules', 'apply'])).stdout).toMatch(new RegExp(`${name}\\.nightly\\s+removed`))
  await expect(client.schedule.getHandle(stranger).describe()).resolves.toBeDefined()
  await client.schedule.getHandle(stranger).delete()
})

test("a schedule that is not configured here is applied paused, with why; a person's pause stays", async () => {
  const { workspace, name, client } = await scheduledWorkspace()
  await setSchedules(
    workspace,
    name,
    'schedules: { prod: { cron: "0 2 * * *", target: prod }, dev: { cron: "0 3 * * *", target: dev } }\n',
  )
  const applied = await millrace(workspace, ['schedules', 'apply'])
  expect(applied.stdout).toMatch(
    new RegExp(`${name}\\.prod\\s+created\\s+paused: not configured here: .*no target 'prod'`),
  )
  const list = async () => (await millrace(workspace, ['schedules', 'list'])).stdout
  await expect.poll(list, SOON).toMatch(new RegExp(`${name}\\.dev\\s+next`))

  expect((await millrace(workspace, ['schedules', 'pause', `${name}.dev`])).stdout).toContain('is paused')
  await millrace(workspace, ['schedules', 'apply'])
  expect((await client.schedule.getHandle(`${name}.dev`).describe()).state).toMatchObject({ paused: true })
  await millrace(workspace, ['schedules', 'unpause', `${name}.dev`])
  expect((await client.schedule.getHandle(`${name}.dev`).describe()).state).toMatchObject({ paused: false })

  expect((await millrace(workspace, ['schedules', 'trigger', `${name}.dev`])).code).toBe(0)
  await expect.poll(async () => (await client.workflow.count(`WorkflowType = '${name}'`)).count, SOON).toBe(1)
  for await (const { workflowId } of client.workflow.list({ query: `WorkflowType = '${name}'` })) {
    await client.workflow.getHandle(workflowId).terminate()
  }
  const wrong = await millrace(workspace, ['schedules', 'pause', `${name}.dve`])
  expect(wrong.stderr).toMatch(/did you mean/)
  for (const schedule of ['prod', 'dev']) {
    expect((await millrace(workspace, ['schedules', 'delete', `${name}.${schedule}`])).code).toBe(0)
  }
})
