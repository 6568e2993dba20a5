// What makes a mart valid, a warning or a failure.
import { describe, expect, test } from 'vitest'
import { identifier } from '../pipeline/identifier.ts'
import type { MartCheck } from '../pipeline/plan.ts'
import type { MartMeasures } from '../warehouses/warehouse.ts'
import { judgeMart } from './validate-marts.ts'

function judge(check: Partial<MartCheck>, measures: Partial<MartMeasures>) {
  const mart: MartCheck = {
    mart: identifier('mart_users'),
    relation: { database: 'w', schema: 'analytics', name: 'mart_users' },
    key: [identifier('user_id')],
    unique: false,
    maxNullShare: 0,
    minRows: 1,
    ...check,
  }
  return judgeMart(mart, { rows: 1000, nulls: { user_id: 0 }, duplicates: null, ...measures })
}

test('a mart within all its bounds is valid, and each check says what it found', () => {
  expect(judge({ unique: true }, { duplicates: 0 })).toEqual({
    mart: 'mart_users',
    relation: 'analytics.mart_users',
    verdict: 'VALID',
    rows: 1000,
    checks: [
      { check: 'rows', verdict: 'VALID', detail: '1,000 rows' },
      { check: 'user_id not null', verdict: 'VALID', detail: 'no NULL in user_id' },
      { check: 'key unique', verdict: 'VALID', detail: 'user_id unique' },
    ],
  })
})

describe('rows', () => {
  test.each([
    [0, { minRows: 1 }, 'FAILED', '0 rows, at least 1 expected'],
    [1, { minRows: 1 }, 'VALID', '1 rows'],
    [1001, { maxRows: 1000 }, 'FAILED', '1,001 rows, at most 1,000 expected'],
    [1000, { maxRows: 1000 }, 'VALID', '1,000 rows'],
    [0, { minRows: 0 }, 'VALID', '0 rows'],
  ])('%i within %j: %s', (rows, bounds, verdict, detail) => {
    expect(judge(bounds, { rows })).toMatchObject({ verdict, checks: [{ check: 'rows', verdict, detail }, {}] })
  })
})

describe('NULLs in a key', () => {
  test.each([
    [0, 0.1, 'VALID', 'no NULL in user_id'],
    [1, 0.1, 'WARNING', '1 NULLs in user_id (0.1 %, 10.0 % allowed)'],
    [100, 0.1, 'WARNING', '100 NULLs in user_id (10.0 %, 10.0 % allowed)'],
    [101, 0.1, 'FAILED', '101 NULLs in user_id (10.1 %, 10.0 % allowed)'],
    [1, 0, 'FAILED', '1 NULLs in user_id (0.1 %, 0.0 % allowed)'],
  ])('%i of 1,000 where a share of %d is allowed: %s', (nulls, maxNullShare, verdict, detail) => {
    expect(judge({ maxNullShare }, { nulls: { user_id: nulls } })).toMatchObject({
      verdict,
      checks: [{}, { check: 'user_id not null', verdict, detail }],
    })
  })

  test('are looked at column by column', () => {
    const key = [identifier('user_id'), identifier('day')]

    const { checks, verdict } = judge({ key, maxNullShare: 0.01 }, { nulls: { user_id: 5, day: 50 } })

    expect(checks.map((check) => check.verdict)).toEqual(['VALID', 'WARNING', 'FAILED'])
    expect(verdict).toBe('FAILED')
  })

  test('of an empty mart are none', () => {
    expect(judge({ minRows: 0 }, { rows: 0 }).verdict).toBe('VALID')
  })
})

test('a key that repeats is a failure, where it was asked for', () => {
  expect(judge({ unique: true }, { duplicates: 1200 })).toMatchObject({
    verdict: 'FAILED',
    checks: [{}, {}, { check: 'key unique', verdict: 'FAILED', detail: '1,200 rows repeat a key (user_id)' }],
  })
  expect(judge({}, { duplicates: null }).checks).toHaveLength(2)
})
