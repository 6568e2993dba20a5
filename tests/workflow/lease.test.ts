// The lease, on the real server: one run at a time, whoever starts it, and never longer than the run that holds it lives.
import { setTimeout as pause } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { ScheduleOverlapPolicy } from '@temporalio/client'
import { expect, onTestFinished, test, vi } from 'vitest'
import { leaseHolderOf } from '../../src/activities/lease-holder.ts'
import { leaseId } from '../../src/pipeline/lease.ts'
import type { Plan } from '../../src/pipeline/plan.ts'
import type { RunReport } from '../../src/pipeline/report.ts'
import type { RunProgress } from '../../src/workflows/run-state.ts'
import { dbtReport, dbtStep, ingestStep, openScripted, planOf } from '../support/scripted.ts'

/** A dbt run that goes on until it is let go; counts how many of them were at work at once. */
function gate() {
  const opened = Promise.withResolvers<void>()
  const state = { running: 0, most: 0, began: 0 }
  const dbtRun = async () => {
    state.began++
    state.running++
    state.most = Math.max(state.most, state.running)
    const beat = setInterval(() => Context.current().heartbeat(), 100)
    try {
      await Promise.race([opened.promise, Context.current().cancelled])
    } finally {
      clearInterval(beat)
      state.running--
    }
    return dbtReport
  }
  return { state, open: () => opened.resolve(), dbtRun }
}

function holderOf({ warehouse, lease }: Plan, client: Parameters<typeof leaseHolderOf>[0]) {
  return leaseHolderOf(client, leaseId(warehouse.taskQueue, lease))
}

const refresh = () => {
  const reports: { report: RunReport; logged: boolean }[] = []
  const recordRefresh = async ({ plan, report }: { plan: unknown; report: RunReport }) =>
    void reports.push({ report, logged: plan !== null })
  return { reports, recordRefresh }
}

test('a second start by hand fails with who holds the lease, and touches nothing; the lease is free once the first has ended', async () => {
  const plan = planOf('second', [dbtStep('run')])
  const { dbtRun, state, open } = gate()
  const { reports, recordRefresh } = refresh()
  const { start, client } = await openScripted(plan, { dbtRun, recordRefresh })
  const first = await start({ id: `${plan.warehouse.taskQueue}-1` })
  await vi.waitFor(() => expect(state.began).toBe(1), 10_000)
  expect(await holderOf(plan, client)).toBe(first.handle.workflowId)

  const second = await (await start({ id: `${plan.warehouse.taskQueue}-2` })).end()
  expect(second).toMatchObject({ status: 'FAILED', failureType: 'LeaseTaken' })
  expect(second.report.failure?.message).toContain(
    `${first.handle.workflowId} holds the lease of scripted on dev, and one run at a time is the rule`,
  )
  expect(second.report.failure?.message).toMatch(/--wait .*npx millrace follow .*-1/)
  expect(reports.map(({ logged }) => logged)).toEqual([false])

  open()
  expect((await first.end()).report.outcome).toBe('succeeded')
  expect(await holderOf(plan, client)).toBeNull()
  expect((await (await start({ id: `${plan.warehouse.taskQueue}-3` })).end()).report.outcome).toBe('succeeded')
  expect(state).toMatchObject({ began: 2, most: 1 })
})

test('pipelines with one lock wait for each other where they are told to, and say for whom', async () => {
  const planned = planOf('lock', [dbtStep('run')])
  const plan = { ...planned, lease: { ...planned.lease, lock: 'warehouse-x' } }
  const { dbtRun, state, open } = gate()
  const { start } = await openScripted(plan, { dbtRun })
  const { taskQueue } = plan.warehouse
  const first = await start({ id: `${taskQueue}-1`, pipeline: 'one-of-them' })
  await vi.waitFor(() => expect(state.began).toBe(1), 10_000)
  const second = await start({ id: `${taskQueue}-2`, pipeline: 'the-other', request: { wait: true } })
  const waiting = async () => (await second.handle.query<RunProgress>('progress')).waiting
  await vi.waitFor(async () => {
    expect(await waiting()).toBe(`waiting: ${taskQueue}-1 holds the lease of warehouse-x on dev`)
  }, 10_000)
  open()
  expect((await first.end()).report.outcome).toBe('succeeded')
  expect((await second.end()).report).toMatchObject({ outcome: 'succeeded', pipeline: 'the-other', note: null })
  expect(await waiting()).toBeNull()
  expect(state).toMatchObject({ began: 2, most: 1 })
})

test('two targets, and two locks, do not hold up each other', async () => {
  const plan = planOf('apart', [dbtStep('run')])
  const { dbtRun, state, open } = gate()
  const leases = { a: { lock: 'l', target: 'dev' }, b: { lock: 'l', target: 'prod' }, c: { lock: 'm', target: 'dev' } }
  const { start } = await openScripted(plan, {
    dbtRun,
    planRun: async ({ pipeline }) => ({
      ...plan,
      lease: { ...plan.lease, ...leases[pipeline as keyof typeof leases] },
    }),
  })
  const runs = await Promise.all(
    Object.keys(leases).map((pipeline) => start({ id: `${plan.warehouse.taskQueue}-${pipeline}`, pipeline })),
  )
  await vi.waitFor(() => expect(state.running).toBe(3), 10_000)
  open()
  expect((await Promise.all(runs.map(({ end }) => end()))).map(({ status }) => status)).toEqual(
    Array.from({ length: 3 }, () => 'COMPLETED'),
  )
})

