// Jobs on a scripted BigQuery: done once, whatever gets lost, refused or broken on the way.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  openFake,
  PROJECT,
  refusal,
  startBigQueryFake,
  type BigQueryFake,
  type FakeAnswer,
  type FakeRequest,
} from '../../../tests/support/bigquery-fake.ts'
import { cancelJobs, runJob } from './jobs.ts'
import type { Job, JobConfiguration } from './rest.ts'

let fake: BigQueryFake
beforeEach(async () => {
  fake = await startBigQueryFake()
})
afterEach(() => fake.stop())

const INTO = { projectId: PROJECT, datasetId: 'raw', tableId: 'staging' }
const LOAD: JobConfiguration = {
  labels: { millrace_run: 'run-1', millrace_attempt: '2' },
  load: { destinationTable: INTO, sourceFormat: 'PARQUET', writeDisposition: 'WRITE_TRUNCATE' },
}
const QUERY: JobConfiguration = { labels: { millrace_load: 'a', millrace_attempt: '2' }, query: { query: 'SELECT 1' } }

/** The job of an id, as BigQuery describes it. */
function job(id: string, state: 'PENDING' | 'RUNNING' | 'DONE', change: Partial<Job> = {}): { json: Job } {
  const jobReference = { projectId: PROJECT, jobId: id, location: 'EU' }
  return { json: { jobReference, configuration: LOAD, status: { state }, ...change } }
}

function failed(id: string, reason: string, change: Partial<Job> = {}): { json: Job } {
  return job(id, 'DONE', {
    status: { state: 'DONE', errorResult: { reason, message: `it says ${reason}` } },
    ...change,
  })
}

/** Takes any job, in the state that is wanted. */
const taken =
  (state: 'PENDING' | 'RUNNING' | 'DONE') =>
  ({ json }: FakeRequest): FakeAnswer => {
    const wanted = json as Job // what jobs.ts sends
    return { json: { ...wanted, status: { state } } }
  }

const duplicate = refusal(409, 'duplicate', 'Already Exists: Job')

async function run(configuration = LOAD, change: Partial<Parameters<typeof runJob>[1]> = {}) {
  return await runJob(await openFake(fake), { id: 'load-1', configuration, ...change })
}

const insertedIds = () => fake.of('POST /jobs').map(({ json }) => (json as Job).jobReference?.jobId)

test('a job is inserted under our id, in our location, with its labels, by our token', async () => {
  fake.on('POST /jobs', taken('DONE'))

  await run()

  const [request] = fake.requests
  expect(request?.json).toEqual({
    jobReference: { projectId: PROJECT, jobId: 'load-1', location: 'EU' },
    configuration: LOAD,
  })
  expect(request?.headers.authorization).toBe('Bearer ya29.a-token-of-the-test')
})

test('calls go where the profile says, whatever BIGQUERY_EMULATOR_HOST names', async () => {
  vi.stubEnv('BIGQUERY_EMULATOR_HOST', 'http://127.0.0.1:1')
  fake.on('POST /jobs', taken('DONE'))
  try {
    await run()
  } finally {
    vi.unstubAllEnvs()
  }
  expect(insertedIds()).toEqual(['load-1'])
})

test('a job is waited for until it is done', async () => {
  fake.on('POST /jobs', taken('PENDING'))
  fake.on('GET /jobs/load-1', job('load-1', 'PENDING'), job('load-1', 'RUNNING'), job('load-1', 'DONE'))

  expect((await run()).status?.state).toBe('DONE')
  expect(fake.of('GET /jobs/load-1').map(({ query }) => query['location'])).toEqual(['EU', 'EU', 'EU'])
})

test('an insert that is refused for its rate (HTTP 403) is tried again', async () => {
  fake.on('POST /jobs', refusal(403, 'rateLimitExceeded'), refusal(403, 'rateLimitExceeded'), taken('DONE'))

  await run()
  expect(insertedIds()).toEqual(['load-1', 'load-1', 'load-1'])
})

test.each([408, 429, 500, 502, 503, 504])('an insert that is answered with %i is tried again', async (status) => {
  fake.on('POST /jobs', { status }, taken('DONE'))

  await run()
  expect(fake.of('POST /jobs')).toHaveLength(2)
})

test('a service that stays away is not asked for ever', async () => {
  fake.on('POST /jobs', refusal(503, 'backendError'))

  await expect(run()).rejects.toMatchObject({ reason: 'backendError', status: 503 })
  expect(fake.of('POST /jobs')).toHaveLength(5)
})

