// A cold cache is a warning: whatever becomes of a warm step, the run goes on.
import { expect, test } from 'vitest'
import { failure } from '../../src/pipeline/failure.ts'
import type { PlannedStep } from '../../src/pipeline/plan.ts'
import { stepsTable } from '../../src/pipeline/report.ts'
import { dbtStep, planOf, runScripted } from '../support/scripted.ts'

const WARM: PlannedStep = {
  kind: 'warm',
  id: 'warm',
  // As planning freezes it, always.
  onFailure: 'warn',
  skipped: false,
  baseUrl: '${API_BASE_URL:-http://localhost:8000}',
  paths: ['/api/a', '/api/b'],
  timeoutMs: 1_000,
  retries: 1,
  retryDelayMs: 10,
}

test('a path that is not answered with 200 warns, and each is told with what it was answered', async () => {
  const asked: unknown[] = []
  const warmCaches = async (input: unknown) => {
    asked.push(input)
    return [
      { path: '/api/a', status: 200, answer: '200', durationMs: 12, attempts: 1 },
      { path: '/api/b', status: null, answer: 'connection refused', durationMs: 3, attempts: 2 },
    ]
  }
  const plan = planOf('lukewarm', [WARM, dbtStep('test')])
  const { report } = await (await runScripted(plan, { warmCaches })).end()

  expect(report.outcome).toBe('warned')
  expect(report.steps.map(({ state, attempts }) => [state, attempts])).toEqual([
    ['warned', 2],
    ['succeeded', 1],
    ['succeeded', 1],
  ])
  expect(stepsTable(report.steps)).toContain('| warm | warned | 1 of 2 warm · /api/b connection refused |')
  // The environment is none of the workflow's business: nothing of it stands in a history.
  expect(asked).toMatchObject([{ work: { baseUrl: '${API_BASE_URL:-http://localhost:8000}' } }])
})

test('a warm step that itself breaks warns, too', async () => {
  const warmCaches = () => Promise.reject(failure('Internal', 'broken'))
  const { report } = await (await runScripted(planOf('broken-warm', [WARM, dbtStep('test')]), { warmCaches })).end()
  expect(report.outcome).toBe('warned')
  expect(report.steps.map(({ state }) => state)).toEqual(['warned', 'succeeded', 'succeeded'])
  expect(report.steps[0]?.failure?.type).toBe('Internal')
})