test('a scheduled run that finds the lease taken is skipped and recorded, with who holds it; so is a triggered one', async () => {
  const plan = planOf('scheduled', [ingestStep('events'), dbtStep('run')])
  const { dbtRun, state, open } = gate()
  const { reports, recordRefresh } = refresh()
  const { start, client } = await openScripted(plan, { dbtRun, recordRefresh })
  const { taskQueue } = plan.warehouse
  const first = await start({ id: `${taskQueue}-1` })
  await vi.waitFor(() => expect(state.began).toBe(1), 10_000)
  const schedule = await client.schedule.create({
    scheduleId: taskQueue,
    spec: { intervals: [{ every: '30d' }] },
    action: { type: 'startWorkflow', workflowType: 'scripted', workflowId: `${taskQueue}-s`, taskQueue, args: [{}] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP },
  })
  onTestFinished(() => schedule.delete())
  await schedule.trigger(ScheduleOverlapPolicy.SKIP)
  await vi.waitFor(() => expect(reports).toHaveLength(1), 10_000)
  open()
  await first.end()
  expect(reports[0]).toMatchObject({
    logged: true,
    report: {
      outcome: 'skipped',
      failure: null,
      run: 'skipped',
      note: `${taskQueue}-1 holds the lease of scripted on dev`,
    },
  })
  expect(state.began).toBe(1)
})

test('a holder that is terminated frees the lease, and the next one ends what it left before it does anything', async () => {
  const plan = planOf('dead', [dbtStep('run')])
  const { dbtRun, state, open } = gate()
  const order: string[] = []
  const { start, client } = await openScripted(plan, {
    dbtRun: async () => (order.push('dbt'), await dbtRun()),
    endLeftRuns: async ({ lease }) => (order.push(`end what ${lease.lock} left`), 0),
  })
  const { taskQueue } = plan.warehouse
  const first = await start({ id: `${taskQueue}-1` })
  await vi.waitFor(() => expect(state.began).toBe(1), 10_000)
  await first.handle.terminate('somebody pulled the plug')
  await vi.waitFor(async () => expect(await holderOf(plan, client)).toBeNull(), 10_000)
  open()
  expect((await (await start({ id: `${taskQueue}-2` })).end()).report.outcome).toBe('succeeded')
  expect(order).toEqual(['end what scripted left', 'dbt', 'end what scripted left', 'dbt'])
})

test('a cancelled run keeps the lease until it is recorded; one that is cancelled while it waits leaves only a report', async () => {
  const plan = planOf('cancelled', [dbtStep('run')])
  const { dbtRun, state } = gate()
  const { reports, recordRefresh } = refresh()
  const holders: (string | null)[] = []
  const { start, client } = await openScripted(plan, {
    dbtRun,
    recordRefresh: async (input) => {
      holders.push(await holderOf(plan, client))
      await recordRefresh(input)
    },
  })
  const { taskQueue } = plan.warehouse
  const first = await start({ id: `${taskQueue}-1` })
  await vi.waitFor(() => expect(state.began).toBe(1), 10_000)
  const second = await start({ id: `${taskQueue}-2`, request: { wait: true } })
  await vi.waitFor(async () => {
    expect((await second.handle.query<RunProgress>('progress')).waiting).not.toBeNull()
  }, 10_000)
  await second.handle.cancel()
  expect((await second.end()).report.outcome).toBe('cancelled')
  await first.handle.cancel()
  expect((await first.end()).report.outcome).toBe('cancelled')
  expect(holders).toEqual([`${taskQueue}-1`, `${taskQueue}-1`])
  expect(reports.map(({ report, logged }) => [report.workflowId, logged])).toEqual([
    [`${taskQueue}-2`, false],
    [`${taskQueue}-1`, true],
  ])
  expect(await holderOf(plan, client)).toBeNull()
})

test('files are waited for without the lease', async () => {
  const step = ingestStep('events')
  if (step.kind !== 'ingest') throw new Error('an ingest step')
  const waiting = {
    ...step,
    entries: step.entries.map((entry) => ({ ...entry, missing: 'wait' as const, waitForMs: 60_000 })),
  }
  const plan = planOf('waits', [waiting])
  let looked = 0
  const { start, client } = await openScripted(plan, { findFiles: async () => (looked++, 0) })
  const { handle, end } = await start()
  await vi.waitFor(() => expect(looked).toBe(1), 10_000)
  await pause(200)
  expect(await holderOf(plan, client)).toBeNull()
  expect((await handle.query<RunProgress>('progress')).waiting).toContain('waiting for data/events.csv')
  await handle.cancel()
  expect((await end()).report.outcome).toBe('cancelled')
})
