// When somebody is told: once for each change, of what was asked for, and never of nothing.
import { describe, expect, test } from 'vitest'
import {
  ALERT_KINDS,
  CALM,
  decide,
  isCalm,
  remind,
  reminderAtMs,
  type AlertEvent,
  type AlertKind,
  type AlertState,
  type RunFacts,
} from './alert-state.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

function run(outcome: RunFacts['outcome'], runId = 'r'): RunFacts {
  return {
    workflowId: 'w',
    runId,
    logicalDate: '2026-11-18',
    outcome,
    step: null,
    failure: null,
    warnings: [],
    counts: null,
    startedAtMs: 0,
    durationMs: 1,
  }
}

type Step = RunFacts['outcome'] | 'slow' | `watched ${number}` | 'watched paused'

/** What is told after each step, a minute apart; `slow` and what follows it are of one run. */
function story(steps: readonly Step[], on: readonly AlertKind[] = ALERT_KINDS): (string | null)[] {
  let state: AlertState = CALM
  let runs = 0
  return steps.map((step, index) => {
    const nowMs = (index + 1) * MINUTE
    const event: AlertEvent =
      step === 'slow'
        ? { kind: 'slow', run: run('running', `r${runs}`) }
        : step === 'watched paused'
          ? { kind: 'watched', deadline: null }
          : step.startsWith('watched')
            ? { kind: 'watched', deadline: { atMs: nowMs + Number(step.slice(8)) * MINUTE, of: 's' } }
            : { kind: 'ended', run: run(step as RunFacts['outcome'], `r${runs++}`) } // all others were looked at
    const decision = decide(state, event, on, nowMs)
    state = decision.state
    const { message } = decision
    return message === null ? null : [message.kind, ...message.was].join(' ')
  })
}

describe('one message per change of state', () => {
  test.each<[promise: string, steps: Step[], told: (string | null)[]]>([
    ['nothing is told of runs that go well', ['succeeded', 'succeeded'], [null, null]],
    [
      'a failure is told once, and its end once',
      ['failed', 'failed', 'failed', 'succeeded', 'succeeded'],
      ['failed', null, null, 'recovered failed', null],
    ],
    ['each new failure is a change', ['failed', 'succeeded', 'failed'], ['failed', 'recovered failed', 'failed']],
    ['warnings are told once, too', ['warned', 'warned', 'succeeded'], ['warned', null, 'recovered warned']],
    [
      'warnings that become a failure',
      ['warned', 'failed', 'succeeded'],
      ['warned', 'failed', 'recovered warned failed'],
    ],
    [
      'a failure that ends with warnings is one message, and those end with one',
      ['failed', 'warned', 'warned', 'succeeded'],
      ['failed', 'recovered failed', null, 'recovered warned'],
    ],
    [
      'a slow run is told while it runs; one that is slow again is not',
      ['slow', 'succeeded', 'slow', 'succeeded', 'succeeded'],
      ['slow', null, null, null, 'recovered slow'],
    ],
    [
      'a run that is slow and then fails is both',
      ['slow', 'failed', 'succeeded'],
      ['slow', 'failed', 'recovered slow failed'],
    ],
    [
      'no success until the deadline is stale, once',
      ['watched 1', 'watched 1', 'watched 1', 'watched 1', 'succeeded'],
      [null, null, 'stale', null, 'recovered stale'],
    ],
    [
      'a success sets a new deadline',
      ['watched 1', 'succeeded', 'watched 1', 'watched 1', 'watched 1'],
      [null, null, null, null, 'stale'],
    ],
    [
      'who knows that it fails is not told that it is stale',
      ['failed', 'watched 1', 'watched 1', 'watched 1', 'succeeded'],
      ['failed', null, null, null, 'recovered failed'],
    ],
    [
      'a stale one that then fails is a change: now there is an error',
      ['watched 0', 'watched 0', 'failed'],
      [null, 'stale', 'failed'],
    ],
    [
      'paused schedules are not stale, and begin anew',
      ['watched 1', 'watched paused', 'watched 1', 'watched 1', 'watched 1'],
      [null, null, null, null, 'stale'],
    ],
  ])('%s', (_promise, steps, told) => {
    expect(story(steps)).toEqual(told)
  })

  test('nobody is told of what was not asked for, nor that it recovered', () => {
    expect(story(['failed', 'succeeded', 'warned', 'succeeded', 'slow'], ['stale', 'recovered'])).toEqual([
      null,
      null,
      null,
      null,
      null,
    ])
    expect(story(['failed', 'succeeded', 'failed'], ['failed'])).toEqual(['failed', null, 'failed'])
    expect(story(['failed', 'warned', 'succeeded'], ['failed', 'recovered'])).toEqual([
      'failed',
      'recovered failed',
      null,
    ])
    expect(story(['failed', 'warned', 'succeeded'], ['failed', 'warned'])).toEqual(['failed', 'warned', null])
  })
})

test('schedules that change set a new deadline', () => {
  const watched = (atMs: number, of: string): AlertEvent => ({ kind: 'watched', deadline: { atMs, of } })
  const first = decide(CALM, watched(DAY, 'daily'), ALERT_KINDS, 0).state
  expect(decide(first, watched(3 * DAY, 'daily'), ALERT_KINDS, HOUR).state.deadline?.atMs).toBe(DAY)
  expect(decide(first, watched(3 * DAY, 'weekly'), ALERT_KINDS, HOUR).state.deadline?.atMs).toBe(3 * DAY)
})

test('100 failures in a row are at most one message and one for each day', () => {
  const everyMs = 90 * MINUTE
  let state: AlertState = CALM
  const told: string[] = []
  for (let index = 0; index < 100; index++) {
    const nowMs = index * everyMs
    for (let at = reminderAtMs(state, DAY); at !== null && at <= nowMs; at = reminderAtMs(state, DAY)) {
      const reminder = remind(state, at)
      state = reminder.state
      told.push(reminder.message?.kind ?? '')
    }
    const decision = decide(state, { kind: 'ended', run: run('failed', `r${index}`) }, ALERT_KINDS, nowMs)
    state = decision.state
    if (decision.message !== null) told.push(decision.message.kind)
  }
  const days = Math.floor((99 * everyMs) / DAY)
  expect(days).toBe(6)
  expect(told).toEqual(['failed', ...Array<string>(days).fill('reminder')])
  const after = decide(state, { kind: 'ended', run: run('succeeded') }, ALERT_KINDS, 100 * everyMs)
  expect(after.message).toMatchObject({ kind: 'recovered', was: ['failed'], runs: 100, sinceMs: 0 })
  expect(reminderAtMs(after.state, DAY)).toBeNull()
})

test('warnings are not reminded of, and only a calm pipeline is forgotten', () => {
  const warned = decide(CALM, { kind: 'ended', run: run('warned') }, ALERT_KINDS, 0).state
  expect(reminderAtMs(warned, DAY)).toBeNull()
  expect(isCalm(warned, ['failed'])).toBe(false)
  expect(isCalm(CALM, ['failed'])).toBe(true)
  // The watch needs to know when it last went well.
  expect(isCalm(CALM, ['failed', 'stale'])).toBe(false)
})
