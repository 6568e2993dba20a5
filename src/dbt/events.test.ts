// dbt's JSON lines, reduced to what matters. Their form is that of dbt 1.12.6; ledger.test.ts reads whole commands of it.
import { describe, expect, test } from 'vitest'
import { parseEvent } from './events.ts'

/** A line as dbt writes it, without the fields that nothing reads. */
function line(name: string, data: object, msg = '', level = 'info'): string {
  return JSON.stringify({ data, info: { code: 'Z', extra: {}, invocation_id: 'abc', level, msg, name, pid: 7 } })
}

const orders = {
  materialized: 'table',
  node_name: 'orders',
  node_path: 'orders.sql',
  resource_type: 'model',
  unique_id: 'model.shop.orders',
}
const labels = { ...orders, materialized: 'ephemeral', node_name: 'labels', unique_id: 'model.shop.labels' }
const hook = {
  ...orders,
  resource_type: 'operation',
  node_name: 'shop-on-run-start-0',
  unique_id: 'operation.shop.start',
}
const ORDERS = { uniqueId: 'model.shop.orders', name: 'orders', resourceType: 'model' }

const result = (status: string, message: string | null) => ({
  execution_time: 0.0681,
  num_failures: 0,
  status,
  message,
})

describe('an event that matters', () => {
  test.each([
    ['ConcurrencyLine', { node_count: 4, num_threads: 1, target_name: 'dev' }, { kind: 'nodes counted', total: 4 }],
    ['NodeStart', { node_info: orders }, { kind: 'node started', node: ORDERS }],
    [
      'NodeFinished',
      { node_info: orders, run_result: result('success', 'OK') },
      { kind: 'node finished', node: ORDERS, result: { status: 'success', message: 'OK', durationMs: 68 } },
    ],
    [
      'NodeFinished',
      { node_info: orders, run_result: result('skipped', null) },
      { kind: 'node finished', node: ORDERS, result: { status: 'skipped', message: '', durationMs: 68 } },
    ],
    ['NothingToDo', {}, { kind: 'nothing selected' }],
    ['NoNodesForSelectionCriteria', { spec_raw: 'tag:none' }, { kind: 'criterion unmatched', criterion: 'tag:none' }],
    ['MainEncounteredError', { exc: 'Runtime Error' }, { kind: 'failed', message: 'Runtime Error' }],
    [
      'CommandCompleted',
      { command: 'dbt run', completed_at: '2026-11-21T12:22:45Z', elapsed: 2.1, success: true },
      { kind: 'completed', success: true },
    ],
    [
      'RunResultError',
      { msg: 'shop.on-run-start.0 failed', node_info: hook },
      {
        kind: 'node finished',
        node: { uniqueId: 'operation.shop.start', name: 'shop-on-run-start-0', resourceType: 'operation' },
        result: { status: 'error', message: 'shop.on-run-start.0 failed', durationMs: 0 },
      },
    ],
    [
      'NodeFinished',
      { node_info: labels, run_result: result('error', 'Compilation Error') },
      {
        kind: 'node finished',
        node: { uniqueId: 'model.shop.labels', name: 'labels', resourceType: 'model' },
        result: { status: 'error', message: 'Compilation Error', durationMs: 68 },
      },
    ],
  ])('%s of %j', (name, data, event) => {
    expect(parseEvent(line(name, data))?.event).toEqual(event)
  })
})

describe('an event that says nothing of a node to be built', () => {
  test.each([
    ['an ephemeral model, which is compiled only', 'NodeStart', { node_info: labels }],
    ['its end', 'NodeFinished', { node_info: labels, run_result: result('success', '') }],
    ["a node's error said a second time", 'RunResultError', { msg: 'Runtime Error', node_info: orders }],
    ['an error without its node', 'RunResultError', { msg: 'Skipping due to fail_fast' }],
    ['any other event, also of a name that objects know', 'constructor', {}],
  ])('%s', (_what, name, data) => {
    expect(parseEvent(line(name, data, 'words', 'warn'))).toEqual({
      invocationId: 'abc',
      level: 'warn',
      text: 'words',
      event: undefined,
    })
  })
})

test.each(['', 'plain words', '{', '{}', '[]', 'null', '{"info": {"name": "NodeStart"}}', "{'data': 1}"])(
  'a line that is no event of dbt is passed over: %s',
  (text) => {
    expect(parseEvent(text)).toBeUndefined()
  },
)

test('an event that matters and has lost its fields is not passed over in silence', () => {
  expect(() => parseEvent(line('CommandCompleted', { ok: true }))).toThrow('success')
})
