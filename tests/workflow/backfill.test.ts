// The backfill, on the real server: a run for each day, in order, one at a time, whatever happens meanwhile.
import { Context } from '@temporalio/activity'
import { WorkflowFailedError } from '@temporalio/client'
import { expect, test, vi } from 'vitest'
import type { Activities } from '../../src/activities/index.ts'
import type { BackfillReport, BackfillRequest } from '../../src/pipeline/backfill.ts'
import { failure } from '../../src/pipeline/failure.ts'
import { identifier } from '../../src/pipeline/identifier.ts'
import type { Plan } from '../../src/pipeline/plan.ts'
import { dbtReport, dbtStep, openScripted, planOf } from '../support/scripted.ts'

const REQUEST: BackfillRequest = {
  pipeline: 'scripted',
  target: 'dev',
  from: '2026-02-27',
  to: '2026-03-02',
  dateParam: 'date',
  request: { target: 'dev', params: { dept: '9' } },
  redo: false,
  keepGoing: false,
  daysPerExecution: 100,
  done: [],
}
const DAYS = ['2026-02-27', '2026-02-28', '2026-03-01', '2026-03-02']

/** Days in the order in which their dbt began and ended; a run's day is what its request said. */
function story() {
  const told: string[] = []
  const planRun = (plan: Plan): Activities['planRun'] => {
    return async ({ request }) => ({
      ...plan,
      logicalDate: request.params?.['date'] ?? '',
      params: request.params ?? {},
    })
  }
  const dbtRun: Activities['dbtRun'] = async ({ plan }) => {
    told.push(`${plan.logicalDate} began`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    told.push(`${plan.logicalDate} ended`)
    return dbtReport
  }
  return { told, planRun, dbtRun }
}

const open = async (name: string, activities: (plan: Plan) => Partial<Activities>) => {
  const plan = planOf(name, [dbtStep('run')])
  const queue = await openScripted(plan, activities(plan))
  const start = async (change: Partial<BackfillRequest> = {}) =>
    await queue.client.workflow.start('backfill', {
      taskQueue: plan.warehouse.taskQueue,
      workflowId: `${plan.warehouse.taskQueue}-backfill`,
      args: [{ ...REQUEST, ...change }],
    })
  return { ...queue, plan, startRun: queue.start, start }
}

const states = (report: BackfillReport) => report.days.map(({ day, state }) => [day, state])

test('does one day after the other, leaves out those that the log calls good, and goes on as a new execution now and then', async () => {
  const { told, planRun, dbtRun } = story()
  const asked: unknown[] = []
  const { start } = await open('ordered', (plan) => ({
    planRun: planRun(plan),
    dbtRun,
    planBackfill: async () => ({ plan, refreshLog: identifier('log') }),
    goodDays: async ({ from, to, refreshLog }) => (asked.push({ from, to, refreshLog }), ['2026-02-28']),
  }))
  const handle = await start({ daysPerExecution: 2 })
  const report = (await handle.result()) as BackfillReport
  expect(states(report)).toEqual([
    ['2026-02-27', 'succeeded'],
    ['2026-02-28', 'good before'],
    ['2026-03-01', 'succeeded'],
    ['2026-03-02', 'succeeded'],
  ])
  expect(report.outcome).toBe('succeeded')
  expect(told).toEqual(['2026-02-27', '2026-03-01', '2026-03-02'].flatMap((day) => [`${day} began`, `${day} ended`]))
  // Once in each of its two executions.
  expect(asked).toEqual(Array.from({ length: 2 }, () => ({ from: DAYS[0], to: DAYS[3], refreshLog: 'log' })))
  const redone = (await (await start({ redo: true, to: '2026-02-28' })).result()) as BackfillReport
  expect(states(redone).map(([, state]) => state)).toEqual(['succeeded', 'succeeded'])
})

test('stops at a day that failed and says which, or goes on where it is told to', async () => {
  const { told, planRun, dbtRun } = story()
  const { start } = await open('failing', (plan) => ({
    planRun: planRun(plan),
    dbtRun: async (input) => {
      if (input.plan.logicalDate === '2026-02-28') throw failure('DbtNodesFailed', 'mart_users failed')
      return await dbtRun(input)
    },
  }))
  const failed = async (change: Partial<BackfillRequest>) => {
    const error: unknown = await (await start(change)).result().catch((thrown: unknown) => thrown)
    if (!(error instanceof WorkflowFailedError)) throw new Error('it did not fail')
    return error.cause as unknown as { type: string; message: string; details: [BackfillReport] } // as `failure` makes it
  }
  const stopped = await failed({})
  expect(stopped.type).toBe('BackfillFailed')
  expect(stopped.message).toMatch(
    /1 succeeded, 1 failed, 2 not done; first 2026-02-28, DbtNodesFailed: .*npx millrace logs scripted-dev-2026-02-28-/,
  )
  expect(stopped.details[0].days.map(({ state }) => state)).toEqual(['succeeded', 'failed', 'not done', 'not done'])
  const whole = await failed({ keepGoing: true })
  expect(whole.details[0].days.map(({ state }) => state)).toEqual(['succeeded', 'failed', 'succeeded', 'succeeded'])
  expect(told.filter((text) => text.endsWith('began'))).toHaveLength(4)
})

test('waits for a run that holds the lease, goes on after its worker was stopped, and cancels the day under way', async () => {
  const { told, planRun, dbtRun } = story()
  const other = Promise.withResolvers<void>()
  const { start, plan, client, stop, restart, startRun } = await open('waits', (plan) => ({
    planRun: planRun(plan),
    dbtRun: async (input) => {
      if (input.plan.logicalDate === '') await other.promise
      if (input.plan.logicalDate !== '2026-03-01') return await dbtRun(input)
      told.push('2026-03-01 began')
      const beat = setInterval(() => Context.current().heartbeat(), 100)
      return await Context.current().cancelled.finally(() => clearInterval(beat))
    },
  }))
  const holder = await startRun()
  const handle = await start()
  const days = async () => (await handle.query<BackfillReport>('days')).days.map(({ state }) => state)
  await vi.waitFor(async () => expect(await days()).toEqual(['running', 'pending', 'pending', 'pending']), 20_000)
  expect(told).toEqual([])
  other.resolve()
  await holder.end()
  await vi.waitFor(() => expect(told).toContain('2026-02-27 ended'), 30_000)
  await stop()
  await restart()
  await vi.waitFor(() => expect(told).toContain('2026-03-01 began'), 30_000)
  await handle.cancel()
  await expect(handle.result()).rejects.toThrow('cancelled')
  expect((await handle.describe()).status.name).toBe('CANCELLED')
  expect(await days()).toEqual(['succeeded', 'succeeded', 'cancelled', 'not done'])
  const ended = told.filter((text) => text.endsWith('ended'))
  expect(ended).toEqual([' ended', '2026-02-27 ended', '2026-02-28 ended'])
  await vi.waitFor(async () => {
    const running = `TaskQueue = '${plan.warehouse.taskQueue}' AND ExecutionStatus = 'Running'`
    expect((await client.workflow.count(running)).count).toBe(0)
  }, 20_000)
})
