// A pipeline file that is wrong in several ways is answered with all of them, each with its place.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { places, problemsOf } from '../../tests/support/problems.ts'
import { dialectOf } from './definition.ts'
import { DEFAULT_DIALECT } from './dialect.ts'
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

/** The sound file with more keys of its ingest entry. */
function entry(keys: string): string {
  return written(['into: raw.logs', `into: raw.logs, ${keys}`])
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
    'steps.1.dbt.command: is missing; one of deps, seed, run, test, build, snapshot, source freshness, ls, compile, parse, docs generate, run-operation',
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
    'steps.1: expected exactly one of ingest, dbt, validate, publish, warm',
  ],
  [
    'a step without work',
    written(['- dbt: { command: run }', '- ¦name: nothing']),
    'steps.1: expected exactly one of ingest, dbt, validate, publish, warm',
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
    'the same in a list beside `match`',
    entry('columns: { match: evolve, list: [{ name: id }, { name: ¦id }] }'),
    "column 'id' stands there twice",
  ],
  [
    'an unknown key of a column, with the key that was meant',
    entry('columns: [{ name: id, ¦typ: int }]'),
    "unknown key 'typ' (did you mean 'type'?)",
  ],
  [
    'columns that are no columns',
    entry('columns: ¦[id, note]'),
    'steps.0.ingest.0.columns: expected a list of columns such as { name: id, type: int }, one of strict, ignore_extra, evolve, or { match: …, list: … }',
  ],
  [
    'a header that can be no name of a column, and a new name that is none either',
    entry('columns: [{ name: ¦"Kunde Nr." }, { name: "Kunde Nr. 2", rename: ¦KundeNr }]'),
    'steps.0.ingest.0.columns.0.name: expected lower-case letters, digits and _, or a `rename` of that kind beside it',
    'steps.0.ingest.0.columns.1.rename: expected a name of lower-case letters, digits and _',
  ],
  ['upsert without a key', entry('mode: ¦upsert'), 'steps.0.ingest.0.mode: upsert needs a `key`'],
  [
    'a rule for duplicates without a key',
    entry('duplicates: ¦keep_last'),
    'steps.0.ingest.0.duplicates: needs a `key`',
  ],
  [
    'a rule for duplicates beside upsert, which has its own',
    entry('mode: upsert, key: [id], duplicates: ¦keep_first'),
    'steps.0.ingest.0.duplicates: upsert always keeps the newest record of a key; leave it out',
  ],
  [
    'newest_by where nothing asks for it',
    entry('key: [id], duplicates: keep_first, newest_by: ¦at'),
    'steps.0.ingest.0.newest_by: only `mode: upsert` and `duplicates: keep_last` look at it; leave it out',
  ],
  [
    'a mode that there is not, with the one that was meant',
    entry('mode: ¦apend'),
    "steps.0.ingest.0.mode: 'apend' is none of replace, append, upsert, snapshot (did you mean 'append'?)",
  ],
  ...['Europe/Pariss', 'CEST', '"+02:00"'].map((zone): [string, string, string] => [
    `a time zone that is none: ${zone}`,
    entry(`time_zone: ¦${zone}`),
    'steps.0.ingest.0.time_zone: expected a time zone such as UTC or Europe/Paris',
  ]),
  [
    'a placeholder without its param, in an added column',
    entry('add: { day: "{date}", dept: ¦"{dete}" }'),
    "{dete} is not a param of this pipeline (did you mean 'date'?)",
  ],
  [
    'an added column that is a list',
    entry('add: { dept: ¦[a] }'),
    'steps.0.ingest.0.add.dept: expected a text, a number, true or false',
  ],
  [
    'an unknown key of a rule, with the key that was meant',
    entry('rules: { id: { ¦not_nul: true } }'),
    "unknown key 'not_nul' (did you mean 'not_null'?)",
  ],
  ...(
    [
      ['delimiter: ¦a', 'delimiter: cannot be a letter or digit'],
      ['delimiter: ¦"§"', 'delimiter: must be one printable ASCII character or a tab'],
      ['delimiter: ¦";;"', 'delimiter: must be one printable ASCII character or a tab'],
      ['quote: ¦","', 'quote: must differ from the delimiter'],
      [
        'delimiter: "\\\\", escape: ¦backslash',
        'escape: a backslash that escapes cannot be the delimiter or the quote, too',
      ],
      ['comment: ¦"# ü"', 'comment: must be printable ASCII characters'],
      ['comment: ¦",,"', 'comment: cannot begin with the delimiter or the quote'],
      ['decimal: ¦",", quote: false', 'decimal: cannot be a comma like the delimiter where nothing is quoted'],
      ['null: ¦["-", "a,b"]', 'null: "a,b" holds a delimiter, quote or line end, so no field can be it'],
      ['max_field: 9, max_record: ¦8', 'max_record: cannot be less than max_field'],
    ] as const
  ).map(([dialect, message]): [string, string, string] => [
    `a dialect that cannot be: ${dialect}`,
    entry(`dialect: { ${dialect} }`),
    `steps.0.ingest.0.dialect.${message}`,
  ]),
  ...(
    [
      ['quote: ¦true', 'dialect.quote: expected one character, or false'],
      [
        'encoding: ¦utf8',
        "dialect.encoding: 'utf8' is none of utf-8, latin1, windows-1252, utf-16 (did you mean 'utf-8'?)",
      ],
      ['line_end: ¦crlf', "dialect.line_end: 'crlf' is none of lf, cr (did you mean 'lf'?)"],
      ['null: ¦NULL', 'dialect.null: expected a text or a list of texts; the word NULL needs quotes, too'],
    ] as const
  ).map(([dialect, message]): [string, string, string] => [
    `a dialect's key with a value that it cannot have: ${dialect}`,
    entry(`dialect: { ${dialect} }`),
    `steps.0.ingest.0.${message}`,
  ]),
  [
    "a dialect's key that there is not, with the one that was meant",
    entry('dialect: { ¦delimeter: ";" }'),
    "unknown key 'delimeter' (did you mean 'delimiter'?)",
  ],
  [
    'a table without its schema, a duration without its unit, a cron of four fields',
    written(['raw.logs', '¦logs'], ['schedules:', 'timeout: ¦15 min\nschedules:'], ['"0 2 * * *"', '¦"0 2 * *"']),
    'steps.0.ingest.0.into: expected schema.table in lower-case letters, digits and _',
    'timeout: expected a duration such as 30s, 10m, 6h or 1d',
    'schedules.nightly.cron: expected a cron expression of five fields: minute, hour, day of the month, month, day of the week',
  ],
  ['a file that is no map', '¦- daily\n', 'the file: invalid input: expected object, received array'],
  ['an empty file', '¦', 'the file: invalid input: expected object, received null'],
]

