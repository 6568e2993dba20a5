// A warm step that could lead to another host is refused before it runs, with its place.
import { expect, test } from 'vitest'
import { places, problemsOf } from '../../tests/support/problems.ts'
import { plannedRefreshLog } from './refresh-log.ts'
import { warmedText } from './warm.ts'
import { warmStep, warmWorkOf } from './warm-step.ts'

/** A sound pipeline but for the keys of its warm step; `¦` marks where a problem is expected. */
const step = (keys: string) => `name: daily
dbt: { project_dir: dbt }
steps:
  - warm: { ${keys} }
`

test.each<[string, string, ...string[]]>([
  ['a path of another host', 'base_url: "http://a", get: [¦//b/x, ¦"/\\\\b", ¦"@b/x", ¦"http://b/x", ¦"/a b"]'],
  ['an address that is none of http', 'base_url: ¦file:///etc, get: [/passwd]'],
  ['nothing to ask for', 'base_url: "http://a", get: ¦[]'],
  ['a time of no unit', 'base_url: "http://a", get: [/x], timeout: ¦10'],
])('%s is refused', (_promise, keys) => {
  const problems = problemsOf(step(keys))
  expect(problems.map((problem) => /:(\d+:\d+):/.exec(problem)?.[1])).toEqual(places(step(keys)))
})

test.each([
  'base_url: "${API_BASE_URL:-http://localhost:8000}", get: [/api/x/summary, "/y?z=1"]',
  'base_url: "${API_BASE_URL}", get: [/x], timeout: 3s, retries: 0, retry_delay: 1s',
  'base_url: "https://api.example.org/v1", get: [/x]',
])('a sound one is taken: %s', (keys) => {
  expect(problemsOf(step(keys))).toEqual([])
})

test('what is left out has a default, and nothing of the environment is resolved', () => {
  expect(warmWorkOf(warmStep.parse({ base_url: '${A:-http://b}', get: ['/x'] }))).toEqual({
    baseUrl: '${A:-http://b}',
    paths: ['/x'],
    timeoutMs: 10_000,
    retries: 1,
    retryDelayMs: 2_000,
  })
})

test('a refresh log is a table, with or without a title', () => {
  const log = (written: string) => problemsOf(`${step('base_url: "http://a", get: [/x]')}refresh_log: ${written}\n`)
  expect(log('dbt_refresh_log')).toEqual([])
  expect(log('{ table: dbt_refresh_log, title: Phase 2 }')).toEqual([])
  expect(log('{ title: Phase 2 }')).toHaveLength(1)
  expect(plannedRefreshLog(undefined)).toEqual({})
})

test('the summary names what is cold', () => {
  const url = (path: string, status: number | null, answer: string) => ({
    path,
    status,
    answer,
    durationMs: 1,
    attempts: 1,
  })
  expect(warmedText([url('/a', 200, '200'), url('/b', 500, '500'), url('/c', null, 'connection refused')])).toBe(
    '1 of 3 warm · /b 500 · /c connection refused',
  )
})
