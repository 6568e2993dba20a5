// A header must hold the contract's columns, each once, in any order; all that differs is named at once.
import { describe, expect, test } from 'vitest'
import { contractOf } from '../../tests/support/ingest-entry.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { ContractColumn, IngestEntry } from '../pipeline/plan.ts'
import { matchHeader } from './header.ts'

const CONTRACT = contractOf({ user_id: 'text', content_id: 'text', watched_at: 'text' })
const [FIRST, ...REST] = CONTRACT

/** Where each column of the rows is in the file. */
function fields(
  header: readonly string[],
  contract: readonly ContractColumn[] = CONTRACT,
  extraColumns: IngestEntry['extraColumns'] = 'strict',
) {
  return Object.fromEntries(
    matchHeader(header, contract, extraColumns, 'in.csv').map(({ name, field }) => [name, field]),
  )
}

function withFirst(change: Partial<ContractColumn>): ContractColumn[] {
  return [...(FIRST === undefined ? [] : [{ ...FIRST, ...change }]), ...REST]
}

test.each([
  [
    ['user_id', 'content_id', 'watched_at'],
    [0, 1, 2],
  ],
  [
    ['watched_at', 'user_id', 'content_id'],
    [1, 2, 0],
  ],
])('%j: each column is found by its name', (header, [user, content, watched]) => {
  expect(fields(header)).toEqual({ user_id: user, content_id: content, watched_at: watched })
})

test("a renamed column is found by the file's own name for it", () => {
  const contract = withFirst({ header: 'Kunde Nr.' })

  expect(fields(['content_id', 'watched_at', 'Kunde Nr.'], contract)).toMatchObject({ user_id: 2 })
  expect(() => fields(['content_id', 'watched_at', 'user_id'], contract)).toThrow("column 'Kunde Nr.' is missing")
})

test('an optional column may be missing', () => {
  expect(fields(['content_id', 'watched_at'], withFirst({ optional: true }))).toEqual({
    user_id: undefined,
    content_id: 0,
    watched_at: 1,
  })
})

describe('columns that only the file has', () => {
  const header = ['user_id', 'device', 'content_id', 'watched_at', 'app_version']

  test('are left out with ignore_extra', () => {
    expect(fields(header, CONTRACT, 'ignore_extra')).toEqual({ user_id: 0, content_id: 2, watched_at: 3 })
  })

  test('come as optional texts behind the others with evolve', () => {
    expect(matchHeader(header, CONTRACT, 'evolve', 'in.csv').slice(3)).toEqual([
      { ...extra('device'), field: 1 },
      { ...extra('app_version'), field: 4 },
    ])
  })

  test('are named all the same when a column is missing: then one of them may be it', () => {
    const renamed = ['user_id', 'contents_id', 'watched_at']
    const message = "column 'contents_id' is not expected (did you mean 'content_id'?)"

    expect(() => fields(renamed, CONTRACT, 'ignore_extra')).toThrow(message)
    expect(() => fields(renamed, CONTRACT, 'evolve')).toThrow(message)
  })

  test('must have names that a column can have, or be declared, with evolve', () => {
    expect(() => fields([...header, 'Kunde Nr.'], CONTRACT, 'evolve')).toThrow(
      expect.objectContaining({
        type: 'HeaderMismatch',
        message: expect.stringMatching(/^in\.csv: 'Kunde Nr\.' cannot be column names .*rename: kunde_nr/),
      }),
    )
  })

  test('stand there once also where they are left out', () => {
    expect(() => fields([...header, 'device'], CONTRACT, 'ignore_extra')).toThrow("column 'device' stands there twice")
  })

  function extra(name: string): ContractColumn {
    const type = { kind: 'string' } as const
    return { name: identifier(name), header: name, type, origin: 'first header', optional: true, notNull: false }
  }
})

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
  expect(() => fields(header)).toThrow(
    expect.objectContaining({
      type: 'HeaderMismatch',
      message: `in.csv: ${problems}. Nothing was loaded; correct the file's header, or the declared columns`,
    }),
  )
})
