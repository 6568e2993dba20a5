// A run's request: params resolved, steps chosen, everything wrong named at once.
import { describe, expect, test } from 'vitest'
import { pipelineSchema } from './definition.ts'
import type { RunRequest } from './plan.ts'
import { fillIn, resolveRequest, stepIds } from './request.ts'

const MIDNIGHT = Date.UTC(2026, 10, 19)

function pipeline(params: Record<string, { type: string; default?: string | number; list?: boolean }>) {
  return pipelineSchema.parse({
    name: 'daily',
    dbt: { project_dir: 'dbt' },
    params,
    steps: [
      { ingest: [{ into: 'raw.logs', files: 'logs.csv' }] },
      { dbt: { command: 'run' } },
      { dbt: { command: 'test' } },
      { name: 'checks', validate: [{ mart: 'mart_users', key: ['user_id'] }] },
    ],
  })
}

const daily = pipeline({ date: { type: 'date', default: 'yesterday' } })

describe('params', () => {
  test.each([
    ['their default, counted from the run time', {}, '2026-11-18'],
    ['a day', { date: '2026-02-28' }, '2026-02-28'],
    ['today', { date: 'today' }, '2026-11-19'],
  ])('of type date take %s, and the run is for that day', (_what, given: Record<string, string>, day) => {
    expect(resolveRequest(daily, { params: given }, MIDNIGHT)).toMatchObject({
      params: { date: day },
      logicalDate: day,
    })
  })

  test('without a date, the run is for the day of its own time', () => {
    expect(resolveRequest(pipeline({ dept: { type: 'string', default: 'sales' } }), {}, MIDNIGHT)).toMatchObject({
      params: { dept: 'sales' },
      logicalDate: '2026-11-19',
    })
  })

  test.each([
    ['date', '2026-02-30', 'an existing day written YYYY-MM-DD, nor today or yesterday'],
    ['date', '18.11.2026', 'an existing day written YYYY-MM-DD, nor today or yesterday'],
    ['int', '1.5', 'a whole number'],
    ['int', '1e3', 'a whole number'],
    ['string', '../secrets', 'a plain word (letters, digits, dot, dash and _)'],
    ['string', '.hidden', 'a plain word (letters, digits, dot, dash and _)'],
    ['string', 'a b', 'a plain word (letters, digits, dot, dash and _)'],
    ['string', '', 'a plain word (letters, digits, dot, dash and _)'],
  ])("of type %s refuse '%s'", (type, text, expected) => {
    expect(() => resolveRequest(pipeline({ p: { type } }), { params: { p: text } }, MIDNIGHT)).toThrow(
      `pipeline 'daily': --p '${text}' is not ${expected}`,
    )
  })

  test.each([
    ['int', '-7', '-7'],
    ['int', 12, '12'],
    ['string', 'sales.eu-1', 'sales.eu-1'],
  ])('of type %s take %s', (type, value, text) => {
    expect(resolveRequest(pipeline({ p: { type, default: value } }), {}, MIDNIGHT).params).toEqual({ p: text })
  })
})

describe('params with list: true', () => {
  const departments = pipeline({ dept: { type: 'string', default: '9', list: true } })
  const resolved = (dept: string) => resolveRequest(departments, { params: { dept } }, MIDNIGHT).params

  test.each([
    ['9', '9'],
    ['9,09,2A', '9,09,2A'],
    ['9, 2A', '9,2A'],
    ['9,9,2A, 9', '9,2A'],
  ])('take %s as %s: texts, each once, in the order given', (given, expected) => {
    expect(resolved(given)).toEqual({ dept: expected })
  })

  test.each(['', '9,', ',9', '9,../2A', '9;2A'])("refuse '%s' as a whole", (given) => {
    expect(() => resolved(given)).toThrow(`--dept '${given}' is not a plain word`)
  })

  test('without it a comma is no separator', () => {
    const one = pipeline({ dept: { type: 'string', default: '9' } })
    expect(() => resolveRequest(one, { params: { dept: '9,2A' } }, MIDNIGHT)).toThrow("--dept '9,2A' is not")
  })
})

