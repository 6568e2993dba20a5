// Bars of dbt nodes: whatever is told about them, and whether or not anyone ends them, the run goes its way.
import { expect, test } from 'vitest'
import { MAX_BARS_OF_ALL_ATTEMPTS, type BarNode, type NodesSignal } from '../../src/pipeline/node-bars.ts'
import type { DbtProgress } from '../../src/pipeline/report.ts'
import { nodesSignal } from '../../src/workflows/node-bars.ts'
import type { RunProgress } from '../../src/workflows/run-state.ts'
import { barsOf } from '../support/history.ts'
import { dbtReport, dbtStep, planOf, runScripted } from '../support/scripted.ts'

const progress: DbtProgress = {
  phase: 'dbt',
  done: 1,
  failed: 0,
  warned: 0,
  skipped: 0,
  total: 3,
  running: [{ name: 'mart_users', startedAtMs: 0, usualMs: 2_000, slow: true }],
  slowest: [{ name: 'orders', durationMs: 1_200 }],
  leftMs: 4_000,
}

const node = (index: number, attempt = '1.1'): BarNode => ({
  activityId: `dbt-run/${attempt}/model.shop.m${index}`,
  type: 'model',
  name: `m${index}`,
})

const signalOf = (began: readonly BarNode[], part: Partial<NodesSignal> = {}): NodesSignal => ({
  step: 'dbt-run',
  attempt: '1.1',
  began,
  progress,
  ...part,
})

/** A run whose dbt step goes on until it is released. */
async function heldRun(change: Parameters<typeof planOf>[2] = {}) {
  const gate = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const run = await runScripted(planOf('bars', [dbtStep('run'), dbtStep('test')], change), {
    dbtRun: async () => {
      begun.resolve()
      await gate.promise
      return dbtReport
    },
  })
  await begun.promise
  return { ...run, release: gate.resolve, told: (signal: NodesSignal) => run.handle.signal(nodesSignal, signal) }
}

/** A bar that no worker has begun is taken back when its step is over. */
async function expectBars({ handle }: Awaited<ReturnType<typeof heldRun>>, count: number): Promise<void> {
  await expect.poll(async () => (await barsOf(handle)).bars.length, { timeout: 5_000 }).toBe(count)
}

test('a bar that nobody ends does not hold up the run', async () => {
  const run = await heldRun()
  await run.told(signalOf([node(1), node(2)]))
  await expectBars(run, 2)
  run.release()

  expect((await run.end()).report.outcome).toBe('succeeded')
  expect(await barsOf(run.handle)).toMatchObject({ refusedTasks: [], bars: [{ end: undefined }, { end: undefined }] })
})

test('a node told of twice has one bar: a second one of its id would wedge the run for ever', async () => {
  const run = await heldRun()
  await run.told(signalOf([node(1)]))
  await run.told(signalOf([node(1), node(1), node(1, '2.1')], { attempt: '2.1' }))
  await expectBars(run, 2)
  run.release()

  expect((await run.end()).report.outcome).toBe('succeeded')
  const { bars, refusedTasks } = await barsOf(run.handle)
  expect(bars.map(({ activityId }) => activityId)).toEqual(['dbt-run/1.1/model.shop.m1', 'dbt-run/2.1/model.shop.m1'])
  expect(refusedTasks).toEqual([])
})

test('of thousands of nodes, over all attempts, at most 600 have bars', async () => {
  const run = await heldRun()
  const nodes = Array.from({ length: 1_000 }, (_, index) => node(index))
  for (let from = 0; from < nodes.length; from += 100) await run.told(signalOf(nodes.slice(from, from + 100)))
  await expectBars(run, MAX_BARS_OF_ALL_ATTEMPTS)
  run.release()

  expect((await run.end()).report.outcome).toBe('succeeded')
  expect((await barsOf(run.handle)).bars).toHaveLength(MAX_BARS_OF_ALL_ATTEMPTS)
  expect(MAX_BARS_OF_ALL_ATTEMPTS).toBe(600)
})

test('an attempt that another one has followed is not listened to: no bar, and no word of how far it is', async () => {
  const run = await heldRun()
  const done = async () => (await run.handle.query<RunProgress>('progress')).steps[0]?.dbtProgress?.done
  await run.told(signalOf([node(1)], { attempt: '1.9' }))
  await run.told(signalOf([node(2)], { attempt: '1.10', progress: { ...progress, done: 2 } }))
  await expect.poll(done).toBe(2)
  await run.told(signalOf([node(3)], { attempt: '1.9', progress: { ...progress, done: 9 } }))
  await run.told(signalOf([node(4)], { attempt: '2.1', progress: { ...progress, done: 0 } }))
  await expect.poll(done).toBe(0)
  await run.told(signalOf([node(5)], { attempt: '1.11', progress: { ...progress, done: 9 } }))
  await run.told(signalOf([node(6)], { attempt: '2.1', progress: { ...progress, done: 1 } }))
  await expect.poll(done).toBe(1)
  run.release()

  expect((await run.end()).report.outcome).toBe('succeeded')
  expect((await barsOf(run.handle)).bars.map(({ activityId }) => activityId)).toEqual(
    [1, 2, 4, 6].map((index) => node(index).activityId),
  )
})

test('word of a step that does not run, or is not there, is passed over', async () => {
  const run = await heldRun()
  await run.told(signalOf([node(1)], { step: 'dbt-test' }))
  await run.told(signalOf([node(2)], { step: 'nope' }))
  run.release()

  expect((await run.end()).report.outcome).toBe('succeeded')
  expect((await barsOf(run.handle)).bars).toEqual([])
})

test('a pipeline can do without bars, and still shows how far dbt is', async () => {
  const { dbt } = planOf('', [])
  const run = await heldRun({ dbt: { ...dbt, nodeBars: false } })
  await run.told(signalOf([node(1)]))
  await expect
    .poll(async () => (await run.handle.query<RunProgress>('progress')).steps[0]?.dbtProgress)
    .toEqual(progress)
  run.release()

  expect((await run.end()).report.steps[0]?.dbtProgress).toBe(null)
  expect((await barsOf(run.handle)).bars).toEqual([])
})

test("the run's current details say what runs, what is slow, and how long it will take", async () => {
  const run = await heldRun()
  await run.told(signalOf([]))
  const metadata = async () =>
    (await run.handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails
  await expect.poll(metadata).toContain('| done | 1 of 3 |')

  expect(await metadata()).toContain('| running | mart_users **slow** (usually 2.0 s) |')
  expect(await metadata()).toContain('| slowest | orders 1.2 s |')
  expect(await metadata()).toContain('| left | about 4.0 s |')
  run.release()
  await run.end()
  expect(await metadata()).not.toContain('running')
})
