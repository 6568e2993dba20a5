// Which cron expressions a pipeline file may hold.
import { expect, test } from 'vitest'
import { cronProblem } from './cron.ts'

test.each([
  '0 2 * * *',
  '30 2,5,8,11 * * *',
  '*/10 * * * *',
  '0 0 1-7 jan-MAR mon',
  '15 0-23/2 * * 7',
  '5/15 * * * SUN,sat',
])('%s is one', (expression) => {
  expect(cronProblem(expression)).toBeUndefined()
})

test.each([
  ['0 25 * * *', "'25' is no hour (0 to 23) of a cron expression"],
  ['60 2 * * *', "'60' is no minute (0 to 59)"],
  ['0 2 0 * *', "'0' is no day of the month (1 to 31)"],
  ['0 2 * 13 *', "'13' is no month (1 to 12)"],
  ['0 2 * * 8', "'8' is no day of the week (0 to 7)"],
  ['0 2 * * 1-7', 'a range must not end with 7'],
  ['0 2 * * 1,5-7/2', 'a range must not end with 7'],
  ['0 2 * mon *', "'mon' is no month"],
  ['0 5-2 * * *', "'5-2' is no hour"],
  ['0 */0 * * *', "'*/0' is no hour"],
  ['0 2 * *', 'expected a cron expression of five fields'],
  ['0  2 * * *', 'expected a cron expression of five fields'],
  ['@daily', 'expected a cron expression of five fields'],
])('%s is none: %s', (expression, problem) => {
  expect(cronProblem(expression)).toContain(problem)
})
