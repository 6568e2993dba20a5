// A pipeline file that is wrong in several ways is answered with all of them, each with its place.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listPipelines, loadPipeline, parsePipeline, problemText } from './load.ts'

const SOUND = `name: daily
dbt: { project_dir: dbt }
params:
  date: { type: date, default: yesterday }
steps:
  - ingest:
      - { into: raw.logs, files: "inbox/logs-{date}.csv" }
  - dbt: { command: run }
schedules:
  nightly: { cron: "0 2 * * *", target: prod, params: { date: yesterday } }
`

/** The sound file with parts replaced; `¦` marks where a problem is expected. */
function written(...changes: readonly (readonly [part: string, instead: string])[]): string {
  return changes.reduce((text, [part, instead]) => {
    expect(text.split(part)).toHaveLength(2)
    return text.replace(part, instead)
  }, SOUND)
}

/** `line:column` of each mark, counted by hand: lines before it, characters since the last line end. */
function places(marked: string): string[] {
  const before = marked.split('¦').slice(0, -1)
  return before.map((_, index) => {
    const lines = before
      .slice(0, index + 1)
      .join('')
      .split('\n')
    return `${lines.length}:${(lines.at(-1) ?? '').length + 1}`
  })
}

function problemsOf(marked: string): string[] {
  const result = parsePipeline(marked.replaceAll('¦', ''), 'daily.yml', 'daily')
  return 'problems' in result ? result.problems.map(problemText) : []
}

const cases: readonly [promise: string, marked: string, ...messages: string[]][] = [
  [
    'an unknown key, with the key that was meant',
    written(['command: run', '¦retrys: 2, command: run']),
    "unknown key 'retrys' (did you mean 'retries'?)",
  ],
  [
    'a missing key, and the one written in its place',
    written(['{ command', '¦{ ¦comand']),
    'steps.1.dbt.command: is missing; one of run, test',
    "unknown key 'comand' (did you mean 'command'?)",
  ],
  [
    'a word that is not of the list, with the one that was meant',
    written(['type: date', 'type: ¦dat']),
    "params.date.type: 'dat' is none of date, string, int (did you mean 'date'?)",
  ],
  [
    'a placeholder without its param',
    written(['"inbox/logs-{date}.csv"', '¦"inbox/logs-{dete}.csv"']),
    "{dete} is not a param of this pipeline (did you mean 'date'?)",
  ],
  ['a key that stands there twice', `${SOUND}¦name: daily\n`, 'Map keys must be unique'],
  [
    'broken YAML',
    written(['{ project_dir: dbt }', '{ project_dir: dbt'], ['params:\n', '¦params:\n']),
    'Flow map in block collection must be sufficiently indented and end with a }',
  ],
  [
    'an alias without its anchor',
    written(['yesterday }\nsteps', '¦*day }\nsteps']),
    'Unresolved alias (the anchor must be set before the alias): day',
  ],
  [
    'two kinds of work in one step',
    written(['- dbt: { command: run }', '- ¦dbt: { command: run }\n    validate: [{ mart: m, key: [id] }]']),
    'steps.1: expected exactly one of ingest, dbt, validate',
  ],
  [
    'a step without work',
    written(['- dbt: { command: run }', '- ¦name: nothing']),
    'steps.1: expected exactly one of ingest, dbt, validate',
  ],
  [
    "a name that is not the file's",
    written(['name: daily', 'name: ¦dayly']),
    "name 'dayly' must be the file's own, 'daily'",
  ],
  [
    'a name that no workflow can have',
    written(['name: daily', 'name: ¦Daily']),
    'name: expected lower-case letters, digits and dashes, starting with a letter',
  ],
  [
    'a default that is no day',
    written(['yesterday }\nsteps', '¦2026-02-30 }\nsteps']),
    "'2026-02-30' is not yesterday, today or YYYY-MM-DD",
  ],
  [
    'a default that is no number',
    written(['params:\n', 'params:\n  hour: { type: int, default: ¦noon }\n']),
    "'noon' is not a whole number",
  ],
  [
    'a default that is a list',
    written(['params:\n', 'params:\n  hour: { type: int, default: ¦[1] }\n']),
    'params.hour.default: expected a text or a whole number',
  ],
  [
    "a schedule's param that does not exist, and one that is no day",
    written(['{ date: yesterday }', '{ dat: ¦today, date: ¦monday }']),
    "'dat' is not a param of this pipeline (did you mean 'date'?)",
    "'monday' is not a date",
  ],
  [
    'a column that stands there twice',
    written(['into: raw.logs', 'into: raw.logs, columns: [{ name: id, type: int }, { name: ¦id, type: date }]']),
    "column 'id' stands there twice",
  ],
  [
    'a table without its schema, a duration without its unit, a cron of four fields',
    written(['raw.logs', '¦logs'], ['schedules:', 'timeout: ¦15 min\nschedules:'], ['"0 2 * * *"', '¦"0 2 * *"']),
    'steps.0.ingest.0.into: expected schema.table in lower-case letters, digits and _',
    'timeout: expected a duration such as 30s, 10m, 6h or 1d',
    'schedules.nightly.cron: expected a cron expression of five fields',
  ],
  ['a file that is no map', '¦- daily\n', 'the file: invalid input: expected object, received array'],
  ['an empty file', '¦', 'the file: invalid input: expected object, received null'],
]

