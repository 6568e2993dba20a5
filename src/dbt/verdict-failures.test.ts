// A dbt command that did not succeed: what kind of failure it is, and what its message says.
import { describe, expect, test } from 'vitest'
import {
  evidence,
  exit,
  madeArtifact,
  madeLedger,
  recorded,
  recordedLedger,
} from '../../tests/fixtures/dbt/evidence.ts'
import { EMPTY_LEDGER } from './ledger.ts'
import { judge, judgeParse, type DbtEvidence } from './verdict.ts'

const noDbt = "Traceback:\n  File launch.py\nModuleNotFoundError: No module named 'dbt'\n"

test.each<[string, DbtEvidence, string, RegExp]>([
  [
    'a model, and what stands behind it',
    recorded('failing-run', 1),
    'DbtNodesFailed',
    /^dbt run: 1 node failed \(and 1 skipped behind them\): broken: Runtime Error in model broken .*'1a' to INT32.* Mend the model or the data/,
  ],
  [
    'a test; warnings are no failures',
    { ...recorded('failing-tests', 1), command: 'test', commandText: 'dbt test' },
    'DbtTestsFailed',
    /^dbt test: 1 test failed: accepted_values_summary_id__3: Got 1 result, configured to fail/,
  ],
  [
    'a hook',
    recorded('failing-hook', 1),
    'DbtNodesFailed',
    /shop-on-run-start-0: shop\.on-run-start\.0 failed, error: Conversion Error/,
  ],
  [
    'a project that does not compile',
    evidence({ ledger: recordedLedger('broken-project'), exit: exit(2), runResults: undefined }),
    'DbtProjectInvalid',
    /^dbt run could not start: Compilation Error in model zz .*; log: dbt\.log$/,
  ],
  ['a selection that matches nothing', recorded('nothing-selected', 0), 'DbtNothingSelected', /found nothing to do/],
  [
    'one name of several that does not exist, though the others were built',
    evidence({
      commandText: 'dbt run --select m0 m9',
      select: ['m0', 'm9'],
      ledger: madeLedger(['success', 'success'], { unmatched: ['m9'] }),
    }),
    'DbtNothingSelected',
    /^dbt run --select m0 m9: 'm9' matches nothing in the project/,
  ],
  [
    'a command without any node',
    evidence({ ledger: madeLedger([]), runResults: madeArtifact([]) }),
    'DbtNothingSelected',
    /found nothing to do/,
  ],
  ['a state that nobody knows', evidence({ ledger: madeLedger(['success', 'odd']) }), 'DbtNodesFailed', /: m1: odd!\./],
  ['a node without an end', evidence({ ledger: madeLedger([undefined]) }), 'DbtNodesFailed', /: m0: unfinished\./],
  [
    'more nodes than can be shown',
    evidence({ exit: exit(1), ledger: madeLedger(Array(7).fill('error')) }),
    'DbtNodesFailed',
    /7 nodes failed: m0: error!; m1: error!; m2: error!; and 4 more\./,
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
    'dbt itself, before its first word',
    evidence({ ledger: EMPTY_LEDGER, exit: exit(1, undefined, noDbt) }),
    'DbtProjectInvalid',
    /^dbt run could not start: ModuleNotFoundError: No module named 'dbt'; log: dbt\.log$/,
  ],
])('%s', (_what, evidence, type, message) => {
  expect(() => judge(evidence)).toThrow(expect.objectContaining({ type, message: expect.stringMatching(message) }))
})

test.each([
  ['killed by a signal, whatever it said', { exit: exit(undefined, 'SIGKILL') }, /^dbt run ended by SIGKILL before/],
  [
    'ended in the middle',
    { exit: exit(1), ledger: madeLedger(['success', undefined], { success: undefined }) },
    /^dbt run ended by exit code 1 before it was done/,
  ],
])('%s: another try can help', (_what, part, message) => {
  const killed = expect.objectContaining({ type: 'DbtKilled', message: expect.stringMatching(message) })

  expect(() => judge(evidence(part))).toThrow(killed)
  expect(() => judgeParse(evidence(part))).toThrow(killed)
})

describe('nodes that failed', () => {
  test.each([
    ['for a passing reason', ['deadlock detected', 'deadlock detected'], 'DbtTransient'],
    ['for a passing reason and another', ['deadlock detected', 'Binder Error'], 'DbtNodesFailed'],
    ['for two reasons of two kinds', ['deadlock detected', 'No space left on device'], 'DbtNodesFailed'],
    ['with 503 rows against a test', ['Got 503 results, configured to fail if != 0'], 'DbtNodesFailed'],
  ])('%s: %j is %s', (_what, messages, type) => {
    const nodes = messages.map((message, index) => {
      const node = { uniqueId: `m${index}`, name: `m${index}`, resourceType: 'model' }
      return [node.uniqueId, { ...node, result: { status: 'error', message, durationMs: 1 } }] as const
    })
    const ledger = madeLedger([], { nodes: new Map(nodes), success: false })

    expect(() => judge(evidence({ exit: exit(1), ledger }))).toThrow(expect.objectContaining({ type }))
  })
})
