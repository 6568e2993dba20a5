// The story's rules, on the real server: what is retried, what ends a run, and that every run is recorded.
import { setTimeout as pause } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { describe, expect, test } from 'vitest'
import { failure } from '../../src/pipeline/failure.ts'
import type { DbtFailureDetail, RunReport } from '../../src/pipeline/report.ts'
import { dbtReport, dbtStep, ingestStep, loadReport, planOf, runScripted } from '../support/scripted.ts'

/** Keeps the reports that the run wrote. */
function recorder() {
  const recorded: RunReport[] = []
  return {
    recorded,
    recordRefresh: async ({ report }: { report: RunReport }) => {
      recorded.push(report)
    },
  }
}

/** Works until it is cancelled, beating as a real step does. */
async function untilCancelled(): Promise<never> {
  const beat = setInterval(() => Context.current().heartbeat(), 100)
  try {
    return await Context.current().cancelled
  } finally {
    clearInterval(beat)
  }
}

describe('a run that goes well', () => {
  test('does its steps in order and reports their outcomes, run and test by name', async () => {
    const order: string[] = []
    const plan = planOf('well', [ingestStep('events'), dbtStep('run'), dbtStep('test')])
    const run = await runScripted(plan, {
      ingestTable: async () => (order.push('ingest'), loadReport),
      dbtRun: async () => (order.push('run'), dbtReport),
      dbtTest: async () => (order.push('test'), { ...dbtReport, counts: { pass: 1, warn: 1 } }),
      recordRefresh: async () => void order.push('record'),
    })
    const { report, status } = await run.end()
    expect(order).toEqual(['ingest', 'run', 'test', 'record'])
    expect(status).toBe('COMPLETED')
    expect(report).toMatchObject({ target: 'dev', outcome: 'warned', run: 'succeeded', test: 'warned' })
  })

  test('can be found by pipeline, target, date and outcome', async () => {
    const run = await runScripted(planOf('found', [dbtStep('run')]), {})
    await run.end()
    const { typedSearchAttributes } = await run.handle.describe()
    const found = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]))
    expect(found).toMatchObject({
      Pipeline: 'scripted',
      Target: 'dev',
      LogicalDate: '2026-11-18',
      Outcome: 'succeeded',
    })
  })
})

describe('files that are not there yet', () => {
  const waiting = (waitForMs: number) => {
    const step = ingestStep('events')
    if (step.kind !== 'ingest') throw new Error('an ingest step')
    return { ...step, entries: step.entries.map((entry) => ({ ...entry, missing: 'wait' as const, waitForMs })) }
  }

  test('are waited for, and loaded once they are there', async () => {
    const looks: string[] = []
    const run = await runScripted(planOf('waits', [waiting(1_000)]), {
      findFiles: async () => looks.push('look') - 1,
      ingestTable: async () => (looks.push('load'), loadReport),
    })
    const { report } = await run.end()
    expect(looks).toEqual(['look', 'look', 'load'])
    expect(report.outcome).toBe('succeeded')
  })

  test('fail the run when they do not come within their time, before anything is loaded', async () => {
    let loads = 0
    const run = await runScripted(planOf('waited', [waiting(1_000), dbtStep('run')]), {
      findFiles: async () => 0,
      ingestTable: async () => (loads++, loadReport),
    })
    const { report } = await run.end()
    expect(loads).toBe(0)
    expect(report).toMatchObject({ outcome: 'failed', run: 'skipped', failure: { type: 'FileMissing' } })
    expect(report.failure?.message).toContain('data/events.csv did not come within 1.0 s')
  })

  test('make the run skipped, not failed, where they need not be there; dbt does not run, the run is recorded', async () => {
    const { recorded, recordRefresh } = recorder()
    let dbtRuns = 0
    const run = await runScripted(planOf('skips', [ingestStep('events', 'users'), dbtStep('run')]), {
      ingestTable: async () => ({ ...loadReport, status: 'skipped', read: 0, loaded: 0 }),
      dbtRun: async () => (dbtRuns++, dbtReport),
      recordRefresh,
    })
    const { report, status } = await run.end()
    expect({ dbtRuns, status, outcome: report.outcome }).toEqual({
      dbtRuns: 0,
      status: 'COMPLETED',
      outcome: 'skipped',
    })
    expect(recorded).toHaveLength(1)
  })

  test('of one of two loads do not keep the run from going on', async () => {
    const run = await runScripted(planOf('half', [ingestStep('events', 'users'), dbtStep('run')]), {
      ingestTable: async ({ entry }) =>
        entry.id === 'raw.users' ? { ...loadReport, status: 'skipped', read: 0, loaded: 0 } : loadReport,
    })
    const { report } = await run.end()
    expect(report).toMatchObject({ outcome: 'succeeded', run: 'succeeded' })
    expect(report.steps[0]?.loads.map(({ state }) => state)).toEqual(['succeeded', 'skipped'])
  })
})

