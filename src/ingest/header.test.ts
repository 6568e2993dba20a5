// A header must hold the contract's columns, each once, in any order; all that differs is named at once.
import { expect, test } from 'vitest'
import { identifier } from '../pipeline/identifier.ts'
import type { ContractColumn } from '../pipeline/plan.ts'
import { checkHeader } from './header.ts'

const CONTRACT = ['user_id', 'content_id', 'watched_at'].map((name): ContractColumn => ({
  name: identifier(name),
  type: { kind: 'string' },
  origin: 'dbt source',
}))

test.each([[['user_id', 'content_id', 'watched_at']], [['watched_at', 'user_id', 'content_id']]])(
  '%j is the header, whatever the order',
  (header) => {
    expect(() => checkHeader(header, CONTRACT, 'in.csv')).not.toThrow()
  },
)

test.each([
  ['a missing column', ['user_id', 'watched_at'], "column 'content_id' is missing"],
  ['a column too many', ['user_id', 'content_id', 'watched_at', 'device'], "column 'device' is not expected"],
  [
    'a misspelt column, with the one that was meant',
    ['user_id', 'contentid', 'watched_at'],
    "column 'content_id' is missing; column 'contentid' is not expected (did you mean 'content_id'?)",
  ],
  [
    'another case, and a blank',
    ['User_ID', 'content_id', ' watched_at'],
    [
      "column 'user_id' is missing; column 'watched_at' is missing",
      "column 'User_ID' is not expected; column ' watched_at' is not expected (did you mean 'watched_at'?)",
    ].join('; '),
  ],
  [
    'a doubled column, once however often it stands there',
    ['user_id', 'user_id', 'user_id', 'content_id', 'watched_at'],
    "column 'user_id' stands there twice",
  ],
  [
    'an empty header',
    [''],
    "column 'user_id' is missing; column 'content_id' is missing; column 'watched_at' is missing; column '' is not expected",
  ],
])('refused: %s', (_what, header, problems) => {
  expect(() => checkHeader(header, CONTRACT, 'in.csv')).toThrow(
    expect.objectContaining({
      type: 'HeaderMismatch',
      message: `in.csv: ${problems}. Nothing was loaded; correct the file's header, or the columns of the dbt source`,
    }),
  )
})
