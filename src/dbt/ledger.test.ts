// Our account of a command, kept from its events, agrees with the artifact that dbt wrote of the same command.
import { describe, expect, test } from 'vitest'
import { recordedArtifact, recordedLedger } from '../../tests/fixtures/dbt/evidence.ts'
import type { DbtEvent } from './events.ts'
import { countByStatus, emptyLedger, isGood, recordEvent, type DbtLedger, type LedgerChange } from './ledger.ts'

/** `unique id: status` of the artifact's nodes; hooks that went well are no nodes of the ledger. */
function artifact(name: string, file?: string) {
  const { metadata, results } = JSON.parse(recordedArtifact(name, file)) as {
    metadata: { invocation_id: string }
    results: { unique_id: string; status: string; failures?: number | null }[]
  }
  const nodes = results.filter(({ unique_id, status }) => !(unique_id.startsWith('operation.') && status === 'success'))
  return {
    invocationId: metadata.invocation_id,
    nodes: nodes.map(({ unique_id, status, failures }) => `${unique_id}: ${status} ${failures ?? 0}`),
  }
}

function nodesOf(ledger: DbtLedger): string[] {
  return [...ledger.nodes.values()].map(
    ({ uniqueId, result }) => `${uniqueId}: ${result?.status ?? 'unfinished'} ${result?.failures ?? 0}`,
  )
}

test.each([
  ['good-run', true],
  ['failing-run', false],
  ['failing-build', false],
  ['seed', true],
])('of %s: the same nodes, states, failing rows and invocation, and how it ended', (name, success) => {
  const ledger = recordedLedger(name)

  expect(nodesOf(ledger).toSorted()).toEqual(artifact(name).nodes.toSorted())
  expect(ledger).toMatchObject({
    invocationId: artifact(name).invocationId,
    success,
    nothingSelected: false,
    errors: [],
  })
})

test.each([
  ['good-run', 2],
  ['failing-run', 4],
  ['failing-tests', 4],
])('of %s: how many nodes there are', (name, total) => {
  const ledger = recordedLedger(name)

  expect([ledger.total, ledger.nodes.size]).toEqual([total, total])
})

test('of failing tests: the same', () => {
  const ledger = recordedLedger('failing-tests')

  expect(countByStatus(ledger.nodes.values())).toEqual({ warn: 1, fail: 1, pass: 2 })
  const nodes = artifact('failing-tests').nodes.map((node) => node.split(':')[0])
  expect(new Set(ledger.nodes.keys())).toEqual(new Set(nodes))
})

test('of source freshness: the same sources, and those whose query failed, of which sources.json says nothing', () => {
  const warn = recordedLedger('freshness-warn')
  const stale = recordedLedger('freshness-stale')

  expect(nodesOf(warn).toSorted()).toEqual(artifact('freshness-warn', 'sources').nodes.toSorted())
  expect(nodesOf(stale).toSorted()).toEqual(
    [...artifact('freshness-stale', 'sources').nodes, 'source.shop.feed.broken: runtime error 0'].toSorted(),
  )
})

test('of a hook that fails: the hook and why; dbt tells of the nodes behind it in its artifact only', () => {
  const ledger = recordedLedger('failing-hook')

  expect(nodesOf(ledger)).toEqual(['operation.shop.shop-on-run-start-0: error 0'])
  expect(ledger.nodes.get('operation.shop.shop-on-run-start-0')?.result?.message).toContain(
    "Could not convert string 'a' to INT32",
  )
  expect(ledger.success).toBe(false)
  expect([...ledger.hooks]).toEqual(['operation.shop.shop-on-run-end-0'])
})

test('of a selection that matches nothing: no nodes, and that dbt calls it a success', () => {
  expect(recordedLedger('nothing-selected')).toMatchObject({ nothingSelected: true, success: true, nodes: new Map() })
})

test('of a project that does not compile: the error in full', () => {
  const { errors, success, nodes } = recordedLedger('broken-project')

  expect(errors).toEqual([expect.stringContaining('Compilation Error in model zz')])
  expect({ success, nodes: nodes.size }).toEqual({ success: false, nodes: 0 })
})

