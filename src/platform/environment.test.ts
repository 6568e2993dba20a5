// Settings that cannot be are refused, all at once.
import { expect, test } from 'vitest'
import { readEnvironment, runLimits } from './environment.ts'

test('run folders are kept for 30 days, 200 of them, where nothing is set', () => {
  expect(runLimits(readEnvironment())).toEqual({ runs: 200, days: 30 })
})

test('what is set counts', () => {
  expect(runLimits({ ...readEnvironment(), keepRuns: '7', keepDays: '365' })).toEqual({ runs: 7, days: 365 })
})

test.each(['0', '-1', '1.5', '7d', 'many', ' 7', '1e3'])('keeping %j of them is refused', (given) => {
  expect(() => runLimits({ ...readEnvironment(), keepDays: given })).toThrow(
    `MILLRACE_KEEP_DAYS is '${given}': set it to a positive whole number, or leave it out`,
  )
})

test('everything that is wrong is said at once', () => {
  expect(() => runLimits({ ...readEnvironment(), keepRuns: 'a', keepDays: 'b' })).toThrow(
    /MILLRACE_KEEP_RUNS is 'a'.*\n.*MILLRACE_KEEP_DAYS is 'b'/,
  )
})
