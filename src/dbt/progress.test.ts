// A dbt command as it stands, and the set of its done nodes in a few hundred bytes.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ledgerOf, madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import type { LedgerNode } from './ledger.ts'
import { NO_TIMES, type UsualTimes } from './node-times.ts'
import { packDone, progressOf, unpackDone } from './progress.ts'

const START = '2026-11-18T02:00:00Z'
const NOW = Date.parse(START) + 60_000
const id = (name: string) => `model.shop.${name}`

/** The state of a command over these nodes, a minute after they began. */
function progress(
  nodes: readonly LedgerNode[],
  {
    done = [],
    selected = nodes.map(({ uniqueId }) => uniqueId),
    usual = NO_TIMES,
    total = nodes.length,
  }: {
    done?: readonly LedgerNode[]
    selected?: readonly string[]
    usual?: UsualTimes
    total?: number
  } = {},
) {
  return progressOf(ledgerOf(nodes, { total }), done, selected, usual, NOW)
}

const usually = (medians: Readonly<Record<string, number>>, parallel = 1): UsualTimes => ({
  medianMs: new Map(Object.entries(medians).map(([name, ms]) => [id(name), ms])),
  parallel,
})

describe('counts', () => {
  test('each node once: done, failed or skipped; warnings are done', () => {
    const statuses = ['success', 'pass', 'warn', 'no-op', 'error', 'fail', 'runtime error', 'skipped', 'odd', undefined]
    const nodes = statuses.map((status, index) => madeNode(id(`m${index}`), status))

    expect(progress(nodes)).toMatchObject({ done: 4, warned: 1, failed: 4, skipped: 1, total: 10 })
  })

  test('what earlier attempts did is in them, but not twice', () => {
    const done = [madeNode(id('a'), 'success'), madeNode(id('b'), 'warn')]
    const now = [madeNode(id('b'), 'error'), madeNode(id('c'), 'success')]

    expect(progress(now, { done, selected: [id('a'), id('b'), id('c'), id('d')] })).toMatchObject({
      done: 2,
      failed: 1,
      warned: 0,
      total: 4,
    })
  })

  test("without a known selection dbt's own number is the total, with what was done before", () => {
    const done = [madeNode(id('a'), 'success'), madeNode(id('b'), 'success')]

    expect(progress([madeNode(id('b'), 'success')], { done, selected: [], total: 5 }).total).toBe(6)
  })
})

test('of what runs, the eight that began first are named; of what ended, the three slowest', () => {
  const running = Array.from({ length: 10 }, (_, index) =>
    madeNode(id(`r${index}`), undefined, {}, { startedAt: `2026-11-18T02:00:${50 - index}Z` }),
  )
  const ended = [5, 40, 7, 30].map((durationMs) => madeNode(id(`e${durationMs}`), 'success', { durationMs }))

  const { running: named, slowest } = progress([...running, ...ended])

  expect(named.map(({ name }) => name)).toEqual(['r9', 'r8', 'r7', 'r6', 'r5', 'r4', 'r3', 'r2'])
  expect(named[0]?.startedAtMs).toBe(Date.parse('2026-11-18T02:00:41Z'))
  expect(slowest).toEqual([
    { name: 'e40', durationMs: 40 },
    { name: 'e30', durationMs: 30 },
    { name: 'e7', durationMs: 7 },
  ])
})

describe('a node that runs for a minute', () => {
  test.each<[number | undefined, boolean]>([
    [undefined, false],
    [60_000, false],
    [20_000, false],
    [19_999, true],
    [100, true],
  ])('and usually takes %s ms: slow %s', (usualMs, slow) => {
    const usual = usualMs === undefined ? NO_TIMES : usually({ a: usualMs })

    expect(progress([madeNode(id('a'), undefined)], { usual }).running).toEqual([
      { name: 'a', startedAtMs: NOW - 60_000, usualMs: usualMs ?? null, slow },
    ])
  })

  test('is not slow by a factor alone: a node of a second may take ten', () => {
    const startedAt = new Date(NOW - 9_000).toISOString()
    const [node] = progress([madeNode(id('a'), undefined, {}, { startedAt })], { usual: usually({ a: 1_000 }) }).running

    expect(node?.slow).toBe(false)
  })
})

