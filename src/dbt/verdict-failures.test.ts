// A dbt command that did not succeed: what kind of failure it is, and what its message says.
import { expect, test } from 'vitest'
import {
  dbt,
  evidence,
  exit,
  madeArtifact,
  madeLedger,
  recorded,
  recordedLedger,
} from '../../tests/fixtures/dbt/evidence.ts'
import type { DbtEvidence } from './command.ts'
import { emptyLedger } from './ledger.ts'
import { judge } from './verdict.ts'

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
      ledger: madeLedger(['success', 'success'], { unmatched: ['m9', 'tag:of_a_selector'] }),
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
    'dbt itself, after its first word: exit code 2 is its own, and not that of somebody who killed it',
    evidence({
      ledger: madeLedger([], { success: undefined }),
      exit: exit(2),
      stderrTail: "Usage: dbt run\nError: No such option '--colour'.",
    }),
    'DbtProjectInvalid',
    /^dbt run could not start: Error: No such option '--colour'\.;/,
  ],
  [
    'killed by a signal, whatever it said',
    evidence({ exit: exit(undefined, 'SIGKILL') }),
    'DbtKilled',
    /^dbt run ended by SIGKILL before it was done\. See whether .* memory\. Log: run\/1\.1\/dbt\.log$/,
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
