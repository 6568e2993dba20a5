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
