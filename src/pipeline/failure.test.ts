// Failures as they travel through Temporal: short enough, typed, and told apart again on the other side.
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  TimeoutFailure,
  TimeoutType,
} from '@temporalio/common'
import { describe, expect, test } from 'vitest'
import { canRetryHelp, describeFailure, failure, failureDetail, isFailureType, retriesWorthwhile } from './failure.ts'

const bytes = (text: string) => Buffer.byteLength(text)

describe('a message', () => {
  test('of 1 KiB is kept as it is', () => {
    const message = 'é'.repeat(512)

    expect(failure('Internal', message).message).toBe(message)
  })

  test.each([
    ['plain letters', 'a', 'z'],
    ['characters of two bytes', 'é', 'ü'],
    ['characters of four bytes', '😀', '🚀'],
  ])('over 1 KiB loses its middle, not its head nor the advice at its end: %s', (_kind, first, last) => {
    const { message } = failure('Internal', `head:${first.repeat(2000)}${last.repeat(2000)}:advice`)

    expect(bytes(message)).toBeLessThanOrEqual(1024)
    expect(bytes(message)).toBeGreaterThan(900)
    expect(message).toMatch(new RegExp(`^head:(${first})+ \\[…\\] (${last})+:advice$`, 'u'))
  })

  test('one byte too long is cut', () => {
    const { message } = failure('Internal', 'x'.repeat(1025))

    expect(message).toBe(`${'x'.repeat(700)} […] ${'x'.repeat(300)}`)
  })
})

test("is never retried by Temporal itself: repeats are the workflow's to count", () => {
  expect(failure('WarehouseBusy', 'x')).toMatchObject({ type: 'WarehouseBusy', nonRetryable: true })
})

test.each([
  'FileChanged',
  'WarehouseBusy',
  'WarehouseFailed',
  'DbtTransient',
  'DbtKilled',
  'DbtPackagesFailed',
  'StepTimedOut',
] as const)('trying again can help after %s', (type) => {
  expect(canRetryHelp(type)).toBe(true)
  expect(retriesWorthwhile(type)).toBe(Infinity)
})

test('what nobody knows is tried once more', () => {
  expect(canRetryHelp('DbtUnknown')).toBe(true)
  expect(retriesWorthwhile('DbtUnknown')).toBe(1)
})

test.each([
  'FileMissing',
  'RejectsOverLimit',
  'DbtNodesFailed',
  'DbtTestsFailed',
  'DbtResources',
  'DbtQuota',
  'DbtAuth',
  'DbtVerdictDisagrees',
  'RunCancelled',
] as const)('trying again cannot help after %s', (type) => {
  expect(canRetryHelp(type)).toBe(false)
  expect(retriesWorthwhile(type)).toBe(0)
})

test.each(['Nope', '', 'toString', undefined, null])('%s is no failure type', (text) => {
  expect(isFailureType(text)).toBe(false)
})

describe('describeFailure', () => {
  const inActivity = (cause: Error | undefined) =>
    new ActivityFailure('Activity task failed', 'ingestTable', '1', RetryState.NON_RETRYABLE_FAILURE, 'w', cause)
  const timeout = new TimeoutFailure('activity timeout', undefined, TimeoutType.HEARTBEAT)

  test.each([
    ['our own failure', failure('FileMissing', 'x.csv does not exist'), 'FileMissing', 'x.csv does not exist'],
    ['one of an unknown type', ApplicationFailure.create({ type: 'Odd', message: 'odd' }), 'Internal', 'odd'],
    ['a cancellation', new CancelledFailure('CANCELLED'), 'RunCancelled', 'the run was cancelled'],
    ['a lost worker', timeout, 'StepLost', expect.stringContaining('HEARTBEAT')],
    ['any error', new TypeError('x is not a function'), 'Internal', 'x is not a function'],
  ] as const)('finds the type of %s, bare and behind an activity', (_what, error, type, message) => {
    expect(describeFailure(error)).toEqual({ type, message })
    expect(describeFailure(inActivity(error))).toEqual({ type, message })
  })

  test('of what is no error is internal', () => {
    expect(describeFailure('boom')).toEqual({ type: 'Internal', message: 'boom' })
  })

  test('of an activity that gives no cause is internal', () => {
    expect(describeFailure(inActivity(undefined))).toEqual({ type: 'Internal', message: 'Activity task failed' })
  })
})

describe('what a failure carries beside its message', () => {
  const carrying = failure('DbtNodesFailed', 'x', [{ report: 1 }, 2])
  const behind = (cause: Error) =>
    new ActivityFailure('Activity task failed', 'dbtRun', '1', RetryState.NON_RETRYABLE_FAILURE, 'w', cause)

  test.each<[string, unknown, unknown]>([
    ['of a failure', carrying, { report: 1 }],
    ['of one behind an activity', behind(carrying), { report: 1 }],
    ['of a cancellation', behind(new CancelledFailure('CANCELLED', ['half'])), 'half'],
    ['of one that carries nothing', failure('DbtAuth', 'x'), undefined],
    ['of any error', new TypeError('x'), undefined],
  ])('is its first detail: %s', (_what, error, detail) => {
    expect(failureDetail(error)).toEqual(detail)
  })
})
