// `millrace serve` on the real server: the schedule lives as long as the process does.
import { spawn } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import { INSTALLATION } from '../../src/platform/workspace.ts'
import { taskQueueOf, testEnvironment } from '../support/cli.ts'
import { makeWorkspace } from '../support/workspace.ts'

test('serving makes the schedule with the given params; Ctrl+C ends it well, pauses the schedule and says so', async () => {
  const workspace = await makeWorkspace()
  // A name of its own, because schedules of all tests live on one server.
  const name = taskQueueOf(workspace)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
  const daily = await readFile(path.join(workspace.pipelinesDir, 'daily.yml'), 'utf8')
  for (const file of await readdir(workspace.pipelinesDir)) await rm(path.join(workspace.pipelinesDir, file))
  await writeFile(
    path.join(workspace.pipelinesDir, `${name}.yml`),
    daily.replace('name: daily', `name: ${name}`).replace(/schedules:[^]*$/, '') +
      'schedules: { yearly: { cron: "0 2 29 2 *", target: dev } }\n',
  )
  const connection = await Connection.connect({ address: inject('temporalAddress') })
  onTestFinished(() => connection.close())
  const schedule = new Client({ connection }).schedule.getHandle(`${name}.yearly`)
  onTestFinished(() => schedule.delete().catch(() => undefined))

  const child = spawn(
    process.execPath,
    [path.join(INSTALLATION.root, 'bin/millrace.mjs'), 'serve', name, '--date', '2026-11-18'],
    { cwd: workspace.root, env: testEnvironment(workspace), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const serving = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<number | null>()
  let said = ''
  const take = (text: string) => {
    said += text
    if (said.includes('Ctrl+C ends it')) serving.resolve()
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  child.once('close', (code) => {
    ended.resolve(code)
    serving.reject(new Error(`serve ended before it was ready: ${said}`))
  })
  await serving.promise
  const served = await schedule.describe()
  expect(served.state.paused).toBe(false)
  expect(served.action).toMatchObject({
    workflowType: name,
    taskQueue: taskQueueOf(workspace),
    args: [{ target: 'dev', params: { date: '2026-11-18' } }],
  })

  child.kill('SIGINT')
  expect(await ended.promise).toBe(0)
  const { state } = await schedule.describe()
  expect(state).toMatchObject({
    paused: true,
    note: `millrace: not served; \`millrace serve ${name}\` goes on with it`,
  })
  expect(said).toContain(`schedule ${name}.yearly is paused; \`millrace serve ${name}\` goes on with it`)
})
