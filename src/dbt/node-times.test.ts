// How long nodes usually take: medians of the last runs, in a file that may be missing or broken.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import { addTimes, NO_TIMES, readUsualTimes } from './node-times.ts'

let folder = ''
let file = ''
let round = 0
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-times-'))
})
beforeEach(() => {
  file = path.join(folder, 'times', `${(round += 1)}.json`)
})
afterAll(() => rm(folder, { recursive: true }))

/** A run in which these models took so long, in ms. */
const run = (durations: Readonly<Record<string, number>>, wallMs = 1_000) =>
  addTimes(
    file,
    Object.entries(durations).map(([name, durationMs]) => madeNode(`model.shop.${name}`, 'success', { durationMs })),
    wallMs,
  )

async function usual(name: string): Promise<number | undefined> {
  return (await readUsualTimes(file)).medianMs.get(`model.shop.${name}`)
}

test.each<[number[], number]>([
  [[100], 100],
  [[100, 300], 100],
  [[900, 100, 300], 300],
  [[5, 1, 4, 2, 3], 3],
])('runs of %j ms: usually %i ms', async (durations, median) => {
  for (const ms of durations) await run({ orders: ms })

  expect(await usual('orders')).toBe(median)
})

test('only the last five runs count', async () => {
  for (const ms of [9_000, 9_000, 9_000, 1, 2, 3, 4, 5]) await run({ orders: ms })

  expect(await usual('orders')).toBe(3)
})

test('a node that a run did not have keeps its time', async () => {
  await run({ orders: 100, users: 200 })
  await run({ orders: 100 })

  expect(await usual('users')).toBe(200)
})

test('a node without an end, and a run without nodes, leave nothing', async () => {
  await run({})
  await expect(readFile(file)).rejects.toThrow('ENOENT')
  await addTimes(file, [madeNode('model.shop.orders', undefined), madeNode('model.shop.users', 'success')], 10)

  expect([await usual('orders'), await usual('users')]).toEqual([undefined, 1])
})

describe('nodes at work at the same time', () => {
  test.each<[string, number, number]>([
    ['four at a time', 1_000, 4],
    ['one after the other, with pauses', 9_000, 1],
    ['in no time', 0, 4_000],
  ])('%s', async (_what, wallMs, parallel) => {
    await run({ a: 1_000, b: 1_000, c: 1_500, d: 500 }, wallMs)

    expect((await readUsualTimes(file)).parallel).toBe(parallel)
  })
})

describe('nothing is known', () => {
  test('where there is no file', async () => {
    expect(await readUsualTimes(file)).toEqual(NO_TIMES)
  })

  test.each(['', '{"parallel": [1', '[]', '{"parallel": ["x"], "nodes": {}}'])(
    'of a broken file, and the next run mends it: %s',
    async (text) => {
      const broken = path.join(folder, `${round}.json`)
      await writeFile(broken, text)
      expect(await readUsualTimes(broken)).toEqual(NO_TIMES)

      await addTimes(broken, [madeNode('model.shop.orders', 'success', { durationMs: 7 })], 7)

      expect((await readUsualTimes(broken)).medianMs).toEqual(new Map([['model.shop.orders', 7]]))
    },
  )
})
