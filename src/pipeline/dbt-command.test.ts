// A dbt command as arguments of dbt, as a person would type it, and the options that each command takes.
import { describe, expect, test } from 'vitest'
import { dbt } from '../../tests/fixtures/dbt/evidence.ts'
import {
  commandText,
  commandWords,
  DBT_ACTIVITIES,
  DBT_RULES,
  DBT_VERBS,
  foreignOptions,
  type DbtCommand,
  type DbtOptions,
  type DbtVerb,
} from './dbt-command.ts'

const VALUES: Required<DbtOptions> = {
  selector: 'nightly',
  fullRefresh: true,
  failFast: true,
  threads: 3,
  indirectSelection: 'cautious',
  eventTime: { start: '2026-11-18', end: '2026-11-19' },
  storeFailures: true,
  vars: { region: 'eu', rows: 3 },
  operation: { macro: 'hello', args: { x: 'you' } },
}

describe('words and text of a command', () => {
  test.each<[DbtCommand, string[], string]>([
    [dbt('run'), ['run'], 'dbt run'],
    [dbt('source freshness'), ['source', 'freshness'], 'dbt source freshness'],
    [dbt('docs generate'), ['docs', 'generate'], 'dbt docs generate'],
    [
      dbt('build', { select: ['tag:a,b+', '@m', 'path:models/x'], exclude: ['config.materialized:view', '1+c'] }),
      ['build', '--select', 'tag:a,b+', '@m', 'path:models/x', '--exclude', 'config.materialized:view', '1+c'],
      'dbt build --select tag:a,b+ @m path:models/x --exclude config.materialized:view 1+c',
    ],
    [
      dbt('test', { select: ['my model'] }),
      ['test', '--select', 'my model'],
      // A shell would make two words of it.
      "dbt test --select 'my model'",
    ],
    [
      dbt('run', {
        options: { selector: 'nightly', indirectSelection: 'empty', fullRefresh: true, failFast: true, threads: 3 },
      }),
      [
        'run',
        '--selector',
        'nightly',
        '--indirect-selection',
        'empty',
        '--full-refresh',
        '--fail-fast',
        '--threads',
        '3',
      ],
      'dbt run --selector nightly --indirect-selection empty --full-refresh --fail-fast --threads 3',
    ],
    [
      dbt('build', { options: { storeFailures: true, eventTime: VALUES.eventTime, vars: VALUES.vars } }),
      [
        'build',
        '--event-time-start',
        '2026-11-18',
        '--event-time-end',
        '2026-11-19',
        '--store-failures',
        '--vars',
        '{"region":"eu","rows":3}',
      ],
      'dbt build --event-time-start 2026-11-18 --event-time-end 2026-11-19 --store-failures ' +
        `--vars '{"region":"eu","rows":3}'`,
    ],
    [
      dbt('run-operation', { options: { operation: VALUES.operation } }),
      ['run-operation', 'hello', '--args', '{"x":"you"}'],
      `dbt run-operation hello --args '{"x":"you"}'`,
    ],
    [dbt('run', { options: { fullRefresh: false, failFast: false, storeFailures: false } }), ['run'], 'dbt run'],
  ])('%j', (command, words, text) => {
    expect(commandWords(command)).toEqual(words)
    expect(commandText(command)).toBe(text)
  })
})

describe('options', () => {
  /** As `dbt COMMAND --help` of dbt-core 1.12 has them, by the words on the command line. */
  const TAKEN: Readonly<Record<DbtVerb, string>> = {
    deps: 'vars',
    seed: 'select selector indirectSelection threads failFast vars fullRefresh',
    run: 'select selector indirectSelection threads failFast vars fullRefresh eventTime',
    test: 'select selector indirectSelection threads failFast vars storeFailures',
    build: 'select selector indirectSelection threads failFast vars fullRefresh eventTime storeFailures',
    snapshot: 'select selector indirectSelection threads failFast vars',
    'source freshness': 'select selector indirectSelection threads failFast vars',
    ls: 'select selector indirectSelection vars',
    compile: 'select selector indirectSelection threads failFast vars fullRefresh',
    parse: 'vars threads',
    'docs generate': 'select selector indirectSelection threads failFast vars',
    'run-operation': 'vars operation',
  }

  test.each(DBT_VERBS)('dbt %s: those that it does not take are named, the others are not', (verb) => {
    const all = [...Object.keys(VALUES), 'select']
    const foreign = foreignOptions(dbt(verb, { select: ['m'], options: VALUES }))

    expect(foreign.toSorted()).toEqual(all.filter((name) => !TAKEN[verb].split(' ').includes(name)).toSorted())
  })

  test('exclude alone is a selection, too; what is not used is not foreign', () => {
    expect(foreignOptions(dbt('deps', { exclude: ['m'] }))).toEqual(['select'])
    expect(foreignOptions(dbt('deps'))).toEqual([])
  })
})

test('every command has rules and an activity of its own', () => {
  expect(Object.keys(DBT_RULES).toSorted()).toEqual([...DBT_VERBS].toSorted())
  expect(new Set(Object.values(DBT_ACTIVITIES)).size).toBe(DBT_VERBS.length)
})

test('only what dbt retry knows is resumable, and that works on nodes', () => {
  const resumable = DBT_VERBS.filter((verb) => DBT_RULES[verb].resumable)

  expect(resumable).toEqual(['seed', 'run', 'test', 'build', 'snapshot'])
  expect(resumable.every((verb) => DBT_RULES[verb].evidence === 'nodes')).toBe(true)
})
