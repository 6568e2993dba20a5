// `millrace status`, `show` and `cancel` on the real server, of runs that no worker does: what is under way, and which is meant.
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { Status } from '../../src/cli/status.ts'
import { millrace, taskQueueOf, testEnvironment } from '../support/cli.ts'
import { makeWorkspace } from '../support/workspace.ts'

/** Lists are eventually consistent. */
const SOON = { timeout: 30_000, interval: 500 }

test('what is under way and what ended badly is shown; cancel takes a name where just one run is meant', async () => {
  const workspace = await makeWorkspace()
  const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
  onTestFinished(() => client.connection.close())
  const taskQueue = taskQueueOf(workspace)
  const id = (name: string) => `${taskQueue}-${name}`
  const start = (name: string) =>
    client.workflow.start('daily', { taskQueue, workflowId: id(name), args: [{ target: 'dev' }] })
  const [one, two] = [await start('one'), await start('two')]
  onTestFinished(() => void two.terminate().catch(() => undefined))
  const status = async () => JSON.parse((await millrace(workspace, ['status', '--json'])).stdout) as Status
  const running = async () => (await status()).running.map(({ workflowId }) => workflowId).toSorted()

  await expect.poll(running, SOON).toEqual([id('one'), id('two')])
  const several = await millrace(workspace, ['cancel', 'daily'])
  expect(several.code).toBe(2)
  expect(several.stderr).toContain("2 runs under way are meant by 'daily'")
  expect(several.stderr).toContain(id('one'))

  await one.terminate('for the test')
  await expect.poll(running, SOON).toEqual([id('two')])
  const { red } = await status()
  expect(red).toMatchObject([{ workflowId: id('one'), pipeline: 'daily', target: 'dev', outcome: 'failed' }])
  const screen = (await millrace(workspace, ['status'])).stdout
  expect(screen).toContain(`npx millrace show ${id('one')}`)
  expect(screen).toContain(`npx millrace follow ${id('two')}`)

  const shown = await millrace(workspace, ['show', id('two')])
  expect(shown.code).toBe(2)
  expect(shown.stderr).toContain('has not ended, so it has no report yet')
  const cancelled = await millrace(workspace, ['cancel', id('tw'), '--json'])
  expect(JSON.parse(cancelled.stdout)).toEqual({ workflowId: id('two'), cancelled: true, status: 'running' })
})

test('without a server status says how to start one', async () => {
  const workspace = await makeWorkspace()
  const { code, stderr } = await millrace(
    workspace,
    ['status'],
    testEnvironment(workspace, { TEMPORAL_ADDRESS: '127.0.0.1:1' }),
  )
  expect(code).toBe(2)
  expect(stderr).toContain('no Temporal server answers at 127.0.0.1:1')
})