test('an error that stays is not tried again', async () => {
  fake.on('POST /jobs', refusal(400, 'invalid', 'no such option'))

  await expect(run()).rejects.toMatchObject({ reason: 'invalid', message: 'no such option' })
  expect(fake.of('POST /jobs')).toHaveLength(1)
})

describe('a job that is there already', () => {
  test('is adopted, and waited for', async () => {
    fake.on('POST /jobs', duplicate)
    fake.on('GET /jobs/load-1', job('load-1', 'RUNNING'), job('load-1', 'DONE', { etag: 'the earlier one' }))

    expect(await run()).toMatchObject({ etag: 'the earlier one' })
    expect(insertedIds()).toEqual(['load-1'])
  })

  test('is adopted when the answer to our insert was lost', async () => {
    fake.on('POST /jobs', { cut: true }, duplicate)
    fake.on('GET /jobs/load-1', job('load-1', 'DONE'))

    await run()
    expect(insertedIds()).toEqual(['load-1', 'load-1'])
  })

  test('is adopted although another attempt inserted it, and with another text', async () => {
    const earlier = { labels: { millrace_attempt: '1', millrace_load: 'a' }, query: { query: 'SELECT 2' } }
    fake.on('POST /jobs', duplicate)
    fake.on('GET /jobs/load-1', job('load-1', 'DONE', { configuration: earlier }))

    await run(QUERY)
    expect(insertedIds()).toEqual(['load-1'])
  })

  const other: readonly (readonly [what: string, JobConfiguration, JobConfiguration])[] = [
    ['loads another table', LOAD, { load: { ...LOAD.load, destinationTable: { ...INTO, tableId: 'other' } } }],
    ['appends', LOAD, { load: { ...LOAD.load, writeDisposition: 'WRITE_APPEND' } }],
    ['runs a query', LOAD, QUERY],
    ['is a query of other work', QUERY, { ...QUERY, labels: { millrace_load: 'b' } }],
  ]
  test.each(other)('but %s is refused', async (_what, wanted, configuration) => {
    fake.on('POST /jobs', duplicate)
    fake.on('GET /jobs/load-1', job('load-1', 'DONE', { configuration }))

    await expect(run(wanted)).rejects.toMatchObject({
      reason: 'idTaken',
      message: expect.stringMatching(/^a job load-1 is there already, but it does something else/),
    })
    expect(insertedIds()).toEqual(['load-1'])
  })

  test('is found although it does not show at once', async () => {
    fake.on('POST /jobs', duplicate)
    fake.on('GET /jobs/load-1', refusal(404, 'notFound'), refusal(404, 'notFound'), job('load-1', 'DONE'))

    await run()
    expect(insertedIds()).toEqual(['load-1', 'load-1', 'load-1'])
  })

  test('and failed has burnt its id: the next generation takes its place', async () => {
    fake.on('POST /jobs', duplicate, duplicate, taken('DONE'))
    fake.on('GET /jobs/load-1', failed('load-1', 'invalidQuery'))
    fake.on('GET /jobs/load-1_g1', failed('load-1_g1', 'stopped'))

    expect((await run()).jobReference?.jobId).toBe('load-1_g2')
  })

  test('and succeeded counts for nothing when its result is gone', async () => {
    fake.on('POST /jobs', duplicate, taken('DONE'))
    fake.on('GET /jobs/load-1', job('load-1', 'DONE'))

    const done = await run(LOAD, { stillThere: () => Promise.resolve(false) })
    expect(done.jobReference?.jobId).toBe('load-1_g1')
  })

  test('and succeeded counts when its result is there', async () => {
    fake.on('POST /jobs', duplicate)
    fake.on('GET /jobs/load-1', job('load-1', 'DONE'))

    const done = await run(LOAD, { stillThere: () => Promise.resolve(true) })
    expect(done.jobReference?.jobId).toBe('load-1')
  })
})