test.each(cases)('names, with its place: %s', (_promise, marked, ...messages) => {
  const expected = places(marked).map((place, index) => `daily.yml:${place}: ${messages[index] ?? ''}`)

  expect(problemsOf(marked)).toEqual(expected)
})

test('a mistake of form does not hide one of meaning: both are named at once, in the order of the file', () => {
  const marked = written(['name: daily', 'name: ¦dayly'], ['"inbox/logs-{date}', '¦"inbox/logs-{dte}'], ['run', '¦rn'])

  expect(problemsOf(marked).map((text) => text.split(':').slice(1, 3).join(':'))).toEqual(places(marked))
})

test('too many aliases are refused, not unfolded', () => {
  const nine = (name: string) => `[${Array(9).fill(name).join(', ')}]`
  const bomb = `a: &a ${nine('x')}\nb: &b ${nine('*a')}\nc: &c ${nine('*b')}\nd: ${nine('*c')}\n`

  expect(problemsOf(bomb)).toEqual([expect.stringContaining('Excessive alias count')])
})

test.each(['lease', 'alert'])("'%s' is the name of a workflow of Millrace, not of a pipeline", (name) => {
  const result = parsePipeline(written(['name: daily', `name: ${name}`]), `${name}.yml`, name)

  expect(result).toMatchObject({ problems: [{ line: 1, column: 7, message: expect.stringContaining(name) }] })
})

describe('in a folder', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-load-'))
    await writeFile(path.join(folder, 'daily.yml'), SOUND)
    await writeFile(path.join(folder, 'hourly.yaml'), written(['name: daily', 'name: hourly'], ['run', 'runn']))
    await writeFile(path.join(folder, 'notes.md'), '')
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('pipelines are the YAML files, by name', async () => {
    expect(await listPipelines(folder)).toEqual(['daily', 'hourly'])
    expect(await listPipelines(path.join(folder, 'missing'))).toEqual([])
  })

  test('what is left out gets its default', async () => {
    const { steps, timeout, description } = await loadPipeline(folder, 'daily')

    expect({ timeout, description }).toEqual({ timeout: '1h', description: '' })
    expect(steps[0]).toMatchObject({ on_failure: 'fail', ingest: [{ mode: 'replace', rejects: { max_share: 0 } }] })
    expect(steps[1]?.dbt).toEqual({ command: 'run', retries: 0, retry_delay: '30s', timeout: '30m' })
  })

  test('a pipeline that does not exist is refused with the one that was meant', async () => {
    await expect(loadPipeline(folder, 'dialy')).rejects.toMatchObject({
      type: 'PipelineUnknown',
      message: "there is no pipeline 'dialy' (did you mean 'daily'?); known: daily, hourly",
    })
  })

  test('a wrong file fails as PipelineInvalid, with its place', async () => {
    await expect(loadPipeline(folder, 'hourly')).rejects.toMatchObject({
      type: 'PipelineInvalid',
      message: expect.stringMatching(
        /hourly\.yaml:8:21: steps\.1\.dbt\.command: 'runn' is none of run, test \(did you/,
      ),
    })
  })
})
