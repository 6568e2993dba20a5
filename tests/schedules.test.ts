// Schedules on the real server: what the pipeline files say is what is there, however often it is applied.
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import { makeChanges, ownedSchedules, planChanges } from '../src/schedules/apply.ts'
import { desiredSchedules } from '../src/schedules/desired.ts'
import { listSchedules } from '../src/schedules/list.ts'
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
  const shown = await millrace(workspace, ['schedules', 'apply', '--dry-run'])
  expect(shown.stdout).toMatch(/updated\n\s+cron: 0 2 \* \* \* → 30 4 \* \* \*\n/)
  const list = async () => (await millrace(workspace, ['schedules', 'list'])).stdout
  await expect
    .poll(list, SOON)
    .toContain(
      `differs from the pipeline file: cron 0 2 * * * → 30 4 * * *; run: npx millrace schedules apply ${name}.nightly`,
    )
  expect((await millrace(workspace, ['schedules', 'apply'])).stdout).toBe(
    shown.stdout.replace('nothing was changed\n', ''),
  )
  expect((await millrace(workspace, ['schedules', 'apply'])).stdout).toMatch(/unchanged/)

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
    new RegExp(`${name}\\.prod\\s+created .*paused: not configured here: .*no target 'prod'`),
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

test('groups and names apply what they mean, and nothing beside it; a wrong name changes nothing', async () => {
  const { workspace, name, client } = await scheduledWorkspace()
  const taskQueue = taskQueueOf(workspace)
  const write = (schedules: string) => setSchedules(workspace, name, `schedules:\n${schedules}`)
  const often = '  often: { cron: "*/10 * * * *", target: dev, group: main, paused: true }\n'
  const tokyo =
    '  three-hourly: { cron: "30 2,5,8,11 * * 1-5,0", target: dev, group: phase2, time_zone: Asia/Tokyo, paused: true }\n'
  await write(`${often}${tokyo}  alone: { cron: "0 4 1-7 jan-mar sun", target: dev, paused: true }\n`)
  const plan = async (...names: string[]) =>
    await planChanges(client, await desiredSchedules(workspace, taskQueue), taskQueue, names)
  const apply = async (...names: string[]) => {
    const changes = await plan(...names)
    await makeChanges(client, changes, taskQueue)
    return changes.map(({ id, change }) => `${id.replace(`${name}.`, '')} ${change}`)
  }
  const there = async () => (await ownedSchedules(client, taskQueue)).map((id) => id.replace(`${name}.`, ''))

  await expect(plan('mian', `${name}.often`)).rejects.toThrow(/group 'mian' \(did you mean|'mian'.*did you mean/)
  expect(await apply('main')).toEqual(['often created'])
  expect(await apply('both')).toEqual(['often unchanged', 'three-hourly created'])
  expect((await client.schedule.getHandle(`${name}.three-hourly`).describe()).spec.timezone).toBe('Asia/Tokyo')
  await expect.poll(there, SOON).toEqual(['often', 'three-hourly'])
  expect(await apply(name)).toEqual(['often unchanged', 'three-hourly unchanged', 'alone created'])
  expect(await apply()).toEqual(['often unchanged', 'three-hourly unchanged', 'alone unchanged'])

  // What somebody changed by hand is told, and undone.
  await client.schedule
    .getHandle(`${name}.often`)
    .update(({ memo: _memo, ...present }) => ({ ...present, spec: { cronExpressions: ['*/5 * * * *'] } }))
  const listed = (await listSchedules(client, await desiredSchedules(workspace, taskQueue), taskQueue)).find(
    ({ id }) => id === `${name}.often`,
  )
  expect(listed?.drift).toEqual([
    `differs from the pipeline file: cron */5 * * * * → */10 * * * *, time zone  → UTC; run: npx millrace schedules apply ${name}.often`,
  ])
  expect(await apply('main')).toEqual(['often updated'])
  expect(await apply('main')).toEqual(['often unchanged'])

  // What no file asks for any more goes with its own group only.
  const file = path.join(workspace.pipelinesDir, `${name}.yml`)
  await writeFile(file, (await readFile(file, 'utf8')).replace(/schedules:[^]*$/, `schedules:\n${tokyo}`))
  await expect.poll(there, SOON).toEqual(['alone', 'often', 'three-hourly'])
  expect(await apply('phase2')).toEqual(['three-hourly unchanged'])
  expect(await apply('main')).toEqual(['often removed'])
  await expect.poll(there, SOON).toEqual(['alone', 'three-hourly'])
  expect(await apply()).toEqual(['three-hourly unchanged', 'alone removed'])

  // The run of a time at which it fires: 02:30 in Tokyo.
  const trigger = (at: string) => millrace(workspace, ['schedules', 'trigger', `${name}.three-hourly`, '--at', at])
  expect((await trigger('2026-11-17T17:31Z')).stderr).toContain('does not fire at 2026-11-17T17:31')
  expect((await trigger('2026-11-17T17:30Z')).code).toBe(0)
  const run = client.workflow.getHandle(`${name}.three-hourly-2026-11-17T17:30:00Z`)
  await expect
    .poll(
      () =>
        run.describe().then(
          ({ type }) => type,
          () => undefined,
        ),
      SOON,
    )
    .toBe(name)
  await run.terminate()
  await client.schedule.getHandle(`${name}.three-hourly`).delete()
})

test('a schedule at a time that a clock change skips is refused with its place in the file, unless that is meant', async () => {
  const { workspace, name } = await scheduledWorkspace()
  const schedule = '{ cron: "30 2 * * *", target: dev, time_zone: Europe/Paris }'
  await setSchedules(workspace, name, `schedules: { nightly: ${schedule} }\n`)
  const refused = await millrace(workspace, ['schedules', 'apply', '--dry-run'])
  expect(refused.stderr).toMatch(/yml:\d+:\d+.*02:30 .* in Europe\/Paris on [^]*clock_change: meant/)
  const file = path.join(workspace.pipelinesDir, `${name}.yml`)
  await writeFile(file, (await readFile(file, 'utf8')).replace('Europe/Paris', 'Europe/Paris, clock_change: meant'))
  const { stdout } = await millrace(workspace, ['schedules', 'apply', '--dry-run'])
  expect(stdout).toMatch(/created {2}30 2 \* \* \* Europe\/Paris/)
})