describe('the choice of steps', () => {
  const skipped = (request: object) =>
    resolveRequest(daily, request, MIDNIGHT)
      .steps.filter((step) => step.skipped)
      .map(({ id }) => id)

  test.each([
    [{}, []],
    [{ only: 'dbt-run' }, ['ingest', 'dbt-test', 'checks']],
    [{ only: 'dbt run' }, ['ingest', 'dbt-test', 'checks']],
    [{ only: 'checks' }, ['ingest', 'dbt-run', 'dbt-test']],
    [{ from: 'dbt test' }, ['ingest', 'dbt-run']],
    [{ from: ' ingest ' }, []],
  ])('%j leaves out %j', (request, ids) => {
    expect(skipped(request)).toEqual(ids)
  })

  test('is --only or --from, not both', () => {
    expect(() => skipped({ only: 'checks', from: 'checks' })).toThrow('give --only or --from, not both')
  })
})

test('all that is wrong is named at once, with near matches', () => {
  const definition = pipeline({ date: { type: 'date', default: 'yesterday' }, dept: { type: 'string' } })

  const act = () => resolveRequest(definition, { params: { dat: 'x', date: '2026-02-30' }, only: 'dbt-rn' }, MIDNIGHT)

  expect(act).toThrow(
    expect.objectContaining({
      type: 'RequestInvalid',
      message: [
        "pipeline 'daily': there is no param 'dat' (did you mean 'date'?), params: date, dept",
        "--date '2026-02-30' is not an existing day written YYYY-MM-DD, nor today or yesterday",
        "param 'dept' has no default; give --dept VALUE",
        "--only 'dbt-rn' is not a step (did you mean 'dbt-run'?), steps: ingest, dbt-run, dbt-test, checks",
      ].join('; '),
    }),
  )
})

test.each([
  ['logs-{date}.csv', 'logs-2026-11-18.csv'],
  ['{date}/{dept}/{date}.csv', '2026-11-18/sales/2026-11-18.csv'],
  ['{unknown}.csv', '{unknown}.csv'],
  ['{ date }', '{ date }'],
  ['plain.csv', 'plain.csv'],
])('%s is filled in as %s', (text, expected) => {
  expect(fillIn(text, { date: '2026-11-18', dept: 'sales' })).toBe(expected)
})

test('every step has a name of its own, whatever the file calls its steps', () => {
  const ingest = { ingest: [{ into: 'raw.logs', files: 'logs.csv' }] }
  const run = { dbt: { command: 'run' } }
  const { steps } = pipelineSchema.parse({
    name: 'daily',
    dbt: { project_dir: 'dbt' },
    steps: [
      ingest,
      ingest,
      { ...ingest, name: 'ingest-2' },
      run,
      { ...run, name: 'dbt-run' },
      { ...run, name: 'more' },
    ],
  })

  const ids = stepIds(steps)

  expect(ids).toEqual(['ingest', 'ingest-2', 'ingest-2-2', 'dbt-run', 'dbt-run-2', 'more'])
})

test('a run does not publish what it has not checked itself', () => {
  const publishing = pipelineSchema.parse({
    name: 'daily',
    dbt: { project_dir: 'dbt' },
    steps: [
      { dbt: { command: 'run' } },
      { validate: [{ mart: 'mart_users', key: ['user_id'] }] },
      { publish: { to: 'analytics' } },
    ],
  })
  const chosen = (request: RunRequest) =>
    resolveRequest(publishing, request, MIDNIGHT).steps.map(({ id, skipped }) => (skipped ? '-' : id))
  expect(chosen({ from: 'validate' })).toEqual(['-', 'validate', 'publish'])
  expect(chosen({ only: 'validate' })).toEqual(['-', 'validate', '-'])
  for (const request of [{ from: 'publish' }, { only: 'publish' }]) {
    expect(() => chosen(request)).toThrow(
      "pipeline 'daily': publish takes only what the same run has checked; begin with it: --from validate",
    )
  }
})
