// A dbt command that did not succeed: what kind of failure it is, and what its message says.
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  dbt,
  evidence,
  exit,
  ledgerOf,
  madeArtifact,
  madeLedger,
  madeNode,
  recorded,
  recordedLedger,
} from '../../tests/fixtures/dbt/evidence.ts'
import { failureDetail } from '../pipeline/failure.ts'
import type { DbtEvidence } from './command.ts'
import { FAILURE_CLASSES } from './failure-class.ts'
import { emptyLedger, type LedgerNode } from './ledger.ts'
import { dbtFailureDetail, judge, makeReport, ON_ITS_OWN } from './verdict.ts'

const noDbt = "Traceback:\n  File launch.py\nModuleNotFoundError: No module named 'dbt'\n"

test.each<[string, DbtEvidence, string, RegExp]>([
  [
    'a model, and what stands behind it',
    recorded('failing-run', 1),
    'DbtNodesFailed',
    /^dbt run: 1 node failed, 1 skipped behind it\. Correct the SQL .*\n {2}model broken \(database\): Runtime Error in model broken .*'1a' to INT32/,
  ],
  [
    'a test; warnings are no failures',
    recorded('failing-tests', 1, dbt('test')),
    'DbtTestsFailed',
    /^dbt test: 1 test failed\. Look at the rows .*\n {2}test accepted_values_summary_id__3 \(data\): Got 1 result, configured to fail/,
  ],
  [
    'a hook',
    recorded('failing-hook', 1),
    'DbtNodesFailed',
    /operation shop-on-run-start-0 \(database\): shop\.on-run-start\.0 failed, error: Conversion Error/,
  ],
  [
    'a project that does not compile',
    evidence({ ledger: recordedLedger('broken-project'), exit: exit(2), artifact: undefined }),
    'DbtProjectInvalid',
    /^dbt run could not start: Compilation Error in model zz .*; log: run\/1\.1\/dbt\.log$/,
  ],
  ['a selection that matches nothing', recorded('nothing-selected', 0), 'DbtNothingSelected', /found nothing to do/],
  [
    'one name of several that does not exist, though the others were built',
    evidence({
      command: dbt('run', { select: ['m0', 'm9'] }),
      ledger: madeLedger(['success', 'success'], { unmatched: ['m9'] }),
    }),
    'DbtNothingSelected',
    /^dbt run --select m0 m9: 'm9' matches nothing in the project/,
  ],
  [
    'a command without any node',
    evidence({ ledger: madeLedger([]), artifact: madeArtifact([]) }),
    'DbtNothingSelected',
    /found nothing to do/,
  ],
  [
    'a state that nobody knows',
    evidence({ ledger: madeLedger(['success', 'odd']) }),
    'DbtUnknown',
    /\n {2}model m1 \(unknown\): odd!\n/,
  ],
  [
    'a node without an end',
    evidence({ ledger: madeLedger([undefined]) }),
    'DbtKilled',
    /\n {2}model m0 \(killed\): began and did not end\n/,
  ],
  [
    'more nodes than can be shown',
    evidence({ exit: exit(1), ledger: madeLedger(Array(7).fill('error')) }),
    'DbtUnknown',
    /: 7 nodes failed\. [^\n]+\n {2}model m0 [^\n]+\n {2}model m1 [^\n]+\n {2}model m2 [^\n]+\n {2}and 4 more\n/,
  ],
  [
    'a connection that is refused before the first node, for a passing reason',
    evidence({
      exit: exit(2),
      ledger: madeLedger([], { success: false, errors: ['Database Error\n  Connection refused'] }),
    }),
    'DbtTransient',
    /^dbt run could not start: Database Error Connection refused;/,
  ],
  [
    'a connection that breaks between two nodes',
    evidence({ exit: exit(2), ledger: madeLedger(['success'], { success: false, errors: ['Connection refused'] }) }),
    'DbtTransient',
    /^dbt run stopped in the middle: Connection refused;/,
  ],
  [
    'dbt itself, before its first word',
    evidence({ ledger: emptyLedger(), exit: exit(1), stderrTail: noDbt }),
    'DbtProjectInvalid',
    /^dbt run could not start: ModuleNotFoundError: No module named 'dbt'; log: run\/1\.1\/dbt\.log$/,
  ],
  [
    'killed by a signal, whatever it said',
    evidence({ exit: exit(undefined, 'SIGKILL') }),
    'DbtKilled',
    /^dbt run ended by SIGKILL before it was done/,
  ],
  [
    'ended in the middle',
    evidence({ exit: exit(1), ledger: madeLedger(['success', undefined], { success: undefined }) }),
    'DbtKilled',
    /^dbt run ended by exit code 1 before it was done/,
  ],
])('%s', (_what, evidence, type, message) => {
  expect(() => judge(evidence)).toThrow(expect.objectContaining({ type, message: expect.stringMatching(message) }))
})

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