test('a load without a single record makes the run warned', async () => {
  const run = await runScripted(planOf('empty', [ingestStep('events'), dbtStep('run')]), {
    ingestTable: async () => ({ ...loadReport, read: 0, loaded: 0, removed: 2_000 }),
  })
  const { report } = await run.end()
  expect(report).toMatchObject({ outcome: 'warned', run: 'succeeded' })
})

describe('failed work', () => {
  test('is tried again as often as the step allows, when a retry can help', async () => {
    let tries = 0
    const plan = planOf('retry', [dbtStep('run', { retries: 2 })])
    const run = await runScripted(plan, {
      dbtRun: async () => {
        tries++
        if (tries < 3) throw failure('DbtTransient', 'the connection was reset')
        return dbtReport
      },
    })
    const { report } = await run.end()
    expect(tries).toBe(3)
    expect(report.steps[0]).toMatchObject({ state: 'succeeded', attempts: 3 })
  })

  test('fails the run when the retries are used up, with the last failure as its reason', async () => {
    let tries = 0
    const { recorded, recordRefresh } = recorder()
    const plan = planOf('used-up', [dbtStep('run', { retries: 1 }), dbtStep('test')])
    const run = await runScripted(plan, {
      recordRefresh,
      dbtRun: async () => {
        tries++
        throw failure('DbtTransient', `reset ${tries}`)
      },
    })
    const { report, status, failureType } = await run.end()
    expect(tries).toBe(2)
    expect({ status, failureType }).toEqual({ status: 'FAILED', failureType: 'DbtTransient' })
    expect(report.failure).toEqual({ type: 'DbtTransient', message: 'reset 2' })
    expect(report.steps.map(({ state }) => state)).toEqual(['failed', 'skipped', 'succeeded'])
    expect(recorded).toHaveLength(1)
  })

  test('is not tried again when a retry cannot help', async () => {
    let tries = 0
    const run = await runScripted(planOf('final', [dbtStep('test', { retries: 5 })]), {
      dbtTest: async () => {
        tries++
        throw failure('DbtTestsFailed', 'one test failed')
      },
    })
    const { failureType } = await run.end()
    expect({ tries, failureType }).toEqual({ tries: 1, failureType: 'DbtTestsFailed' })
  })

  test('of tests is tried again where the step says so', async () => {
    let tries = 0
    const run = await runScripted(planOf('tests', [dbtStep('test', { retries: 2, retryTests: true })]), {
      dbtTest: async () => {
        tries++
        throw failure('DbtTestsFailed', 'one test failed')
      },
    })
    const { failureType } = await run.end()
    expect({ tries, failureType }).toEqual({ tries: 3, failureType: 'DbtTestsFailed' })
  })

  test('that nobody has a class for is tried once more, however many retries the step has', async () => {
    let tries = 0
    const run = await runScripted(planOf('unknown', [dbtStep('run', { retries: 5 })]), {
      dbtRun: async () => {
        tries++
        throw failure('DbtUnknown', 'never seen')
      },
    })
    const { failureType } = await run.end()
    expect({ tries, failureType }).toEqual({ tries: 2, failureType: 'DbtUnknown' })
  })

  test('waits as long as the failure itself asks for, doubled each time, where the step names no delay', async () => {
    let tries = 0
    const detail: DbtFailureDetail = { report: dbtReport, retryDelay: { firstMs: 200, maxMs: 500 } }
    const run = await runScripted(planOf('delays', [dbtStep('run', { retries: 3, retryDelayMs: null })]), {
      dbtRun: async () => {
        tries++
        if (tries < 4) throw failure('DbtTransient', 'reset', [detail])
        return dbtReport
      },
    })
    await run.end()
    const { events } = await run.handle.fetchHistory()
    const waits = (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) => {
      const { seconds, nanos } = timer?.startToFireTimeout ?? {}
      return Number(seconds ?? 0) === 0 && nanos ? [nanos / 1e6] : []
    })
    expect(waits).toEqual([200, 400, 500])
  })

  test('of dbt leaves in the report what dbt did until then', async () => {
    const report = { ...dbtReport, counts: { success: 1, error: 1 } }
    const detail: DbtFailureDetail = { report, retryDelay: { firstMs: 1, maxMs: 1 } }
    const run = await runScripted(planOf('partly', [dbtStep('run')]), {
      dbtRun: async () => {
        throw failure('DbtNodesFailed', 'one node failed', [detail])
      },
    })
    expect((await run.end()).report.steps[0]).toMatchObject({ state: 'failed', dbt: report })
  })

  test('of a step with on_failure: warn lets the run go on', async () => {
    const plan = planOf('warn', [dbtStep('test', { onFailure: 'warn' }), dbtStep('run')])
    const run = await runScripted(plan, {
      dbtTest: async () => {
        throw failure('DbtTestsFailed', 'one test failed')
      },
    })
    const { report } = await run.end()
    expect(report.outcome).toBe('warned')
    expect(report.steps.map(({ state }) => state)).toEqual(['warned', 'succeeded', 'succeeded'])
  })

  test('of one load does not keep the others from being done', async () => {
    const done: string[] = []
    const run = await runScripted(planOf('loads', [ingestStep('bad', 'good'), dbtStep('run')]), {
      ingestTable: async ({ entry }) => {
        if (entry.id === 'raw.bad') throw failure('HeaderMismatch', 'no such column')
        done.push(entry.id)
        return loadReport
      },
    })
    const { report } = await run.end()
    expect(done).toEqual(['raw.good'])
    expect(report.steps[0]?.loads.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
    expect(report.failure?.type).toBe('HeaderMismatch')
  })
})

