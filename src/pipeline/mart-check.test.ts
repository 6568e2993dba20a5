// What may be asked of a mart, and which questions contradict themselves.
import { expect, test } from 'vitest'
import { martCheck } from './mart-check.ts'

const problemsOf = (part: object) =>
  martCheck
    .safeParse({ mart: 'mart_users', key: ['user_id'], ...part })
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

test.each([
  ['max_age without a limit', { max_age: { column: 'day' } }, 'max_age: expected `warn`, `fail` or both'],
  [
    'max_age that fails before it warns',
    { max_age: { column: 'day', warn: '2d', fail: '24h' } },
    'max_age.warn: 2d is not below `fail`, 24h',
  ],
  [
    'max_age that warns and fails at once',
    { max_age: { column: 'day', warn: '24h', fail: '1d' } },
    'max_age.warn: 24h is not below `fail`, 1d',
  ],
  ['max_drop without a limit', { max_drop: {} }, 'max_drop: expected `warn`, `fail` or both'],
  [
    'max_drop that fails before it warns',
    { max_drop: { warn: 0.5, fail: 0.2 } },
    'max_drop.warn: 0.5 is not below `fail`, 0.2',
  ],
  [
    'max_drop that warns and fails at once',
    { max_drop: { warn: 0.2, fail: 0.2 } },
    'max_drop.warn: 0.2 is not below `fail`, 0.2',
  ],
  ['bounds that no count is within', { rows: { min: 2, max: 1 } }, 'rows: `min` is above `max`'],
])('%s is refused', (_what, part, message) => {
  expect(problemsOf(part)).toEqual([message])
})

test.each([
  { max_age: { column: 'day', warn: '24h' } },
  { max_age: { column: 'day', fail: '24h' } },
  { max_age: { column: 'day', warn: '24h', fail: '2d' } },
  { max_drop: { warn: 0.2 } },
  { max_drop: { warn: 0.2, fail: 0.5 } },
  { rows: { min: 1, max: 1 } },
  { rows: { max: 0 }, on_empty: 'warn' },
])('%j is fine', (part) => {
  expect(problemsOf(part)).toEqual([])
})
