// A dbt command is believed only where exit code, artifact and event stream agree and something ran.
import { describe, expect, test } from 'vitest'
import {
  artifactOf,
  dbt,
  evidence,
  exit,
  ledgerOf,
  madeArtifact,
  madeLedger,
  madeNode,
  recorded,
} from '../../tests/fixtures/dbt/evidence.ts'
import type { DbtEvidence } from './command.ts'
import { judge, makeReport, ON_ITS_OWN, reportTakenOver, type Standing } from './verdict.ts'

describe('believed', () => {
  test('a command whose traces agree', () => {
    expect(judge(evidence())).toMatchObject({ command: 'run', invocationId: 'abc', counts: { success: 2 }, total: 2 })
  })

  test('a real run with hooks, an ephemeral model and an --exclude that matches nothing', () => {
    const report = judge(recorded('good-run', 0, dbt('run', { exclude: ['tag:none'] })))

    expect(report.counts).toEqual({ success: 2 })
    expect(report.nodes.map(({ name }) => name).toSorted()).toEqual(['orders', 'summary'])
  })

  test('a real seed, with its rows', () => {
    expect(judge(recorded('seed', 0, dbt('seed'))).nodes).toMatchObject([{ name: 's1', rows: 1, resourceType: 'seed' }])
  })

  test('an attempt that finds nothing left to do, where all of it was done before', () => {
    const done = [madeNode('model.shop.m0', 'success')]
    const idle = evidence({ ledger: ledgerOf([]), artifact: artifactOf([]) })

    expect(judge(idle, { ...ON_ITS_OWN, done })).toMatchObject({ total: 1, takenOver: 1 })
    expect(() => judge(idle)).toThrow(expect.objectContaining({ type: 'DbtNothingSelected' }))
  })

  test.each(['warn', 'pass', 'no-op', 'reused'])('the state %s', (state) => {
    const states = ['success', state]

    const report = judge(evidence({ ledger: madeLedger(states), artifact: madeArtifact(states) }))

    expect(report.counts).toEqual({ success: 1, [state]: 1 })
  })
})

describe('the report', () => {
  test('has what warned first, at most 30, then the slowest, at most 10', () => {
    const few = Array.from({ length: 50 }, (_, index) => (index === 3 ? 'warn' : 'pass'))
    const many = Array.from({ length: 80 }, (_, index) => (index < 45 ? 'warn' : 'pass'))
    const reported = (states: string[]) =>
      judge(evidence({ ledger: madeLedger(states), artifact: madeArtifact(states) }))

    expect(reported(few).nodes.map(({ name }) => name)).toEqual([
      'm3',
      ...Array.from({ length: 10 }, (_, index) => `m${49 - index}`),
    ])
    expect(reported(few).total).toBe(50)
    expect(reported(many).nodes.map(({ status }) => status)).toEqual([
      ...Array(30).fill('warn'),
      ...Array(10).fill('pass'),
    ])
  })

  test('has what failed before what was skipped before what warned, each with its words and class', () => {
    const { nodes } = makeReport(recorded('failing-build', 1, dbt('build')), ON_ITS_OWN)

    expect(nodes.slice(0, 4).map(({ name, status, failureClass }) => [name, status, failureClass])).toEqual([
      ['mb', 'partial success', 'database'],
      ['bad', 'error', 'database'],
      ['after_bad', 'skipped', null],
      ['accepted_values_m2_x__2', 'warn', null],
    ])
    expect(nodes.at(3)).toMatchObject({
      message: 'Got 1 result, configured to warn if != 0',
      failuresTable: '"w"."main_dbt_test__audit"."accepted_values_m2_x__2"',
    })
    expect(nodes.find(({ name }) => name === 'sn')).toMatchObject({ message: null, failureClass: null })
  })

  test('counts what was done before, with what this attempt did, each once', () => {
    const done = [madeNode('model.shop.m9', 'success'), madeNode('model.shop.m0', 'success')]

    const report = judge(evidence(), { ...ON_ITS_OWN, done })

    expect(report).toMatchObject({ counts: { success: 3 }, total: 3, takenOver: 1 })
  })

  test('of a command that dbt was not started for has all of it from before', () => {
    expect(reportTakenOver('run', [madeNode('model.shop.m0', 'success')])).toMatchObject({
      command: 'run',
      invocationId: '',
      counts: { success: 1 },
      total: 1,
      takenOver: 1,
      marts: null,
    })
  })

  test('has what was billed and estimated, and the dearest nodes beside the slowest', () => {
    // The later the slower; the first ones read most.
    const nodes = Array.from({ length: 20 }, (_, index) =>
      madeNode(`model.shop.m${index}`, 'success', { durationMs: index, bytesBilled: index < 9 ? 900 - index : 0 }),
    )
    const estimate = { bytes: new Map([['model.shop.m0', 850]]), unknown: ['model.shop.m1', 'model.shop.m2'] }
    const report = makeReport(evidence({ ledger: ledgerOf(nodes) }), { ...ON_ITS_OWN, estimate })

    expect(report).toMatchObject({ bytesBilled: 900 * 9 - 36, bytesEstimated: 850, notEstimated: 2 })
    expect(report.nodes.slice(10).map(({ name, bytesBilled }) => [name, bytesBilled])).toEqual([
      ['m0', 900],
      ['m1', 899],
      ['m2', 898],
      ['m3', 897],
      ['m4', 896],
    ])
    expect(report.nodes.slice(9, 12).map(({ bytesEstimated }) => bytesEstimated)).toEqual([null, 850, null])
    expect(makeReport(evidence(), ON_ITS_OWN)).toMatchObject({
      bytesBilled: null,
      bytesEstimated: null,
      notEstimated: 0,
    })
  })

  test('speaks of marts only where a node did not go well', () => {
    const marts = { unbroken: ['a'], broken: [] }
    const standing: Standing = { ...ON_ITS_OWN, martsAfter: () => marts }

    expect(judge(evidence(), standing).marts).toBeNull()
    expect(makeReport(evidence({ ledger: madeLedger(['error']) }), standing).marts).toEqual(marts)
  })

  test('has a node that did not end, as unfinished', () => {
    const { nodes, counts } = makeReport(evidence({ ledger: madeLedger([undefined, 'success']) }), ON_ITS_OWN)

    expect(counts).toEqual({ success: 1 })
    expect(nodes[0]).toMatchObject({ name: 'm0', status: 'unfinished', failureClass: 'killed' })
  })
})

