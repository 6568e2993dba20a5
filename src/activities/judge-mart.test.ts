// What makes a mart valid, a warning or a failure.
import { describe, expect, test } from 'vitest'
import { identifier } from '../pipeline/identifier.ts'
import type { MartCheck } from '../pipeline/plan.ts'
import type { MartMeasures } from '../warehouses/warehouse.ts'
import { judgeMart } from './judge-mart.ts'

/** A text, or what it looks like. */
const matching = (detail: string | RegExp): unknown =>
  typeof detail === 'string' ? detail : expect.stringMatching(detail)

const RUN_TIME = '2026-11-19T02:00:00Z'

function judge(check: Partial<MartCheck>, measures: Partial<MartMeasures>, rowsBefore?: number) {
  const mart: MartCheck = {
    mart: identifier('mart_users'),
    relation: { database: 'w', schema: 'analytics', name: 'mart_users' },
    key: [identifier('user_id')],
    unique: false,
    maxNullShare: 0,
    minRows: 1,
    ...check,
  }
  const lastGood = rowsBefore === undefined ? undefined : { rows: rowsBefore, startedAt: '2026-11-18T02:00:00Z' }
  return judgeMart(
    mart,
    { rows: 1000, nulls: { user_id: 0 }, duplicates: null, newest: null, ...measures },
    { runTimeMs: Date.parse(RUN_TIME), lastGood },
  )
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

describe('the age of the newest value, counted to the time of the run', () => {
  const column = identifier('updated_at')
  const hours = (count: number) => count * 3_600_000
  const both = { column, warnMs: hours(26), failMs: hours(50) }

  test.each([
    ['2026-11-19T01:30:00Z', both, 'VALID', 'newest updated_at 30 min old (2026-11-19T01:30:00Z)'],
    ['2026-11-18T00:00:00Z', both, 'VALID', 'newest updated_at 26 h old (2026-11-18T00:00:00Z)'],
    ['2026-11-17T23:59:59Z', both, 'WARNING', 'newest updated_at 26 h old (2026-11-17T23:59:59Z), 26 h allowed'],
    ['2026-11-17T00:00:00Z', both, 'WARNING', 'newest updated_at 50 h old (2026-11-17T00:00:00Z), 26 h allowed'],
    ['2026-11-16T23:59:59Z', both, 'FAILED', 'newest updated_at 50 h old (2026-11-16T23:59:59Z), 50 h allowed'],
    ['2026-11-09T00:00:00Z', { column, warnMs: hours(26) }, 'WARNING', /10 d 2 h old .*, 26 h allowed$/],
    ['2026-11-17T00:00:00Z', { column, failMs: hours(50) }, 'VALID', /50 h old/],
    ['2026-11-19T05:00:00Z', both, 'VALID', "newest updated_at 3 h after the run's time (2026-11-19T05:00:00Z)"],
    [null, both, 'FAILED', 'no value in updated_at, 50 h allowed'],
    [null, { column, warnMs: hours(26) }, 'WARNING', 'no value in updated_at, 26 h allowed'],
  ])('%s against %j: %s', (newest, maxAge, verdict, detail) => {
    expect(judge({ maxAge }, { newest })).toMatchObject({
      verdict,
      checks: [{}, {}, { check: 'updated_at not stale', verdict, detail: matching(detail) }],
    })
  })
})

describe('rows against those of the last good run', () => {
  const both = { warn: 0.2, fail: 0.5 }

  test.each([
    [1000, undefined, both, 'VALID', 'no earlier run to compare with'],
    [1000, 1000, both, 'VALID', "not fewer rows than the last good run's 1,000 (2026-11-18T02:00:00Z)"],
    [1500, 1000, both, 'VALID', /^not fewer/],
    [10, 0, both, 'VALID', /^not fewer rows than the last good run's 0/],
    [800, 1000, both, 'VALID', "20.0 % fewer rows than the last good run's 1,000 (2026-11-18T02:00:00Z)"],
    [799, 1000, both, 'WARNING', /^20\.1 % fewer .*, 20\.0 % allowed$/],
    [500, 1000, both, 'WARNING', /^50\.0 % fewer .*, 20\.0 % allowed$/],
    [499, 1000, both, 'FAILED', /^50\.1 % fewer .*, 50\.0 % allowed$/],
    [1, 1000, { warn: 0.2 }, 'WARNING', /^99\.9 % fewer/],
    [999, 1000, { fail: 0 }, 'FAILED', /^0\.1 % fewer .*, 0\.0 % allowed$/],
  ])('%i after %s with %j: %s', (rows, before, maxDrop, verdict, detail) => {
    expect(judge({ maxDrop }, { rows }, before)).toMatchObject({
      verdict,
      checks: [{}, {}, { check: 'rows not dropped', verdict, detail: matching(detail) }],
    })
  })
})

describe('a mart without rows', () => {
  const strict = {
    unique: true,
    maxAge: { column: identifier('updated_at'), failMs: 1000 },
    maxDrop: { fail: 0.5 },
  }

  test('fails its bounds, its age and its drop, and says of its keys that it is empty', () => {
    const { verdict, checks } = judge(strict, { rows: 0, duplicates: 0 }, 1000)
    expect(verdict).toBe('FAILED')
    expect(checks.map((check) => `${check.verdict} ${check.detail}`)).toEqual([
      'FAILED 0 rows, at least 1 expected',
      'VALID empty',
      'VALID empty',
      'FAILED no value in updated_at, 1 s allowed',
      expect.stringMatching(/^FAILED 100\.0 % fewer/),
    ])
  })

  test('is a warning where on_empty says so, whatever the other checks say', () => {
    expect(judge({ ...strict, onEmpty: 'warn' }, { rows: 0, duplicates: 0 }, 1000).verdict).toBe('WARNING')
    expect(judge({ minRows: 0, onEmpty: 'warn' }, { rows: 0 }).verdict).toBe('WARNING')
    expect(judge({ minRows: 10, onEmpty: 'warn' }, { rows: 9 }).verdict).toBe('FAILED')
  })

  test('is a failure where on_empty says so, also without a bound', () => {
    expect(judge({ minRows: 0, onEmpty: 'fail' }, { rows: 0 })).toMatchObject({
      verdict: 'FAILED',
      checks: [{ check: 'rows', verdict: 'FAILED', detail: 'empty' }, {}],
    })
  })
})