test.each(cases)('names, with its place: %s', (_promise, marked, ...messages) => {
  const expected = places(marked).map((place, index) => `daily.yml:${place}: ${messages[index] ?? ''}`)

  expect(problemsOf(marked)).toEqual(expected)
})

describe('an ingest entry may say', () => {
  function ingestOf(keys: string) {
    const result = parsePipeline(entry(keys), 'daily.yml', 'daily')
    if ('problems' in result) throw new Error(result.problems.map(problemText).join('\n'))
    return result.definition.steps[0]?.ingest?.[0]
  }

  test.each<[string, unknown]>([
    ['columns: ignore_extra', { columns: 'ignore_extra' }],
    [
      'columns: [{ name: id, type: int }, { name: "Kunde Nr.", rename: kunde_nr, optional: true }]',
      {
        columns: [
          { name: 'id', type: 'int', optional: false },
          { name: 'Kunde Nr.', rename: 'kunde_nr', type: 'string', optional: true },
        ],
      },
    ],
    [
      'columns: { match: evolve, list: [{ name: id }] }',
      { columns: { match: 'evolve', list: [{ name: 'id', type: 'string', optional: false }] } },
    ],
    ['columns: { list: [{ name: id }] }', { columns: { match: 'strict' } }],
    ['mode: upsert, key: [id], newest_by: at', { mode: 'upsert', key: ['id'], newest_by: 'at', duplicates: 'reject' }],
    ['key: [id], duplicates: keep_last, newest_by: at', { duplicates: 'keep_last', newest_by: 'at' }],
    ['time_zone: Europe/Paris', { time_zone: 'Europe/Paris' }],
    ['add: { dept: "{date}", at: $loaded_at, version: 2 }', { add: { dept: '{date}', at: '$loaded_at', version: 2 } }],
    ['rules: { id: { not_null: true, min: 1 } }', { rules: { id: { not_null: true, min: 1 } } }],
    ['raw: text, rejects: { max_rows: 3 }', { raw: 'text', rejects: { max_share: 0, max_rows: 3 } }],
    ['missing: wait, wait_for: 30m', { missing: 'wait', wait_for: '30m' }],
    ['dialect: { delimiter: "\\t", quote: false, null: ["", "NULL"] }', { dialect: { delimiter: '\t', quote: false } }],
  ])('%s', (keys, expected) => {
    expect(ingestOf(keys)).toMatchObject(expected as object)
  })

  test('nothing of it: then files are RFC 4180 in UTF-8, and times are UTC', () => {
    const { dialect, time_zone: timeZone, ...rest } = ingestOf('raw: typed') ?? {}

    expect(dialect && dialectOf(dialect)).toEqual(DEFAULT_DIALECT)
    expect(timeZone).toBe('UTC')
    expect(rest).toMatchObject({ mode: 'replace', missing: 'fail', duplicates: 'reject', add: {}, rules: {} })
  })

  test('how its files are written, key by key', () => {
    const keys =
      'delimiter: ";", quote: "\'", escape: backslash, encoding: latin1, line_end: cr, header: false, null: "-", ' +
      'comment: "#", decimal: ",", skip: 2, max_field: 10, max_record: 20'

    const { dialect } = ingestOf(`dialect: { ${keys} }`) ?? {}

    expect(dialect && dialectOf(dialect)).toEqual({
      delimiter: ';',
      quote: "'",
      escape: 'backslash',
      encoding: 'latin1',
      lineEnd: 'cr',
      header: false,
      nulls: ['-'],
      comment: '#',
      decimal: ',',
      skip: 2,
      maxFieldBytes: 10,
      maxRecordBytes: 20,
    })
  })
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
    expect(steps[1]?.dbt).toEqual({
      command: 'run',
      full_refresh: false,
      fail_fast: false,
      store_failures: false,
      retries: 2,
      retry_tests: false,
      timeout: '30m',
    })
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
        /hourly\.yaml:8:21: steps\.1\.dbt\.command: 'runn' is none of deps, seed, run, .* \(did you mean 'run'/,
      ),
    })
  })
})
