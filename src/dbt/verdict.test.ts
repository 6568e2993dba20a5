// A dbt command is believed only where exit code, artifact and event stream agree and something ran.
import { describe, expect, test } from 'vitest'
import { evidence, exit, madeArtifact, madeLedger, recorded } from '../../tests/fixtures/dbt/evidence.ts'
import { judge, judgeParse, nodeReports, type DbtEvidence } from './verdict.ts'

describe('believed', () => {
  test('a command whose traces agree', () => {
    expect(judge(evidence())).toMatchObject({ command: 'run', invocationId: 'abc', counts: { success: 2 }, total: 2 })
  })

  test('a real run with hooks, an ephemeral model and an --exclude that matches nothing', () => {
    const report = judge(recorded('good-run', 0))

    expect(report.counts).toEqual({ success: 2 })
    expect(report.nodes.map(({ name }) => name).toSorted()).toEqual(['orders', 'summary'])
  })

  test.each(['warn', 'pass', 'no-op', 'reused'])('the state %s', (state) => {
    const states = ['success', state]

    const report = judge(evidence({ ledger: madeLedger(states), runResults: madeArtifact(states) }))

    expect(report.counts).toEqual({ success: 1, [state]: 1 })
  })

  test('the report has what warned first, then the slowest, at most 40; the folder has all', () => {
    const states = Array.from({ length: 50 }, (_, index) => (index === 3 ? 'warn' : 'pass'))
    const many = evidence({ ledger: madeLedger(states), runResults: madeArtifact(states) })

    const { nodes, total } = judge(many)

    expect(nodes.slice(0, 3).map(({ name }) => name)).toEqual(['m3', 'm49', 'm48'])
    expect([nodes.length, total, nodeReports(many.ledger).length]).toEqual([40, 50, 50])
  })

  test('a parse that exits 0 and says so; it has no nodes and no artifact', () => {
    const parse = evidence({ commandText: 'dbt parse', ledger: madeLedger([]), runResults: undefined })

    expect(() => judgeParse(parse)).not.toThrow()
    expect(() => judgeParse({ ...parse, exit: exit(2) })).toThrow(
      expect.objectContaining({ type: 'DbtProjectInvalid' }),
    )
  })
})

describe('not believed, although every node went well:', () => {
  const hook = '"results":[{"unique_id":"operation.h","status":"error"},'
  const disagree = 'run_results.json and the event stream disagree about'

  test.each<[string, Partial<DbtEvidence>, string]>([
    ['no artifact', { runResults: undefined }, 'it wrote no run_results.json'],
    [
      'a truncated artifact',
      { runResults: evidence().runResults?.slice(0, -9) },
      'its run_results.json cannot be read',
    ],
    ['an artifact of another form', { runResults: '{}' }, 'its run_results.json cannot be read'],
    [
      "another invocation's artifact",
      { runResults: madeArtifact(['success', 'success'], 'xyz') },
      'run_results.json is of another invocation',
    ],
    ['another state', { runResults: madeArtifact(['success', 'error']) }, `${disagree} model.shop.m1`],
    ['a node less', { runResults: madeArtifact(['success']) }, `${disagree} model.shop.m1`],
    ['a node more', { runResults: madeArtifact(['success', 'success', 'success']) }, `${disagree} model.shop.m2`],
    ['a failing hook', { runResults: evidence().runResults?.replace('"results":[', hook) }, `${disagree} operation.h`],
    [
      'dbt says that it failed',
      { ledger: madeLedger(['success', 'success'], { success: false }) },
      'it exits 0 but says that the command failed',
    ],
    ['another exit code', { exit: exit(1) }, 'no node failed, but its exit code is 1'],
  ])('%s', (_what, part, reason) => {
    expect(() => judge(evidence(part))).toThrow(
      expect.objectContaining({
        type: 'DbtVerdictDisagrees',
        message: `dbt run cannot be trusted: ${reason}; log: dbt.log`,
      }),
    )
  })
})
