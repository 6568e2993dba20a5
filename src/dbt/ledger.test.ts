// Our account of a command, kept from its events, agrees with the artifact that dbt wrote of the same command.
import { describe, expect, test } from 'vitest'
import { recordedArtifact, recordedLedger } from '../../tests/fixtures/dbt/evidence.ts'
import { countByStatus, EMPTY_LEDGER, recordEvent, type DbtLedger } from './ledger.ts'

/** `unique id: status` of the artifact's nodes; hooks that went well are no nodes of the ledger. */
function artifact(name: string) {
  const { metadata, results } = JSON.parse(recordedArtifact(name)) as {
    metadata: { invocation_id: string }
    results: { unique_id: string; status: string; message: string | null }[]
  }
  const nodes = results.filter(({ unique_id, status }) => !(unique_id.startsWith('operation.') && status === 'success'))
  return {
    invocationId: metadata.invocation_id,
    nodes: nodes.map(({ unique_id, status }) => `${unique_id}: ${status}`),
  }
}

function nodesOf(ledger: DbtLedger): string[] {
  return [...ledger.nodes.values()].map(({ uniqueId, result }) => `${uniqueId}: ${result?.status ?? 'unfinished'}`)
}

test.each([
  ['good-run', true],
  ['failing-run', false],
  ['failing-tests', false],
])('of %s: the same nodes, states and invocation, and how it ended', (name, success) => {
  const ledger = recordedLedger(name)

  expect(nodesOf(ledger).toSorted()).toEqual(artifact(name).nodes.toSorted())
  expect(ledger).toMatchObject({
    invocationId: artifact(name).invocationId,
    success,
    nothingSelected: false,
    errors: [],
  })
  expect(ledger.total).toBe(ledger.nodes.size)
})

test('of a hook that fails: the hook and why; dbt tells of the nodes behind it in its artifact only', () => {
  const ledger = recordedLedger('failing-hook')

  expect(nodesOf(ledger)).toEqual(['operation.shop.shop-on-run-start-0: error'])
  expect(ledger.nodes.get('operation.shop.shop-on-run-start-0')?.result?.message).toContain(
    "Could not convert string 'a' to INT32",
  )
  expect(ledger.success).toBe(false)
})

test('of a selection that matches nothing: no nodes, and that dbt calls it a success', () => {
  expect(recordedLedger('nothing-selected')).toMatchObject({ nothingSelected: true, success: true, nodes: new Map() })
})

test('of a project that does not compile: the error in full', () => {
  const { errors, success, nodes } = recordedLedger('broken-project')

  expect(errors).toEqual([expect.stringContaining('Compilation Error in model zz')])
  expect({ success, nodes: nodes.size }).toEqual({ success: false, nodes: 0 })
})

describe('while a command runs', () => {
  const node = { uniqueId: 'model.shop.orders', name: 'orders', resourceType: 'model' }
  const finished = (status: string) =>
    ({ kind: 'node finished', node, result: { status, message: '', durationMs: 1 } }) as const

  test('a node that has started has no result, and is in no count', () => {
    const ledger = recordEvent(EMPTY_LEDGER, 'abc', { kind: 'node started', node })

    expect(ledger.nodes.get(node.uniqueId)).toEqual({ ...node, result: undefined })
    expect(countByStatus(ledger)).toEqual({})
  })

  test('a node that is reported twice keeps its last result, and is counted once', () => {
    const ledger = [finished('success'), finished('error')].reduce(
      (before, event) => recordEvent(before, 'abc', event),
      EMPTY_LEDGER,
    )

    expect(countByStatus(ledger)).toEqual({ error: 1 })
  })

  test('the ledger before an event stays as it was', () => {
    recordEvent(EMPTY_LEDGER, 'abc', finished('success'))

    expect(EMPTY_LEDGER.nodes.size).toBe(0)
  })
})

test('nodes are counted by the words dbt has for them', () => {
  expect(countByStatus(recordedLedger('failing-tests'))).toEqual({ warn: 1, fail: 1, pass: 2 })
  expect(countByStatus(recordedLedger('failing-run'))).toEqual({ success: 2, error: 1, skipped: 1 })
})
