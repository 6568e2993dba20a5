// "did you mean": only where the word is near enough to be meant.
import { expect, test } from 'vitest'
import { didYouMean } from './near-match.ts'

test.each([
  ['dialy', ['hourly', 'daily'], 'daily'],
  ['dve', ['dev', 'prod'], 'dev'],
  ['mart_user', ['mart_users', 'mart_content'], 'mart_users'],
  ['mart_contant_perfomence', ['mart_content_performance'], 'mart_content_performance'],
  ['Daily', ['daily'], 'daily'],
  ['', ['a'], undefined],
  ['qa', ['ci', 'dev'], undefined],
  ['prod', ['dev'], undefined],
  ['daily', [], undefined],
  ['weather', ['daily', 'hourly'], undefined],
])("'%s' among %j means %s", (given, candidates, meant) => {
  expect(didYouMean(given, candidates)).toBe(meant === undefined ? '' : ` (did you mean '${meant}'?)`)
})
