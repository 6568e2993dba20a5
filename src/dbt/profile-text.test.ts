// A text of a profile gives what dbt 1.12's ProfileRenderer gave for it; every expected value was taken from there.
import { describe, expect, test } from 'vitest'
import { renderText } from './profile-text.ts'

const VARIABLES = new Map([
  ['A', 'one'],
  ['N', '7'],
  ['T', 'True'],
  ['SMALL', 'true'],
  ['EMPTY', ''],
  ['DICT', "{'a': [1, 2.5, None, True], 'b': 'x'}"],
  ['JSON', '{"type": "x", "n": null}'],
  ['DBT_ENV_SECRET_P', 's3cret!$&'],
  ['DBT_ENV_SECRET_N', '12'],
  ['ZEROS', '007'],
  ['QUOTED', "'quoted'"],
])
const render = (text: string) => renderText(text, (name) => VARIABLES.get(name))

test.each([
  // Types: an expression that is the whole text has its own, or the one its filter sets.
  ["{{ env_var('N') }}", '7'],
  ["{{ env_var('N') | as_number }}", 7],
  ["{{env_var('N')|as_number()}}", 7],
  ["{{ (env_var('N') | as_number) }}", 7],
  ["{{ env_var('UNSET', '5432') | as_number }}", 5432],
  ["{{ env_var('UNSET', 5432) }}", 5432],
  ["{{ env_var('T') | as_bool }}", true],
  ["{{ env_var('T') | as_native }}", true],
  ["{{ env_var('A') | as_native }}", 'one'],
  ["{{ env_var('EMPTY') | as_native }}", ''],
  ["{{ env_var('DICT') | as_native }}", { a: [1, 2.5, null, true], b: 'x' }],
  ["{{ env_var('JSON') | as_native }}", '{"type": "x", "n": null}'],
  ["{{ env_var('ZEROS') | as_native }}", '007'],
  ["{{ env_var('QUOTED') | as_native }}", 'quoted'],
  ["{{ env_var('QUOTED') }}", "'quoted'"],
  ["{{ env_var('N') | int | as_text }}", '7'],
  ["{{ env_var('SMALL') == 'true' }}", true],
  ["{% if env_var('N') %}{{ env_var('N') | as_number }}{% else %}1{% endif %}", 7],
  ["{% if env_var('EMPTY') %}x{% else %}{{ env_var('N') | as_number }}{% endif %}", 7],
  ["{% set x = env_var('N') | as_number %}{{ x }}", 7],
  // Beside anything else it is text again.
  [" {{ env_var('N') | as_number }}", ' 7'],
  ["{{ env_var('N') | as_number }}{{ env_var('N') | as_number }}", '77'],
  ["x{{ env_var('SMALL') == 'true' }}", 'xTrue'],
  // The filters and operators of Jinja.
  ["{{ env_var('N') | int }}", 7],
  ["{{ env_var('N') | as_number | int + 1 }}", 8],
  ["{{ env_var('A') | upper }}", 'ONE'],
  ["{{ ' x ' | trim }}{{ env_var('A') | replace('o', '0') }}", 'x0ne'],
  ["{{ env_var('EMPTY') | default('y', true) }}", 'y'],
  ["{{ env_var('A') ~ '-' ~ env_var('N') }}", 'one-7'],
  ["{{ env_var('UNSET', default='x') }}{{ env_var(var='A') }}", 'xone'],
  ['x{{ nothing }}y', 'xy'],
  ['abc{# a comment #}', 'abc'],
  ['a}}b', 'a}}b'],
  // One newline at the end goes, as of a block of YAML.
  ['text\n', 'text'],
  ['text\n\n', 'text\n'],
  ["{{ env_var('A') }}\n", 'one'],
  // Secret variables are put in after Jinja: no filter sees them.
  ["a{{ env_var('DBT_ENV_SECRET_P') }}b", 'as3cret!$&b'],
  ["{{ env_var('DBT_ENV_SECRET_P') | trim }}", 's3cret!$&'],
  ["{{ env_var('DBT_ENV_SECRET_N') | as_native }}", '12'],
  ["{{ env_var('DBT_ENV_SECRET_N') | int }}", 0],
])('%s', (text, value) => {
  expect(render(text)).toMatchObject({ value })
})

describe('what dbt refuses is a problem that shows no value', () => {
  test.each([
    ["{{ env_var('A') | as_number }}", 'gives no number'],
    ["{{ env_var('ZEROS') | as_number }}", 'gives no number'],
    ["{{ env_var('EMPTY') | as_number }}", 'gives no number'],
    ["{{ env_var('T') | as_number }}", 'gives no number'],
    ["{{ env_var('DBT_ENV_SECRET_N') | as_number }}", 'gives no number'],
    ["{{ env_var('SMALL') | as_bool }}", 'gives neither True nor False'],
    ["{{ env_var('N') | as_bool }}", 'gives neither True nor False'],
    ["{{ env_var('A') | nope }}", 'cannot be read (Unknown StringValue filter: nope)'],
    ['{{ nothing }}', 'cannot be read (a name in it is not known there)'],
  ])('%s', (text, problem) => {
    const rendered = render(text)

    expect(rendered).toMatchObject({ problem: expect.stringContaining(problem), unparsed: false })
    expect(JSON.stringify(rendered)).not.toMatch(/one|007|12/)
  })

  test('and names the variables to look at', () => {
    expect(render("{{ (env_var('A') ~ env_var('N')) | as_number }}")).toMatchObject({ variables: ['A', 'N'] })
  })

  test.each(['a{{b', 'abc{#def', 'a{{b c}}d', "{{ env_var('A'"])('%s is no Jinja by its form', (text) => {
    expect(render(text)).toMatchObject({ unparsed: true })
  })
})

test.each([
  ["{{ env_var('X') }}{{ env_var('A') }}{{ env_var('Y') }}", ['X', 'Y']],
  ["{{ env_var('X') | as_number }}", ['X']],
  ["{{ env_var('X').split(',')[1].upper() }}", ['X']],
  ["{{ env_var('X', none) }}", ['X']],
  ["{{ env_var('DBT_ENV_SECRET_X') }}", ['DBT_ENV_SECRET_X']],
  ["{{ env_var('X') or 'other' }}", ['X']],
])('variables without value and default are named: %s', (text, missing) => {
  expect(render(text)).toEqual({ missing })
})

test('the secrets that a text used are told', () => {
  expect(render("{{ env_var('DBT_ENV_SECRET_P') }}{{ env_var('A') }}")).toMatchObject({ secrets: ['s3cret!$&'] })
  expect(render("{{ env_var('DBT_ENV_SECRET_UNSET', 'plain') }}")).toEqual({ value: 'plain', secrets: [] })
})
