// The verdict of commands that have no nodes, or other ones than models: recorded from dbt 1.12.6.
import { describe, expect, test } from 'vitest'
import { artifactOf, dbt, evidence, exit, madeLedger, recorded } from '../../tests/fixtures/dbt/evidence.ts'
import type { DbtEvidence } from './command.ts'
import { judge } from './verdict.ts'

describe.each(['deps', 'parse', 'ls'] as const)('dbt %s', (verb) => {
  const good = recorded(verb, 0, dbt(verb))

  test('succeeds with exit code 0 and its own word, without an artifact', () => {
    expect(good.artifact).toBeUndefined()
    expect(judge(good)).toMatchObject({ command: verb, counts: {}, total: 0, nodes: [] })
  })

  test.each<[string, Partial<DbtEvidence>, string]>([
    ['exit code 1', { exit: exit(1) }, 'DbtProjectInvalid'],
    ['exit code 2', { exit: exit(2) }, 'DbtProjectInvalid'],
    ['an end by a signal', { exit: exit(undefined, 'SIGTERM') }, 'DbtKilled'],
    ['its word that it failed', { ledger: { ...good.ledger, success: false } }, 'DbtVerdictDisagrees'],
    ['no word of its end', { ledger: { ...good.ledger, success: undefined } }, 'DbtKilled'],
    ['an error', { ledger: { ...good.ledger, errors: ['Parsing Error\n  x'] } }, 'DbtProjectInvalid'],
    ['a selection that matches nothing', { ledger: { ...good.ledger, nothingSelected: true } }, 'DbtNothingSelected'],
  ])('fails with %s', (_what, part, type) => {
    expect(() => judge({ ...good, ...part })).toThrow(expect.objectContaining({ type }))
  })
})

test('dbt deps that does not find a package fails with what dbt says of it', () => {
  expect(() => judge(recorded('failing-deps', 2, dbt('deps')))).toThrow(
    expect.objectContaining({
      type: 'DbtProjectInvalid',
      message: expect.stringContaining('dbt deps could not start: Runtime Error No dbt_project.yml found at expected'),
    }),
  )
})

describe('dbt run-operation', () => {
  const command = dbt('run-operation', { options: { operation: { macro: 'hello', args: { x: 'you' } } } })

  test('succeeds where its artifact says that the macro did', () => {
    expect(judge(recorded('operation', 0, command))).toMatchObject({ command: 'run-operation', counts: {}, total: 0 })
  })

  test.each<[string, string | undefined, string]>([
    ['no artifact', undefined, 'it wrote no run_results.json'],
    ['an empty one', artifactOf([]), 'run_results.json does not say that the operation succeeded'],
    ['another state', artifactOf([['macro.shop.hello', 'error']]), 'does not say that the operation succeeded'],
    ["another invocation's", artifactOf([['macro.shop.hello', 'success']], 'xyz'), 'is of another invocation'],
  ])('is not believed with %s', (_what, artifact, reason) => {
    const { ledger } = recorded('operation', 0, command)

    expect(() => judge(evidence({ command, ledger: { ...ledger, invocationId: 'abc' }, artifact }))).toThrow(
      expect.objectContaining({ type: 'DbtVerdictDisagrees', message: expect.stringContaining(reason) }),
    )
  })

  test('that fails in the warehouse fails with the words of the warehouse', () => {
    expect(() => judge(recorded('failing-operation', 1, command))).toThrow(
      expect.objectContaining({
        type: 'DbtNodesFailed',
        message: expect.stringContaining("Conversion Error: Could not convert string '1a' to INT32"),
      }),
    )
  })

  test('that fails for a passing reason may be tried again', () => {
    const { ledger } = recorded('failing-operation', 1, command)
    const refused = { ...ledger, errors: ['Runtime Error\n  connection refused'] }

    expect(() => judge(evidence({ command, exit: exit(1), ledger: refused, artifact: undefined }))).toThrow(
      expect.objectContaining({ type: 'DbtTransient' }),
    )
  })

  test('of a macro that does not exist is a mistake in the pipeline or the project', () => {
    expect(() => judge(recorded('missing-operation', 2, command))).toThrow(
      expect.objectContaining({
        type: 'DbtProjectInvalid',
        message: expect.stringContaining("dbt could not find a macro with the name 'nope' in any package"),
      }),
    )
  })
})

describe('dbt source freshness', () => {
  const command = dbt('source freshness', { select: ['source:feed'] })

  test('with a source that should be newer succeeds with a warning', () => {
    expect(judge(recorded('freshness-warn', 0, command))).toMatchObject({
      command: 'source freshness',
      counts: { pass: 1, warn: 1 },
      total: 2,
      nodes: [{ name: 'older', status: 'warn', resourceType: 'source' }, { name: 'fresh' }],
    })
  })

  test('with a stale source is a verdict on the data', () => {
    const given = recorded('freshness-stale', 1, command)
    given.ledger.nodes.delete('source.shop.feed.broken')

    expect(() => judge(given)).toThrow(
      expect.objectContaining({
        type: 'DbtTestsFailed',
        message: expect.stringMatching(/: 1 node failed\. .*\n {2}source stale \(data\): error\n/),
      }),
    )
  })

  test('with a query that failed beside it fails of that; sources.json says nothing of it', () => {
    const given = recorded('freshness-stale', 1, command)

    expect(given.artifact).not.toContain('source.shop.feed.broken')
    expect(() => judge(given)).toThrow(
      expect.objectContaining({
        type: 'DbtNodesFailed',
        message: expect.stringMatching(/source broken \(database\): .*Binder Error/),
      }),
    )
  })

  test('reads sources.json, not run_results.json', () => {
    const given = recorded('freshness-warn', 0, command)

    expect(() => judge({ ...given, artifact: undefined })).toThrow('it wrote no sources.json')
    expect(() => judge({ ...given, artifact: given.artifact?.replace('"warn"', '"pass"') })).toThrow(
      'sources.json and the event stream disagree about source.shop.feed.older',
    )
  })

  test('that looks at no source is no success', () => {
    expect(() => judge(evidence({ command, ledger: madeLedger([]), artifact: artifactOf([]) }))).toThrow(
      expect.objectContaining({ type: 'DbtNothingSelected' }),
    )
  })
})
