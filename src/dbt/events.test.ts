// dbt's JSON lines, reduced to what matters. Their form is that of dbt 1.12.6; ledger.test.ts reads whole commands of it.
import { describe, expect, test, vi } from 'vitest'
import { recordedLines } from '../../tests/fixtures/dbt/evidence.ts'
import { parseEvent } from './events.ts'

const AT = '2026-11-18T02:00:01.5Z'

/** A line as dbt writes it, without the fields that nothing reads. */
function line(name: string, data: object, msg = '', level = 'info'): string {
  const info = { code: 'Z', extra: {}, invocation_id: 'abc', level, msg, name, pid: 7, thread: 'MainThread', ts: AT }
  return JSON.stringify({ data, info })
    .replaceAll(/("(?:name|pid|thread|ts)"):/g, '$1: ')
    .replaceAll(/,("(?:pid|thread|ts)")/g, ', $1')
}

const orders = {
  materialized: 'table',
  node_name: 'orders',
  node_path: 'orders.sql',
  resource_type: 'model',
  unique_id: 'model.shop.orders',
  node_started_at: '2026-11-18T02:00:00.123456',
  node_finished_at: '',
}
const labels = { ...orders, materialized: 'ephemeral', node_name: 'labels', unique_id: 'model.shop.labels' }
const hook = {
  ...orders,
  resource_type: 'operation',
  node_name: 'shop-on-run-start-0',
  unique_id: 'operation.shop.start',
}
const STARTED = { startedAt: '2026-11-18T02:00:00.123456Z' }
const ORDERS = { uniqueId: 'model.shop.orders', name: 'orders', resourceType: 'model', ...STARTED }
const NOTHING = { finishedAt: '', rows: null, bytes: null, bytesBilled: null, failures: 0 }

const result = (status: string, message: string | null) => ({
  execution_time: 0.0681,
  num_failures: 0,
  status,
  message,
  adapter_response: {},
})

describe('an event that matters', () => {
  test.each([
    [
      'ConcurrencyLine',
      { node_count: 4, num_threads: 1, target_name: 'dev' },
      { kind: 'nodes counted', total: 4, threads: 1 },
    ],
    ['NodeStart', { node_info: orders }, { kind: 'node started', node: ORDERS }],
    [
      'NodeFinished',
      { node_info: orders, run_result: result('success', 'OK') },
      { kind: 'node finished', node: ORDERS, result: { status: 'success', message: 'OK', durationMs: 68, ...NOTHING } },
    ],
    [
      'NodeFinished',
      { node_info: orders, run_result: result('skipped', null) },
      { kind: 'node finished', node: ORDERS, result: { status: 'skipped', message: '', durationMs: 68, ...NOTHING } },
    ],
    ['LogHookEndLine', { node_info: hook, status: 'success' }, { kind: 'hook finished', uniqueId: hook.unique_id }],
    [
      'SQLCompiledPath',
      { node_info: orders, path: '/run/compiled/orders.sql' },
      { kind: 'compiled sql', uniqueId: orders.unique_id, file: '/run/compiled/orders.sql' },
    ],
    [
      'CheckNodeTestFailure',
      { node_info: orders, relation_name: '"w"."audit"."t"' },
      { kind: 'failing rows', uniqueId: orders.unique_id, table: '"w"."audit"."t"' },
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
        node: { uniqueId: 'operation.shop.start', name: 'shop-on-run-start-0', resourceType: 'operation', ...STARTED },
        result: { status: 'error', message: 'shop.on-run-start.0 failed', durationMs: 0, ...NOTHING },
      },
    ],
    [
      'NodeFinished',
      { node_info: labels, run_result: result('error', 'Compilation Error') },
      {
        kind: 'node finished',
        node: { uniqueId: 'model.shop.labels', name: 'labels', resourceType: 'model', ...STARTED },
        result: { status: 'error', message: 'Compilation Error', durationMs: 68, ...NOTHING },
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
    ['the end of a hook that failed: RunResultError says why', 'LogHookEndLine', { node_info: hook, status: 'error' }],
    ['any other event, also of a name that objects know', 'constructor', {}],
  ])('%s', (_what, name, data) => {
    expect(parseEvent(line(name, data, 'words', 'warn'))).toEqual({
      invocationId: 'abc',
      level: 'warn',
      at: AT,
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

test('an event that matters and is worded otherwise is no event: the verdict will miss it', () => {
  expect(parseEvent(line('CommandCompleted', { ok: true }, 'done'))).toMatchObject({ text: 'done', event: undefined })
})

describe('the result of a node', () => {
  const finished = (adapter_response: unknown, part: object = {}) => {
    const event = parseEvent(
      line('NodeFinished', {
        node_info: { ...orders, node_finished_at: '2026-11-18T02:00:01' },
        run_result: { ...result('success', 'OK'), adapter_response, ...part },
      }),
    )?.event
    return event?.kind === 'node finished' ? event.result : undefined
  }

  test.each<[string, unknown, number | null, number | null]>([
    ['rows and bytes (BigQuery)', { rows_affected: 12, bytes_processed: 4096, location: 'EU' }, 12, 4096],
    ['rows only (Postgres)', { _message: 'INSERT 0 3', rows_affected: 3 }, 3, null],
    ['no row', { rows_affected: 0 }, 0, null],
    ['rows that nobody counted', { rows_affected: -1 }, null, null],
    ['nothing', { _message: 'OK' }, null, null],
    ['words where numbers are meant', { rows_affected: '3', bytes_processed: 'many' }, null, null],
    ['an answer of another form', 'OK', null, null],
  ])('has what the adapter tells: %s', (_what, response, rows, bytes) => {
    expect(finished(response)).toMatchObject({ rows, bytes })
  })

  test('has the rows that a test found, and its end in UTC', () => {
    expect(finished({}, { num_failures: 7 })).toMatchObject({ failures: 7, finishedAt: '2026-11-18T02:00:01Z' })
    expect(finished({}, { num_failures: null })).toMatchObject({ failures: 0 })
  })
})

describe('as bytes, a line of debug level that says nothing', () => {
  const noise = line('SQLQuery', { sql: 'select 1', node_info: orders }, 'On model: select 1', 'debug')

  test('is passed over without being parsed', () => {
    const parse = vi.spyOn(JSON, 'parse')

    expect(parseEvent(Buffer.from(noise))).toBeUndefined()
    expect(parse).not.toHaveBeenCalled()
    parse.mockRestore()
    expect(parseEvent(noise)).toMatchObject({ level: 'debug', event: undefined })
  })

  test('is told by its own name, not by what it quotes', () => {
    const quoting = line('NodeStart', { node_info: orders, meta: noise.slice(-100) }, noise.slice(-100))

    expect(parseEvent(Buffer.from(quoting))?.event?.kind).toBe('node started')
  })

  test('means the same as text, for all lines that matter', () => {
    for (const each of ['failing-build', 'freshness-stale', 'operation'].flatMap(recordedLines)) {
      expect(parseEvent(Buffer.from(each))?.event).toEqual(parseEvent(each)?.event)
    }
  })
})
