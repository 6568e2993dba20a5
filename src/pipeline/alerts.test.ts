// What a pipeline file may say of its alerts, and what is refused, all of it at once.
import { expect, test } from 'vitest'
import { places, problemsOf } from '../../tests/support/problems.ts'
import { parsePipeline } from './load.ts'
import { planAlerts } from './alerts.ts'

const file = (alerts: string, rest = '') =>
  `name: daily\ndbt: { project_dir: dbt }\nsteps:\n  - dbt: { command: run }\nalerts: ${alerts}\n${rest}`
const SCHEDULES = 'schedules: { nightly: { cron: "0 2 * * *", target: prod } }'

test('everything that is wrong is said at once, each with its place', () => {
  const cases: [marked: string, ...messages: string[]][] = [
    [
      file('{ on: [¦fialed], email: [a@b.org] }'),
      "'fialed' is none of failed, warned, recovered, slow, stale (did you mean 'failed'?)",
    ],
    [file('¦{ on: [failed] }'), 'tell whom: add `email: [name@example.org]` or `slack: "#channel"`'],
    [file('{ on: [failed], email: [¦nobody] }'), 'expected an e-mail address'],
    [file('{ on: [failed], slack: ¦alerts }'), 'expected a channel such as "#data-alerts", or its ID'],
    [file('{ on: [failed, ¦slow], slack: "#a" }'), '`slow` needs `slow_after: 12m`'],
    [file('{ on: [failed], slow_after: ¦12m, slack: "#a" }'), 'only `on: [slow]` looks at it'],
    [file('{ on: [¦stale], slack: "#a" }'), '`stale` needs `schedules`, or `stale_after: 26h`'],
    [file('{ on: [¦recovered], slack: "#a" }'), 'nobody is told of what it would recover from'],
    [file('{ on: [failed, ¦failed], slack: "#a" }'), "'failed' stands there twice"],
    [file('{ on: [stale], stale_after: ¦5m, remind: ¦2m, slack: "#a" }'), "'5m' is too short", "'2m' is too short"],
  ]
  for (const [marked, ...messages] of cases) {
    const problems = problemsOf(marked)
    expect(problems.map((text) => text.split(':').slice(1, 3).join(':'))).toEqual(places(marked))
    messages.forEach((message, index) => expect(problems[index]).toContain(message))
  }
})

test('a sound one is planned in milliseconds, with defaults', () => {
  const read = parsePipeline(
    file('{ on: [failed, slow, stale], email: [a@b.org], slack: "#phase2-alerts", slow_after: 12m }', SCHEDULES),
    'daily.yml',
    'daily',
  )
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  expect(planAlerts(read.definition.alerts)).toEqual({
    on: ['failed', 'slow', 'stale'],
    email: ['a@b.org'],
    slack: '#phase2-alerts',
    slowAfterMs: 720_000,
    staleAfterMs: null,
    remindMs: 86_400_000,
    giveUpMs: 21_600_000,
    retryMs: 5_000,
  })
})

test.each(['lease', 'backfill', 'alert', 'watch'])('a pipeline cannot be called %s', (name) => {
  const read = parsePipeline(
    `name: ${name}\ndbt: { project_dir: dbt }\nsteps:\n  - dbt: { command: run }\n`,
    'f.yml',
    name,
  )
  expect(read).toMatchObject({ problems: [{ message: expect.stringContaining('is a workflow of Millrace itself') }] })
})