describe('time left', () => {
  const ahead = [id('a'), id('b'), id('c')]

  test.each<[string, UsualTimes, LedgerNode[], number | null]>([
    ['nothing known', NO_TIMES, [], null],
    ['one of those ahead not known', usually({ a: 1, b: 1 }), [], null],
    ['all ahead, one at a time', usually({ a: 100, b: 200, c: 300 }), [], 600],
    ['all ahead, two at a time', usually({ a: 100, b: 200, c: 300 }, 2), [], 300],
    ['one done', usually({ a: 100, b: 200, c: 300 }), [madeNode(id('a'), 'success')], 500],
    ['one skipped', usually({ a: 100, b: 200, c: 300 }), [madeNode(id('a'), 'skipped')], 500],
    ['one at work', usually({ a: 90_000, b: 0, c: 0 }), [madeNode(id('a'), undefined)], 30_000],
    ['one at work that does not share', usually({ a: 90_000, b: 0, c: 0 }, 4), [madeNode(id('a'), undefined)], 30_000],
    ['one at work for longer than usual', usually({ a: 10, b: 7, c: 0 }), [madeNode(id('a'), undefined)], 7],
    ['all done', usually({ a: 1, b: 1, c: 1 }), ahead.map((each) => madeNode(each, 'success')), 0],
  ])('%s', (_what, usual, nodes, leftMs) => {
    expect(progress(nodes, { usual, selected: ahead }).leftMs).toBe(leftMs)
  })
})

describe('the set of done nodes', () => {
  const ids = fc.uniqueArray(
    fc.string({ unit: 'binary-ascii' }).map((text) => text.replaceAll('\n', ' ')),
    {
      maxLength: 200,
    },
  )
  const subset = ids.chain((all) =>
    fc.tuple(fc.constant(all), fc.subarray(all), fc.shuffledSubarray(all, { minLength: all.length })),
  )

  test('comes back as it was, in whatever order the ids are known', () => {
    fc.assert(
      fc.property(subset, ([all, done, shuffled]) => {
        const set = new Set(done)

        const found = unpackDone(
          shuffled,
          'd',
          packDone(all, 'd', (each) => set.has(each)),
        )

        expect(found.toSorted()).toEqual(done.toSorted())
      }),
    )
  })

  test('says nothing of other ids', () => {
    fc.assert(
      fc.property(ids, fc.string(), (all, other) => {
        fc.pre(!all.includes(other) && all.length > 0)
        const packed = packDone(all, 'd', () => true)

        expect(unpackDone([...all, other], 'd', packed)).toEqual([])
        expect(unpackDone(all.slice(1), 'd', packed)).toEqual([])
        expect(unpackDone([...all.slice(1), other], 'd', packed)).toEqual([])
        expect(unpackDone(all, 'another manifest', packed)).toEqual([])
      }),
    )
  })

  test('of 3,000 nodes has at most 600 bytes', () => {
    const all = Array.from({ length: 3_000 }, (_, index) => id(`a_model_with_a_long_name_${index}`))

    const packed = packDone(all, 'd', (each) => !each.endsWith('7'))

    expect(JSON.stringify(packed).length).toBeLessThanOrEqual(600)
    expect(unpackDone(all, 'd', packed)).toHaveLength(2_700)
  })

  test('that was cut short holds only what it still has', () => {
    const all = Array.from({ length: 16 }, (_, index) => id(`m${index}`))
    const packed = packDone(all, 'd', () => true)

    expect(unpackDone(all, 'd', { ...packed, bits: packed.bits.slice(0, 2) })).toHaveLength(8)
  })
})
