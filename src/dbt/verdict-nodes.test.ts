// Nodes that failed: which failure comes of several kinds of them, and what its message says.
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { dbt, evidence, exit, ledgerOf, madeNode, recorded } from '../../tests/fixtures/dbt/evidence.ts'
import { failureDetail } from '../pipeline/failure.ts'
import type { DbtEvidence } from './command.ts'
import { FAILURE_CLASSES } from './failure-class.ts'
import type { LedgerNode } from './ledger.ts'
import { dbtFailureDetail, judge, makeReport, ON_ITS_OWN } from './verdict.ts'

function failing(nodes: readonly LedgerNode[]): DbtEvidence {
  return evidence({ command: dbt('build'), exit: exit(1), ledger: ledgerOf(nodes, { success: false }) })
}

describe('nodes that failed', () => {
  const TRANSIENT = 'deadlock detected'
  const UNKNOWN = 'the moon is in the wrong place'
  const COMPILE = 'Compilation Error in model m0'
  const DATABASE = 'Binder Error: no'
  const DISK = 'No space left on device'

  test.each<[string, string[], string]>([
    ['for a passing reason', [TRANSIENT, TRANSIENT], 'DbtTransient'],
    ['for a passing reason and one that stays', [TRANSIENT, DATABASE], 'DbtNodesFailed'],
    ['the same the other way round', [DISK, TRANSIENT], 'DiskFull'],
    ['for a passing reason and one that nobody knows', [TRANSIENT, UNKNOWN], 'DbtUnknown'],
    ['for one that nobody knows only', [UNKNOWN, UNKNOWN], 'DbtUnknown'],
    ['for one that nobody knows and one that stays', [UNKNOWN, DATABASE], 'DbtNodesFailed'],
    ['for what dbt finds only when it compiles a node', [COMPILE], 'DbtNodesFailed'],
    ['with 503 rows against a test', ['Got 503 results, configured to fail if != 0'], 'DbtTestsFailed'],
  ])('%s: %j', (_what, messages, type) => {
    const nodes = messages.map((message, index) => madeNode(`model.shop.m${index}`, 'error', { message }))

    expect(() => judge(failing(nodes))).toThrow(expect.objectContaining({ type }))
  })

  test.each<[string, string, string]>([
    ['a test that found something and a model that broke', 'Binder Error: no', 'DbtNodesFailed'],
    ['a test that found something and a lost connection', 'Connection refused', 'DbtTestsFailed'],
  ])('%s: what no retry can help decides', (_what, message, type) => {
    const found = madeNode('test.shop.t', 'fail', { message: 'Got 2 results, configured to fail if != 0' })

    const broken = madeNode('model.shop.m', 'error', { message })

    expect(() => judge(failing([found, broken]))).toThrow(expect.objectContaining({ type }))
    expect(() => judge(failing([broken, found]))).toThrow(expect.objectContaining({ type }))
  })

  test('that are tests which found something are a verdict on the data, whatever they are called', () => {
    const named = madeNode('test.shop.t', 'fail', { message: 'Connection refused' })
    const unit = madeNode('unit_test.shop.m.u', 'fail', { message: 'actual differs' })

    expect(() => judge(failing([named, unit]))).toThrow(
      expect.objectContaining({
        type: 'DbtTestsFailed',
        message: expect.stringMatching(/^dbt build: 2 tests failed.*\n.*\n {2}unit test u \(data\)/),
      }),
    )
  })

  test('a test that could not be asked is not one that found something', () => {
    const test = madeNode('test.shop.t', 'error', { message: 'Connection refused' })

    expect(() => judge(failing([test]))).toThrow(expect.objectContaining({ type: 'DbtTransient' }))
  })
})

test('a microbatch model with failing batches says what they failed of', () => {
  const given = recorded('failing-build', 1, dbt('build'))
  const microbatch = given.ledger.nodes.get('model.shop.mb')

  expect(() => judge(failing(microbatch === undefined ? [] : [microbatch]))).toThrow('Parser Error: syntax error')
})

describe('the message', () => {
  const folder = path.resolve('run/1.1')
  const compiledFile = path.join(folder, 'compiled/shop/t.sql')
  const message = 'Got 2 results, configured to fail if != 0'
  const found = madeNode('test.shop.t', 'fail', { message }, { compiledFile, failuresTable: '"w"."audit"."t"' })

  test('names each node, its class, its SQL and where the rows are, and the folder of it all', () => {
    const skipped = ['a', 'b'].map((name) => madeNode(`model.shop.${name}`, 'skipped', { message: '' }))

    expect(() => judge(failing([found, ...skipped]))).toThrow(
      expect.objectContaining({
        message: [
          `dbt build: 1 test failed, 2 skipped behind it. ${FAILURE_CLASSES.data.advice}`,
          '  test t (data): Got 2 results, configured to fail if != 0',
          '    SQL: compiled/shop/t.sql',
          '    rows: select * from "w"."audit"."t"',
          '  all of it: run/1.1',
        ].join('\n'),
      }),
    )
  })

  test('has one line of a node, clipped', () => {
    const long = madeNode('model.shop.m', 'error', { message: `Binder Error: ${'x\n'.repeat(500)}` })

    expect(() => judge(failing([long]))).toThrow(/\n {2}model m \(database\): Binder Error: (x )+x?…\n/)
  })

  test('comes with the report, and with the pause that fits its kind', () => {
    const given = failing([madeNode('model.shop.m', 'error', { message: 'deadlock detected' })])

    expect(detailOf(() => judge(given))).toEqual({
      report: makeReport(given, ON_ITS_OWN),
      retryDelay: { firstMs: 5_000, maxMs: 300_000 },
    })
    expect(dbtFailureDetail('DbtNodesFailed', makeReport(given, ON_ITS_OWN)).retryDelay).toEqual({
      firstMs: 0,
      maxMs: 0,
    })
  })

  test('of a killed command comes with what it did', () => {
    const detail = detailOf(() => judge(evidence({ exit: exit(undefined, 'SIGKILL') })))

    expect(detail).toMatchObject({ report: { counts: { success: 2 } }, retryDelay: { firstMs: 5_000 } })
  })
})

function detailOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return failureDetail(error)
  }
  throw new Error('it did not fail')
}
