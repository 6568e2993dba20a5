// What reaches readers: only what this run has built and checked, and only within its budget.
import { describe, expect, test } from 'vitest'
import type { PublishMartsInput } from '../../src/activities/publish-marts.ts'
import type { RunDbtInput } from '../../src/activities/run-dbt.ts'
import { dbtFailureDetail } from '../../src/dbt/verdict.ts'
import { failure } from '../../src/pipeline/failure.ts'
import { identifier } from '../../src/pipeline/identifier.ts'
import type { PlannedStep } from '../../src/pipeline/plan.ts'
import type { MartReport } from '../../src/pipeline/report.ts'
import { dbtReport, dbtStep, planOf, runScripted } from '../support/scripted.ts'

const relation = { database: 'w', schema: 'candidate', name: 'mart_users' }
const mart = identifier('mart_users')
const base = { onFailure: 'fail', skipped: false } as const

const VALIDATE: PlannedStep = {
  ...base,
  kind: 'validate',
  id: 'validate',
  marts: [{ mart, relation, key: [identifier('user_id')], unique: false, maxNullShare: 0 }],
}
const PUBLISH: PlannedStep = {
  ...base,
  kind: 'publish',
  id: 'publish',
  to: identifier('analytics'),
  marts: [{ mart, relation }],
  copyTo: null,
}

function martReport(verdict: MartReport['verdict']): MartReport {
  return { mart, relation: 'candidate.mart_users', verdict, rows: 1132, checks: [] }
}

/** Scripted validation and publishing; what was asked of the latter. */
function publisher(verdict: MartReport['verdict'] = 'VALID') {
  const asked: PublishMartsInput[] = []
  return {
    asked,
    validateMarts: async () => ({ result: [martReport(verdict)], bytesBilled: null }),
    publishMarts: async (input: PublishMartsInput) => {
      asked.push(input)
      return { result: { to: 'analytics', marts: [{ mart, rows: 1132 }], copy: null }, bytesBilled: null }
    },
  }
}

test('what was validated is published, with the rows that were counted then', async () => {
  const { asked, ...activities } = publisher('WARNING')
  const run = await runScripted(planOf('published', [dbtStep('run'), VALIDATE, PUBLISH]), activities)
  const { report } = await run.end()

  expect(asked).toMatchObject([
    { work: { to: 'analytics', marts: [{ mart, relation }], copyTo: null }, checkedRows: { mart_users: 1132 } },
  ])
  expect(report.outcome).toBe('warned')
  expect(report.steps.find(({ id }) => id === 'publish')?.published).toEqual({
    to: 'analytics',
    marts: [{ mart: 'mart_users', rows: 1132 }],
    copy: null,
  })
})

describe('nothing is published', () => {
  test('after a mart that failed its checks, although the step may fail', async () => {
    const { asked, ...activities } = publisher('FAILED')
    const plan = planOf('unchecked', [{ ...VALIDATE, onFailure: 'warn' }, PUBLISH])
    const { report, failureType } = await (await runScripted(plan, activities)).end()

    expect(failureType).toBe('PublishRefused')
    expect(report.failure?.message).toMatch(
      /^step validate failed \(MartsFailed\), so nothing was published in analytics/,
    )
    expect(asked).toEqual([])
  })

  test('after tests that failed, although the step may fail', async () => {
    const { asked, ...activities } = publisher()
    const plan = planOf('untested', [dbtStep('run'), dbtStep('test', { onFailure: 'warn' }), VALIDATE, PUBLISH])
    const dbtTest = () => Promise.reject(failure('DbtTestsFailed', 'one test failed'))
    const { report, failureType } = await (await runScripted(plan, { ...activities, dbtTest })).end()

    expect(failureType).toBe('PublishRefused')
    expect(report.steps.map(({ state }) => state)).toEqual(['succeeded', 'warned', 'succeeded', 'failed', 'succeeded'])
    expect(asked).toEqual([])
  })
})

describe('a budget of bytes', () => {
  const budget = { bigquery: { stagingBucket: null, maxBytesBilled: 20_000_000_000 } }
  const billed = (bytesBilled: number) => ({ dbtRun: async () => ({ ...dbtReport, bytesBilled }) })

  test('that is not used up stops nothing, and the report says what the run was billed', async () => {
    const plan = planOf('cheap', [dbtStep('run'), dbtStep('test')], budget)
    const dbtTest = async () => ({ ...dbtReport, bytesBilled: 500 })
    const { report } = await (await runScripted(plan, { ...billed(20_000_000_000), dbtTest })).end()
    expect(report).toMatchObject({ outcome: 'succeeded', bytesBilled: 20_000_000_500 })
  })

  test('that is used up ends the run before its next step', async () => {
    const plan = planOf('dear', [dbtStep('run'), dbtStep('test')], budget)
    const { report, failureType } = await (await runScripted(plan, billed(20_000_000_001))).end()
    expect(failureType).toBe('BudgetExceeded')
    expect(report.failure?.message).toMatch(/^the run was billed 20 GB so far, more than its budget of 20 GB; /)
    expect(report.steps.map(({ state }) => state)).toEqual(['succeeded', 'failed', 'succeeded'])
    expect(report.bytesBilled).toBe(20_000_000_001)
  })

  test('is told to each dbt command as what the run was billed before it', async () => {
    const told: number[] = []
    const command = (bytes: number) => async (input: RunDbtInput) => {
      told.push(input.billedBefore)
      return { ...dbtReport, bytesBilled: bytes, bytesEstimated: bytes + 1, notEstimated: 1 }
    }
    const plan = planOf('told', [dbtStep('run'), dbtStep('test')], budget)
    const { report } = await (await runScripted(plan, { dbtRun: command(300), dbtTest: command(40) })).end()

    expect(told).toEqual([0, 300])
    expect(report).toMatchObject({ bytesBilled: 340, bytesEstimated: 342 })
  })

  test('that a command passes ends the run with it, is not tried again, and what was billed is in the report', async () => {
    let attempts = 0
    const dbtRun = () => {
      attempts += 1
      const dbt = { ...dbtReport, bytesBilled: 21_000_000_000, bytesEstimated: 30_000_000_000 }
      return Promise.reject(failure('BudgetExceeded', 'too much', [dbtFailureDetail('BudgetExceeded', dbt)]))
    }
    const plan = planOf('passed', [dbtStep('run', { retries: 2 }), dbtStep('test')], budget)
    const { report, failureType } = await (await runScripted(plan, { dbtRun })).end()

    expect([failureType, attempts]).toEqual(['BudgetExceeded', 1])
    expect(report.steps.map(({ state }) => state)).toEqual(['failed', 'skipped', 'succeeded'])
    expect(report).toMatchObject({ bytesBilled: 21_000_000_000, bytesEstimated: 30_000_000_000 })
  })
})
