// What dbt-bigquery says of its jobs becomes what nodes were billed, over all attempts of their step.
import { expect, test } from 'vitest'
import { ledgerOf, madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import { addBilled, billedBytes, withoutBill } from './billed.ts'
import { parseEvent } from './events.ts'
import { emptyLedger, recordEvent, type LedgerNode } from './ledger.ts'

/** NodeFinished as dbt 1.12.6 writes it, with the adapter's answer. */
function finished(name: string, adapter_response: object): string {
  const node_info = {
    node_name: name,
    unique_id: `model.shop.${name}`,
    resource_type: 'model',
    materialized: 'table',
    node_started_at: '2026-11-18T02:00:00.123456',
    node_finished_at: '2026-11-18T02:00:01.123456',
  }
  const run_result = { status: 'success', message: 'OK', execution_time: 1.2, num_failures: 0, adapter_response }
  const info = { name: 'NodeFinished', invocation_id: 'abc', level: 'debug', msg: '', ts: '2026-11-18T02:00:01.5Z' }
  return JSON.stringify({ data: { node_info, run_result }, info })
}

function ledgerOfEvents(...lines: readonly string[]) {
  const ledger = emptyLedger()
  for (const line of lines) {
    const event = parseEvent(line)
    if (event !== undefined) recordEvent(ledger, event)
  }
  return ledger
}

test('nodes are billed what the answer of their job says', () => {
  // The fields and their order are those of BigQueryAdapterResponse (dbt-bigquery 1.12.1); those that are null are left out.
  const { nodes } = ledgerOfEvents(
    finished('orders', {
      _message: 'CREATE TABLE (1.2k rows, 41.3 MiB processed)',
      code: 'CREATE TABLE',
      rows_affected: 1204,
      bytes_processed: 43_305_165,
      bytes_billed: 52_428_800,
      location: 'EU',
      project_id: 'shop-prod',
      job_id: '6c8d779b-b52d-40c1-9b37-046c5d50b69e',
      slot_ms: 2120,
    }),
    finished('cached', { _message: 'SELECT', code: 'SELECT', bytes_processed: 0, bytes_billed: 0 }),
    finished('recent', { _message: 'CREATE VIEW (0 processed)', code: 'CREATE VIEW', bytes_processed: 0 }),
    finished('labels', { _message: 'INSERT 1', code: 'INSERT', rows_affected: 1 }),
  )

  expect([...nodes.values()].map(({ result }) => [result?.bytes, result?.bytesBilled])).toEqual([
    [43_305_165, 52_428_800],
    [0, 0],
    [0, null],
    [null, null],
  ])
  expect(billedBytes(nodes.values())).toBe(52_428_800)
})

test('where no node says anything of bytes, nothing is known', () => {
  expect(
    billedBytes(ledgerOfEvents(finished('orders', { _message: 'OK', rows_affected: 3 })).nodes.values()),
  ).toBeNull()
  expect(billedBytes([])).toBeNull()
})

const before = new Map<string, LedgerNode>(
  [
    madeNode('test.shop.again', 'fail', { bytesBilled: 10 }),
    madeNode('model.shop.skipped', 'error', { bytesBilled: 20 }),
    madeNode('model.shop.free', 'error'),
  ].map((node) => [node.uniqueId, node]),
)

test('a node that was run again is billed for each time', () => {
  const ledger = ledgerOf([
    madeNode('test.shop.again', 'pass', { bytesBilled: 11 }),
    madeNode('model.shop.skipped', 'skipped'),
    madeNode('model.shop.free', 'success', { bytesBilled: 5 }),
    madeNode('model.shop.new', 'success', { bytesBilled: 7 }),
  ])
  addBilled(ledger, before)

  expect([...ledger.nodes.values()].map(({ result }) => result?.bytesBilled)).toEqual([21, 20, 5, 7])
})

test("another run's nodes are not billed to this one, and stay what they are otherwise", () => {
  const taken = [...withoutBill(before).values()]

  expect(billedBytes(taken)).toBeNull()
  expect(taken[0]).toEqual(madeNode('test.shop.again', 'fail', { bytesBilled: null }))
})