describe('a job that is done', () => {
  test('with an errorResult has failed', async () => {
    fake.on('POST /jobs', failed('load-1', 'invalid'))

    await expect(run()).rejects.toMatchObject({ reason: 'invalid', jobId: 'load-1', message: 'it says invalid' })
    expect(fake.of('POST /jobs')).toHaveLength(1)
  })

  test.each(['backendError', 'internalError', 'jobBackendError', 'jobInternalError', 'jobRateLimitExceeded'])(
    'with %s is run again, under another id',
    async (reason) => {
      fake.on('POST /jobs', failed('load-1', reason), taken('DONE'))

      await run()
      expect(insertedIds()).toEqual(['load-1', 'load-1_g1'])
    },
  )

  test('because another transaction was faster is run again', async () => {
    const errorResult = {
      reason: 'invalidQuery',
      message: 'Transaction is aborted due to concurrent update against table p:raw.millrace_loads.',
    }
    fake.on('POST /jobs', job('load-1', 'DONE', { status: { state: 'DONE', errorResult } }), taken('DONE'))

    await run()
    expect(insertedIds()).toEqual(['load-1', 'load-1_g1'])
  })

  test('with such an error again and again is given up', async () => {
    fake.on('POST /jobs', ({ json }) => failed((json as Job).jobReference?.jobId ?? '', 'jobBackendError'))

    await expect(run()).rejects.toMatchObject({ reason: 'jobBackendError', jobId: 'load-1_g4' })
    expect(insertedIds()).toEqual(['load-1', 'load-1_g1', 'load-1_g2', 'load-1_g3', 'load-1_g4'])
  })

  test('with errors that are only warnings has succeeded', async () => {
    const status = { state: 'DONE', errors: [{ reason: 'invalid', message: 'a value was cut' }] }
    fake.on('POST /jobs', job('load-1', 'DONE', { status }))

    expect((await run()).status?.errors).toHaveLength(1)
  })
})

test('a job that does not show right after its insert is looked for again', async () => {
  fake.on('POST /jobs', taken('PENDING'))
  fake.on('GET /jobs/load-1', refusal(404, 'notFound'), refusal(404, 'notFound'), job('load-1', 'DONE'))

  await run()
  expect(insertedIds()).toEqual(['load-1'])
})

test('a refusal while we look does no harm', async () => {
  fake.on('POST /jobs', taken('PENDING'))
  fake.on('GET /jobs/load-1', { status: 503 }, refusal(403, 'rateLimitExceeded'), { cut: true }, job('load-1', 'DONE'))

  await run()
  expect(insertedIds()).toEqual(['load-1'])
})

test('an abort cancels the job that we wait for', async () => {
  const abort = new AbortController()
  fake.on('POST /jobs', taken('PENDING'))
  fake.on('POST /jobs/load-1/cancel', { json: {} })
  fake.on('GET /jobs/load-1', job('load-1', 'RUNNING'), () => {
    abort.abort(new Error('the run was cancelled'))
    return job('load-1', 'RUNNING')
  })
  const api = await openFake(fake, { abort: abort.signal })

  await expect(runJob(api, { id: 'load-1', configuration: LOAD })).rejects.toThrow('the run was cancelled')
  expect(fake.of('POST /jobs/load-1/cancel')).toHaveLength(1)
})

describe('what was left running', () => {
  const labelled = (id: string, labels: Record<string, string>, state: 'RUNNING' | 'DONE' = 'RUNNING') =>
    job(id, state, { configuration: { ...QUERY, labels } }).json

  test('is found by label on every page, cancelled, and waited for; other jobs are let alone', async () => {
    fake.on(
      'GET /jobs',
      {
        json: {
          jobs: [labelled('a', { millrace_run: 'r' }), labelled('b', { millrace_run: 'q' })],
          nextPageToken: '2',
        },
      },
      { json: { jobs: [labelled('c', { dbt_invocation_id: 'i' }), labelled('d', { millrace_run: 'r' }, 'DONE')] } },
    )
    for (const id of ['a', 'c']) {
      fake.on(`POST /jobs/${id}/cancel`, { json: {} })
      fake.on(`GET /jobs/${id}`, job(id, 'RUNNING'), failed(id, 'stopped'))
    }

    const ended = await cancelJobs(await openFake(fake), [
      ['millrace_run', 'r'],
      ['dbt_invocation_id', 'i'],
    ])

    expect(ended).toEqual(['a', 'c'])
    expect(fake.of('GET /jobs')[0]?.query).toMatchObject({ projection: 'full', stateFilter: ['pending', 'running'] })
    expect(fake.of('GET /jobs')[1]?.query).toMatchObject({ pageToken: '2' })
    expect(fake.requests.filter(({ route }) => /\/(b|d)\b/.test(route))).toEqual([])
    expect(fake.of('GET /jobs/a')).toHaveLength(2)
  })
})
