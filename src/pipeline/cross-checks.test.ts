// Names of a pipeline file that do not go together.
import { expect, test } from 'vitest'
import { crossChecks } from './cross-checks.ts'

const entry = (into: string, name?: string) => ({ into, files: `${into}.csv`, ...(name === undefined ? {} : { name }) })
const pipeline = (...steps: unknown[]) => ({ name: 'p', steps })

test("two entries of one table are refused, wherever they stand: they would replace each other's rows", () => {
  const found = crossChecks(pipeline({ ingest: [entry('raw.a'), entry('raw.b')] }, { ingest: [entry('raw.a')] }), 'p')
  expect(found).toEqual([
    {
      path: ['steps', 1, 'ingest', 0, 'into'],
      message: expect.stringMatching(/another entry loads into raw\.a; give one/),
    },
  ])
})

test('two entries of one table with names of their own are fine', () => {
  expect(crossChecks(pipeline({ ingest: [entry('raw.a', 'paris'), entry('raw.a', 'lyon')] }), 'p')).toEqual([])
})

test('a step may not be called like one that every run has', () => {
  expect(crossChecks(pipeline({ name: 'record', ingest: [] }), 'p')).toEqual([
    { path: ['steps', 0, 'name'], message: "'record' is a step that every run has; choose another name" },
  ])
})

test('what no step before it validates is not published', () => {
  const validate = [{ mart: 'mart_users' }]
  const publish = { to: 'analytics', marts: ['mart_users', 'mart_user'] }
  expect(crossChecks(pipeline({ validate }, { publish }), 'p')).toEqual([
    {
      path: ['steps', 1, 'publish', 'marts', 1],
      message:
        "no step before it validates 'mart_user' (did you mean 'mart_users'?), and what is not checked is not published",
    },
  ])
  expect(crossChecks(pipeline({ publish: { to: 'analytics' } }, { validate }), 'p')).toEqual([
    {
      path: ['steps', 0, 'publish'],
      message: 'no step before it validates a mart, and what is not checked is not published; add one',
    },
  ])
  expect(crossChecks(pipeline({ validate }, { publish: { to: 'analytics' } }), 'p')).toEqual([])
})

const params = { dept: { type: 'string', list: true }, day: { type: 'date' } }
const observations = { into: 'raw.observations', for_each: 'dept', http: { url: 'https://a.example/{dept}' } }

test.each([
  ['url', { http: { url: 'https://a.example/{dept}' } }],
  ['parameter', { http: { url: 'https://a.example', params: { d: '{dept}' } } }],
  ['header', { http: { url: 'https://a.example', headers: { d: '{dept}' } } }],
  ['path', { files: 'in/{dept}.csv', http: null }],
])('an entry with for_each may use its param in its %s', (_where, part) => {
  const ingest = [{ ...observations, ...part }]
  expect(crossChecks({ ...pipeline({ ingest }), params }, 'p')).toEqual([])
})

test.each([
  ['is no param', 'dep', "'dep' is not a param with `list: true` (did you mean 'dept'?)"],
  ['has one value', 'day', "'day' is not a param with `list: true`"],
])('for_each of what %s is refused', (_what, param, message) => {
  const ingest = [{ ...observations, for_each: param, http: { url: 'https://a.example' } }]
  expect(crossChecks({ ...pipeline({ ingest }), params }, 'p')).toEqual([
    { path: ['steps', 0, 'ingest', 0, 'for_each'], message },
  ])
})

test('for_each whose param stands nowhere in the entry is refused: all its loads would be the same', () => {
  const ingest = [{ ...observations, http: { url: 'https://a.example/{day}' } }]
  expect(crossChecks({ ...pipeline({ ingest }), params }, 'p')).toEqual([
    { path: ['steps', 0, 'ingest', 0, 'for_each'], message: expect.stringContaining('{dept} stands nowhere') },
  ])
})

test('a param of several values is refused wherever only one can stand', () => {
  const message = '{dept} may be several values; only an entry with `for_each: dept` can use it'
  const steps = [
    { ingest: [{ into: 'raw.a', files: '{dept}.csv', add: { d: '{dept}' } }] },
    { dbt: { command: 'run', vars: { d: '{dept}' } } },
  ]
  expect(crossChecks({ ...pipeline(...steps), params }, 'p')).toEqual([
    { path: ['steps', 0, 'ingest', 0, 'files'], message },
    { path: ['steps', 0, 'ingest', 0, 'add', 'd'], message },
    { path: ['steps', 1, 'dbt', 'vars', 'd'], message },
  ])
})

test('a comparison with the last good run needs the refresh log that remembers it', () => {
  const checked = pipeline({ validate: [{ mart: 'mart_users' }, { mart: 'mart_content', max_drop: { warn: 0.2 } }] })
  expect(crossChecks(checked, 'p')).toEqual([
    {
      path: ['steps', 0, 'validate', 1, 'max_drop'],
      message: 'compares with the last good run in the refresh log; add one (refresh_log: dbt_refresh_log)',
    },
  ])
  expect(crossChecks({ ...checked, refresh_log: 'dbt_refresh_log' }, 'p')).toEqual([])
})