describe('not believed, although every node went well:', () => {
  const hook = '"results":[{"unique_id":"operation.h","status":"error"},'
  const disagree = 'run_results.json and the event stream disagree about'

  test.each<[string, Partial<DbtEvidence>, string]>([
    ['no artifact', { artifact: undefined }, 'it wrote no run_results.json'],
    ['a truncated artifact', { artifact: evidence().artifact?.slice(0, -9) }, 'its run_results.json cannot be read'],
    ['an artifact of another form', { artifact: '{}' }, 'its run_results.json cannot be read'],
    [
      "another invocation's artifact",
      { artifact: madeArtifact(['success', 'success'], 'xyz') },
      'run_results.json is of another invocation',
    ],
    ['another state', { artifact: madeArtifact(['success', 'error']) }, `${disagree} model.shop.m1`],
    ['a node less', { artifact: madeArtifact(['success']) }, `${disagree} model.shop.m1`],
    ['a node more', { artifact: madeArtifact(['success', 'success', 'success']) }, `${disagree} model.shop.m2`],
    ['a failing hook', { artifact: evidence().artifact?.replace('"results":[', hook) }, `${disagree} operation.h`],
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
        message: `dbt run cannot be trusted: ${reason}; log: run/1.1/dbt.log`,
      }),
    )
  })

  test('a node that it had to do and never came to', () => {
    const todo = ['model.shop.m0', 'model.shop.m1', 'model.shop.m2']

    expect(() => judge(evidence(), { ...ON_ITS_OWN, todo })).toThrow('it never came to model.shop.m2')
    expect(() => judge(evidence(), { ...ON_ITS_OWN, todo: todo.slice(0, 2) })).not.toThrow()
  })

  test('sources.json without a source that was looked at', () => {
    const ledger = ledgerOf([madeNode('source.shop.a', 'pass'), madeNode('source.shop.b', 'pass')])
    const sources = artifactOf([['source.shop.a', 'pass']])

    expect(() => judge(evidence({ command: dbt('source freshness'), ledger, artifact: sources }))).toThrow(
      'sources.json and the event stream disagree about source.shop.b',
    )
  })
})