describe('of a build', () => {
  const { nodes, hooks, threads, startedAt } = recordedLedger('failing-build')

  test('a microbatch model has its own start and end, not those of one of its three batches', () => {
    expect(nodes.get('model.shop.mb')).toMatchObject({
      startedAt: '2026-11-21T16:30:51.423261Z',
      result: {
        status: 'partial success',
        message: expect.stringMatching(/^PARTIAL SUCCESS \(1\/3\): .*Parser Error: syntax error/s),
        durationMs: 492,
        finishedAt: '2026-11-21T16:30:51.916839Z',
      },
    })
  })

  test('a node has its rows; a warning its failing rows, where they are and its SQL', () => {
    expect(nodes.get('seed.shop.s1')?.result).toMatchObject({ rows: 1, bytes: null })
    expect(nodes.get('model.shop.m1')?.result).toMatchObject({ rows: null })
    expect(nodes.get('test.shop.accepted_values_m2_x__2.9d55590556')).toMatchObject({
      result: { status: 'warn', failures: 1 },
      failuresTable: '"w"."main_dbt_test__audit"."accepted_values_m2_x__2"',
      compiledFile: '/work/shop/run/1.1/compiled/shop/models/schema.yml/accepted_values_m2_x__2.sql',
    })
    expect(nodes.get('model.shop.bad')?.compiledFile).toBe('/work/shop/run/1.1/compiled/shop/models/bad.sql')
  })

  test('hooks that went well, threads and the first word', () => {
    expect([...hooks]).toEqual(['operation.shop.shop-on-run-start-0', 'operation.shop.shop-on-run-end-0'])
    expect(threads).toBe(2)
    expect(startedAt).toMatch(/^2026-11-21T16:30:51\.\d+Z$/)
  })
})

describe('while a command runs', () => {
  const node = { uniqueId: 'model.shop.orders', name: 'orders', resourceType: 'model', startedAt: '2026-11-18T02:00Z' }
  const batch = { ...node, startedAt: '2026-11-18T02:01Z' }
  const result = { message: '', durationMs: 1, finishedAt: '', rows: null, bytes: null, bytesBilled: null, failures: 0 }
  const started = (of = node) => ({ kind: 'node started', node: of }) as const
  const finished = (status: string, of = node) =>
    ({ kind: 'node finished', node: of, result: { ...result, status } }) as const

  function record(...events: readonly DbtEvent[]) {
    const ledger = emptyLedger()
    const changes = events.map((event): LedgerChange => {
      return recordEvent(ledger, { invocationId: 'abc', level: 'info', at: '2026-11-18T02:00Z', text: '', event })
    })
    return { ledger, changes: changes.map((change) => change?.kind) }
  }

  test('a node that has started has no result, and is in no count', () => {
    const { ledger, changes } = record(started())

    expect(ledger.nodes.get(node.uniqueId)).toEqual({ ...node, result: undefined, attempt: 1 })
    expect(countByStatus(ledger.nodes.values())).toEqual({})
    expect(changes).toEqual(['started'])
  })

  test("batches of a running node change nothing; its own end does, and is its observers' only second word", () => {
    const { ledger, changes } = record(
      started(),
      started(batch),
      finished('success', batch),
      started({ ...node, startedAt: '2026-11-18T02:02Z' }),
      finished('error'),
    )

    expect(changes).toEqual(['started', undefined, undefined, undefined, 'finished'])
    expect(ledger.nodes.get(node.uniqueId)).toEqual({ ...node, result: { ...result, status: 'error' }, attempt: 1 })
  })

  test('a node that is skipped is in the ledger, as one that was never begun', () => {
    const { ledger } = record(started(), finished('skipped'))

    expect(countByStatus(ledger.nodes.values())).toEqual({ skipped: 1 })
    expect(ledger.nodes.get(node.uniqueId)?.attempt).toBe(0)
  })

  test('a node that is reported twice keeps its last result, and is counted once', () => {
    const { ledger } = record(finished('success'), finished('error'))

    expect(countByStatus(ledger.nodes.values())).toEqual({ error: 1 })
  })

  test('what is said of a node that is not there is passed over', () => {
    const { ledger } = record({ kind: 'compiled sql', uniqueId: 'model.shop.other', file: '/x.sql' })

    expect(ledger.nodes.size).toBe(0)
  })
})

test.each([
  ['success', true],
  ['pass', true],
  ['warn', true],
  ['no-op', true],
  ['reused', true],
  ['skipped', false],
  ['error', false],
  ['fail', false],
  ['runtime error', false],
  ['partial success', false],
  ['a word of tomorrow', false],
])('a node that dbt calls %s needs nothing more: %s', (status, good) => {
  const result = {
    status,
    message: '',
    durationMs: 1,
    finishedAt: '',
    rows: null,
    bytes: null,
    bytesBilled: null,
    failures: 0,
  }

  expect(isGood({ uniqueId: 'm', name: 'm', resourceType: 'model', startedAt: '', attempt: 1, result })).toBe(good)
})