test('a lost worker is no failed work: the step goes on without using up a retry', async () => {
  let tries = 0
  const run = await runScripted(planOf('lost', [dbtStep('run', { retries: 0 })]), {
    dbtRun: async () => {
      tries++
      // The first attempt falls silent, as a killed process does.
      if (tries === 1) await pause(8_000)
      return dbtReport
    },
  })
  const { report } = await run.end()
  expect(tries).toBe(2)
  expect(report.steps[0]).toMatchObject({ state: 'succeeded', attempts: 1 })
})

test('a run that takes too long is stopped, recorded, and fails as RunTimedOut', async () => {
  const { recorded, recordRefresh } = recorder()
  const plan = planOf('slow', [dbtStep('run'), dbtStep('test')], { timeoutMs: 1_000 })
  const run = await runScripted(plan, { recordRefresh, dbtRun: untilCancelled })
  const { report, failureType } = await run.end()
  expect(failureType).toBe('RunTimedOut')
  expect(report.steps.map(({ state }) => state)).toEqual(['cancelled', 'skipped', 'succeeded'])
  expect(recorded[0]).toMatchObject({ outcome: 'failed' })
})

test('a cancelled run ends its step first, is recorded, and ends as cancelled', async () => {
  const { recorded, recordRefresh } = recorder()
  const began = Promise.withResolvers<void>()
  let stepEnded = false
  const run = await runScripted(planOf('cancel', [dbtStep('run')]), {
    dbtRun: async () => {
      began.resolve()
      try {
        return await untilCancelled()
      } finally {
        await pause(300)
        stepEnded = true
      }
    },
    recordRefresh: async (input) => {
      expect(stepEnded).toBe(true)
      await recordRefresh(input)
    },
  })
  await began.promise
  await run.handle.cancel()
  const { report, status } = await run.end()
  expect(status).toBe('CANCELLED')
  expect(report.outcome).toBe('cancelled')
  expect(recorded).toHaveLength(1)
})

test('a run that cannot be planned touches no step and still leaves a report', async () => {
  const { recorded, recordRefresh } = recorder()
  const plan = planOf('unplanned', [dbtStep('run')])
  const run = await runScripted(plan, {
    recordRefresh,
    planRun: async () => {
      throw failure('TargetUnknown', "there is no target 'prd'")
    },
    dbtRun: async () => {
      throw new Error('must not run')
    },
  })
  const { failureType } = await run.end()
  expect(failureType).toBe('TargetUnknown')
  expect(recorded[0]).toMatchObject({ outcome: 'failed', steps: [], failure: { type: 'TargetUnknown' } })
})

test('a run that cannot be recorded fails, even where everything else went well', async () => {
  const run = await runScripted(planOf('unrecorded', [dbtStep('run')]), {
    recordRefresh: async () => {
      throw failure('DiskFull', 'no space left')
    },
  })
  const { report, failureType } = await run.end()
  expect(failureType).toBe('DiskFull')
  expect(report).toMatchObject({ outcome: 'failed', run: 'succeeded' })
})

test('steps that the request leaves out are skipped', async () => {
  const plan = planOf('only', [dbtStep('run', { skipped: true }), dbtStep('test')])
  const run = await runScripted(plan, {
    dbtRun: async () => {
      throw new Error('must not run')
    },
  })
  const { report } = await run.end()
  expect(report.steps.map(({ state }) => state)).toEqual(['skipped', 'succeeded', 'succeeded'])
})
