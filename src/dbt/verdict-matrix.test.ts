// Every combination of exit code, artifact and event stream, and what is made of it: a success in two cells only.
import { expect, test } from 'vitest'
import { artifactOf, evidence, exit, ledgerOf, madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import { describeFailure } from '../pipeline/failure.ts'
import { emptyLedger, type DbtLedger, type LedgerNode } from './ledger.ts'
import { judge } from './verdict.ts'

const fine = madeNode('model.shop.m0', 'success')
const binder = 'Runtime Error in model m1 (models/m1.sql)\n  Binder Error: Referenced column "x" not found'

/** A command of two nodes, the second one so. */
const SECOND: Readonly<Record<string, LedgerNode>> = {
  good: madeNode('model.shop.m1', 'success'),
  warn: madeNode('test.shop.m1', 'warn'),
  skipped: madeNode('model.shop.m1', 'skipped', { message: '' }),
  error: madeNode('model.shop.m1', 'error', { message: binder }),
  unknown: madeNode('model.shop.m1', 'quarantined'),
}

function nodesOf(artifact: string): LedgerNode[] {
  if (artifact === 'empty') return []
  return [fine, SECOND[artifact] ?? madeNode('model.shop.m1', 'success')]
}

function artifactText(artifact: string): string | undefined {
  const text = artifactOf(
    nodesOf(artifact).map(({ uniqueId, result }) => [uniqueId, result?.status ?? '']),
    artifact === 'stale' ? 'the-invocation-before' : 'abc',
  )
  if (artifact === 'absent') return undefined
  return artifact === 'truncated' ? text.slice(0, text.length / 2) : text
}

function ledgerFor(ledger: string, artifact: string): DbtLedger {
  // No line of dbt's was read.
  if (ledger === 'empty') return emptyLedger()
  // It said that it ran and ended well, and nothing of any node.
  if (ledger === 'no nodes') return ledgerOf([])
  return ledgerOf(nodesOf(artifact), { success: ['skipped', 'error', 'unknown'].every((bad) => bad !== artifact) })
}

const EXITS = { 0: exit(0), 1: exit(1), 2: exit(2), SIGKILL: exit(undefined, 'SIGKILL') }

const TABLE = `
  artifact  | ledger   | 0                   | 1                   | 2                 | SIGKILL
  absent    | agrees   | DbtVerdictDisagrees | DbtVerdictDisagrees | DbtProjectInvalid | DbtKilled
  stale     | agrees   | DbtVerdictDisagrees | DbtVerdictDisagrees | DbtProjectInvalid | DbtKilled
  truncated | agrees   | DbtVerdictDisagrees | DbtVerdictDisagrees | DbtProjectInvalid | DbtKilled
  empty     | agrees   | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  good      | agrees   | SUCCESS             | DbtVerdictDisagrees | DbtProjectInvalid | DbtKilled
  warn      | agrees   | SUCCESS             | DbtVerdictDisagrees | DbtProjectInvalid | DbtKilled
  skipped   | agrees   | DbtUnknown          | DbtUnknown          | DbtUnknown        | DbtKilled
  error     | agrees   | DbtNodesFailed      | DbtNodesFailed      | DbtNodesFailed    | DbtKilled
  unknown   | agrees   | DbtUnknown          | DbtUnknown          | DbtUnknown        | DbtKilled
  absent    | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  stale     | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  truncated | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  good      | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  warn      | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  skipped   | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  error     | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  unknown   | no nodes | DbtNothingSelected  | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  absent    | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  stale     | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  truncated | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  empty     | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  good      | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  warn      | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  skipped   | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  error     | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
  unknown   | empty    | DbtProjectInvalid   | DbtProjectInvalid   | DbtProjectInvalid | DbtKilled
`

const [heads = [], ...rows] = TABLE.trim()
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
const cells = rows.flatMap(([artifact = '', ledger = '', ...outcomes]) =>
  outcomes.map((outcome, column) => ({ code: heads[column + 2] as keyof typeof EXITS, artifact, ledger, outcome })),
)

test.each(cells)('exit $code, artifact $artifact, ledger $ledger: $outcome', ({ code, artifact, ledger, outcome }) => {
  const given = evidence({
    exit: EXITS[code],
    artifact: artifactText(artifact),
    ledger: ledgerFor(ledger, artifact),
  })

  expect(outcomeOf(() => judge(given))).toBe(outcome)
})

test('the table has a cell for everything, and success in two of them', () => {
  expect(cells).toHaveLength(26 * 4)
  expect(cells.filter(({ outcome }) => outcome === 'SUCCESS')).toEqual([
    { code: '0', artifact: 'good', ledger: 'agrees', outcome: 'SUCCESS' },
    { code: '0', artifact: 'warn', ledger: 'agrees', outcome: 'SUCCESS' },
  ])
})

function outcomeOf(act: () => unknown): string {
  try {
    act()
    return 'SUCCESS'
  } catch (error) {
    return describeFailure(error).type
  }
}
