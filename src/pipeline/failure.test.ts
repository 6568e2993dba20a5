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
import { canRetryHelp, describeFailure, failure, isFailureType } from './failure.ts'

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

test.each(['FileChanged', 'WarehouseBusy', 'WarehouseFailed', 'DbtTransient', 'DbtKilled'] as const)(
  'trying again can help after %s',
  (type) => expect(canRetryHelp(type)).toBe(true),
)

test.each(['FileMissing', 'RejectsOverLimit', 'DbtTestsFailed', 'DbtVerdictDisagrees', 'RunCancelled'] as const)(
  'trying again cannot help after %s',
  (type) => expect(canRetryHelp(type)).toBe(false),
)

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
