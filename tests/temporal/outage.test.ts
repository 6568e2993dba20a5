// A server that was down for many times of a schedule: what it does when it is up again.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { INSTALLATION, workspaceAt } from '../../src/platform/workspace.ts'
import { scheduleOptions, type DesiredSchedule } from '../../src/schedules/desired.ts'
import { connectClient, ownServerAddress } from '../../src/temporal/connect.ts'
import { ensureDevServer } from '../../src/temporal/dev-server.ts'

const DESIRED: DesiredSchedule = {
  id: 'often.always',
  pipeline: 'often',
  target: 'dev',
  cron: '* * * * *',
  timeZone: 'UTC',
  group: undefined,
  catchupMs: 60_000,
  request: { target: 'dev' },
  paused: false,
  obstacle: undefined,
}

/** Every second, as no cron expression of ours can say. */
const EVERY_SECOND = { intervals: [{ every: '1s' as const }] }
/** A day of an hourly schedule. */
const DOWN_MS = 24_000

test('of all the times that were missed, one late run starts at most', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'millrace-outage-'))
  const workspace = workspaceAt(root)
  const up = async () => {
    const server = await ensureDevServer(workspace, INSTALLATION.temporalServer, () => undefined)
    const connected = await connectClient(ownServerAddress(server))
    return {
      client: connected.client,
      down: async () => {
        await connected.connection.close()
        await server.stop()
      },
    }
  }
  let server = await up()
  onTestFinished(async () => {
    await server.down()
    await rm(root, { recursive: true, force: true })
  })
  const options = { ...scheduleOptions(DESIRED, 'nobody'), spec: EVERY_SECOND }
  const schedule = await server.client.schedule.create(options)
  // Nobody serves the queue, so the first run goes on until it is terminated, and all others are skipped.
  const taken = async () => (await server.client.schedule.getHandle(DESIRED.id).describe()).info
  await vi.waitFor(async () => expect((await taken()).numActionsTaken).toBe(1), 20_000)
  await schedule.pause()
  const [first] = (await taken()).recentActions
  await server.client.workflow.getHandle(first?.action.workflow.workflowId ?? '').terminate()
  await schedule.unpause()
  await server.down()
  const skippedBefore = Date.now()
  await pause(DOWN_MS)
  server = await up()
  await vi.waitFor(async () => {
    const { numActionsSkippedOverlap } = await taken()
    expect(numActionsSkippedOverlap).toBeGreaterThan(DOWN_MS / 1_000)
  }, 30_000)
  expect(Date.now() - skippedBefore).toBeGreaterThan(DOWN_MS)
  const info = await taken()
  // The first of before the outage, perhaps one between the unpausing and it, and one late one.
  expect(info.numActionsTaken - 1).toBeLessThanOrEqual(1)
  expect(info.runningActions).toHaveLength(1)
})
