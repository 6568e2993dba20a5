// A dbt step that cannot work is refused before it runs, with its place; one that can is the command that was meant.
import { describe, expect, test } from 'vitest'
import { places, problemsOf } from '../../tests/support/problems.ts'
import { dbtCommandOf, dbtStep } from './dbt-step.ts'

/** A sound pipeline but for the keys of its dbt step; `¦` marks where a problem is expected. */
const step = (keys: string) => `name: daily
dbt: { project_dir: dbt }
params:
  date: { type: date, default: yesterday }
steps:
  - dbt: { ${keys} }
`

test.each<[string, string, ...string[]]>([
  [
    'an option that the command does not take',
    'command: test, full_refresh: ¦true',
    'steps.0.dbt.full_refresh: dbt test does not take it',
  ],
  [
    'several of them, all at once',
    'command: deps, select: ¦[a], fail_fast: ¦true, threads: ¦2',
    'steps.0.dbt.select: dbt deps does not take it',
    'steps.0.dbt.fail_fast: dbt deps does not take it',
    'steps.0.dbt.threads: dbt deps does not take it',
  ],
  [
    'a window for what has no microbatch models',
    'command: seed, event_time: ¦{ start: "{date}", end: "{date}" }',
    'steps.0.dbt.event_time: dbt seed does not take it',
  ],
  ['a macro beside another command', 'command: run, macro: ¦hello', 'steps.0.dbt.macro: dbt run does not take it'],
  ['run-operation without a macro', 'command: ¦run-operation', 'steps.0.dbt.command: run-operation needs a `macro`'],
  ['arguments without a macro', 'command: run, args: ¦{ x: 1 }', 'steps.0.dbt.args: needs a `macro`'],
  [
    'a macro that is no name',
    'command: run-operation, macro: ¦"x; y"',
    'steps.0.dbt.macro: invalid string: must match pattern /^[\\w.]+$/',
  ],
  [
    'an option among the selectors',
    'command: run, select: [a, ¦"--exclude"]',
    'steps.0.dbt.select.1: expected a dbt selector; options such as --exclude have keys of their own',
  ],
  [
    'an option among what is excluded',
    'command: run, exclude: [¦"-s"]',
    'steps.0.dbt.exclude.0: expected a dbt selector; options such as --exclude have keys of their own',
  ],
  [
    'a selector beside select, which dbt passes over',
    'command: run, select: [a], selector: ¦nightly',
    'steps.0.dbt.selector: dbt ignores select and exclude beside it; write one of them',
  ],
  [
    'a selector beside exclude',
    'command: run, exclude: [a], selector: ¦nightly',
    'steps.0.dbt.selector: dbt ignores select and exclude beside it; write one of them',
  ],
  [
    'a placeholder without its param, in a var and in a window',
    'command: run, vars: { day: ¦"{dete}" }, event_time: { start: "{date}", end: ¦"{dat}" }',
    "{dete} is not a param of this pipeline (did you mean 'date'?)",
    "{dat} is not a param of this pipeline (did you mean 'date'?)",
  ],
  [
    'a command that dbt has and Millrace does not run, with the nearest one',
    'command: ¦freshness',
    "steps.0.dbt.command: 'freshness' is none of deps, seed, run, test, build, snapshot, source freshness, ls, " +
      'compile, parse, docs generate, run-operation',
  ],
  [
    'a way of indirect selection that there is not, with the one that was meant',
    'command: test, indirect_selection: ¦cautius',
    "steps.0.dbt.indirect_selection: 'cautius' is none of eager, cautious, buildable, empty (did you mean 'cautious'?)",
  ],
  [
    'an unknown key, with the key that was meant',
    'command: run, ¦fullrefresh: true',
    "unknown key 'fullrefresh' (did you mean 'full_refresh'?)",
  ],
])('refused, with its place: %s', (_promise, keys, ...messages) => {
  const marked = step(keys)

  expect(problemsOf(marked)).toEqual(
    places(marked).map((place, index) => `daily.yml:${place}: ${messages[index] ?? ''}`),
  )
})

describe('a sound step', () => {
  const parsed = (keys: object) => dbtStep.parse({ command: 'run', ...keys })

  test('means a command without options where it says nothing more', () => {
    expect(dbtCommandOf(parsed({}))).toEqual({ command: 'run', select: [], exclude: [], options: {} })
  })

  test('has its options, with params in the texts that may hold them and nowhere else', () => {
    const step = parsed({
      command: 'build',
      select: ['tag:{date}'],
      exclude: ['b'],
      indirect_selection: 'cautious',
      full_refresh: true,
      fail_fast: true,
      store_failures: true,
      threads: 4,
      event_time: { start: '{date}', end: '{date}T12:00' },
      vars: { day: '{date}', rows: 3, dry: false },
    })

    expect(dbtCommandOf(step, (text) => text.replace('{date}', '2026-11-18'))).toEqual({
      command: 'build',
      select: ['tag:{date}'],
      exclude: ['b'],
      options: {
        indirectSelection: 'cautious',
        fullRefresh: true,
        failFast: true,
        storeFailures: true,
        threads: 4,
        eventTime: { start: '2026-11-18', end: '2026-11-18T12:00' },
        vars: { day: '2026-11-18', rows: 3, dry: false },
      },
    })
  })

  test.each([{ args: { x: 1 } }, {}])('of run-operation has its macro and arguments: %j', (keys) => {
    const step = parsed({ command: 'run-operation', macro: 'ops.hello', ...keys })

    expect(dbtCommandOf(step).options).toEqual({ operation: { macro: 'ops.hello', args: keys.args ?? {} } })
  })

  test('with a selector has it', () => {
    expect(dbtCommandOf(parsed({ selector: 'nightly' })).options).toEqual({ selector: 'nightly' })
  })
})
