// SQL on a scripted BigQuery: values that lose nothing, pages, parameters, costs, and failures told in three ways.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openFake, refusal, startBigQueryFake, type BigQueryFake } from '../../../tests/support/bigquery-fake.ts'
import { dryRun, readAll, runStatement } from './query.ts'

let fake: BigQueryFake
beforeEach(async () => {
  fake = await startBigQueryFake()
})
afterEach(() => fake.stop())

const field = (name: string, type: string, mode = 'NULLABLE') => ({ name, type, mode })
const cells = (...values: unknown[]) => ({ f: values.map((v) => ({ v })) })
const reference = { projectId: 'p', jobId: 'q-1', location: 'EU' }

test('values lose nothing on their way', async () => {
  const typed: readonly (readonly [type: string, sent: unknown, value: unknown])[] = [
    ['INTEGER', '9223372036854775807', 9223372036854775807n],
    ['INT64', null, null],
    ['FLOAT', '0.1', 0.1],
    ['FLOAT64', 'NaN', NaN],
    ['FLOAT64', '-Infinity', -Infinity],
    ['NUMERIC', '99999999999999999999999999999.999999999', '99999999999999999999999999999.999999999'],
    ['BIGNUMERIC', '1.00000000000000000000000000000000000001', '1.00000000000000000000000000000000000001'],
    ['BOOLEAN', 'true', true],
    ['BOOL', 'false', false],
    ['STRING', '', ''],
    ['DATE', '0001-01-01', '0001-01-01'],
    ['TIME', '23:59:59.999999', '23:59:59.999999'],
    ['DATETIME', '2026-11-18T02:00:00', '2026-11-18T02:00:00'],
    ['TIMESTAMP', '1795053600123456', '2026-11-19T02:00:00.123456Z'],
    ['TIMESTAMP', '-1', '1969-12-31T23:59:59.999999Z'],
    ['TIMESTAMP', '1.7950536E9', '2026-11-19T02:00:00Z'],
    ['TIMESTAMP', '-62135596800000000', '0001-01-01T00:00:00Z'],
    ['TIMESTAMP', '253402300799999999', '9999-12-31T23:59:59.999999Z'],
    ['JSON', '{"a":[1,null]}', '{"a":[1,null]}'],
  ]
  fake.on('POST /queries', {
    json: {
      jobComplete: true,
      schema: { fields: typed.map(([type], index) => field(`c${index}`, type)) },
      rows: [cells(...typed.map(([, sent]) => sent))],
    },
  })

  const [row] = await readAll(await openFake(fake), { sql: 'SELECT …' })

  expect(Object.values(row ?? {})).toEqual(typed.map(([, , value]) => value))
})

test('arrays and records come as such', async () => {
  const fields = [
    field('tags', 'STRING', 'REPEATED'),
    { ...field('point', 'RECORD'), fields: [field('x', 'INTEGER'), field('y', 'FLOAT')] },
  ]
  const row = cells([{ v: 'a' }, { v: 'b' }], cells('1', '2.5'))
  fake.on('POST /queries', { json: { jobComplete: true, schema: { fields }, rows: [row] } })

  expect(await readAll(await openFake(fake), { sql: 'SELECT …' })).toEqual([
    { tags: ['a', 'b'], point: { x: 1n, y: 2.5 } },
  ])
})

test('a slow query is waited for, and all its pages are read', async () => {
  const schema = { fields: [field('n', 'INTEGER')] }
  fake.on('POST /queries', { json: { jobComplete: false, jobReference: reference } })
  fake.on(
    'GET /queries/q-1',
    { json: { jobComplete: false, jobReference: reference } },
    { json: { jobComplete: true, jobReference: reference, schema, rows: [cells('1')], pageToken: 'two' } },
    { json: { jobComplete: true, jobReference: reference, schema, rows: [cells('2')] } },
  )

  expect(await readAll(await openFake(fake), { sql: 'SELECT n' })).toEqual([{ n: 1n }, { n: 2n }])
  expect(fake.of('GET /queries/q-1').map(({ query }) => [query['location'], query['pageToken']])).toEqual([
    ['EU', undefined],
    ['EU', undefined],
    ['EU', 'two'],
  ])
})

test('a query carries its parameters by name, its labels and its limits', async () => {
  fake.on('POST /queries', { json: { jobComplete: true } })
  const api = await openFake(fake, {
    jobs: { labels: { millrace_run: 'r' }, maximumBytesBilled: '1000', timeoutMs: 5000 },
  })

  await readAll(api, {
    sql: 'SELECT @a, @b, @c',
    parameters: {
      a: { type: 'STRING', value: "it's {{projectId}}" },
      b: { type: 'INT64', value: null },
      c: { type: 'ARRAY<STRING>', value: ['x', 'y'] },
    },
  })

  expect(fake.requests[0]?.json).toMatchObject({
    query: 'SELECT @a, @b, @c',
    useLegacySql: false,
    parameterMode: 'NAMED',
    queryParameters: [
      { name: 'a', parameterType: { type: 'STRING' }, parameterValue: { value: "it's {{projectId}}" } },
      { name: 'b', parameterType: { type: 'INT64' }, parameterValue: {} },
      {
        name: 'c',
        parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } },
        parameterValue: { arrayValues: [{ value: 'x' }, { value: 'y' }] },
      },
    ],
    labels: { millrace_run: 'r' },
    maximumBytesBilled: '1000',
    jobTimeoutMs: '5000',
    location: 'EU',
  })
})

describe('a query that fails', () => {
  test('is told by its status', async () => {
    fake.on('POST /queries', refusal(400, 'invalidQuery', 'Syntax error'))

    await expect(readAll(await openFake(fake), { sql: 'SELEC' })).rejects.toMatchObject({ reason: 'invalidQuery' })
    expect(fake.requests).toHaveLength(1)
  })

  test('is told as an empty success with errors, by an emulator', async () => {
    const errors = [{ reason: 'notFound', message: 'no table' }]
    fake.on('POST /queries', { json: { jobComplete: true, jobReference: reference, schema: { fields: [] }, errors } })
    fake.on('GET /jobs/q-1', {
      json: { jobReference: reference, status: { state: 'DONE', errorResult: errors[0] } },
    })

    await expect(readAll(await openFake(fake), { sql: 'SELECT 1' })).rejects.toMatchObject({ reason: 'notFound' })
  })

  test('by bad luck is run again, as another query', async () => {
    fake.on('POST /queries', refusal(400, 'jobRateLimitExceeded'), { json: { jobComplete: true } })

    await readAll(await openFake(fake), { sql: 'SELECT 1' })
    const ids = fake.requests.map(({ json }) => (json as { requestId: string }).requestId)
    expect(new Set(ids).size).toBe(2)
  })

  test('because its answer was lost is asked for again as the same query', async () => {
    fake.on('POST /queries', { cut: true }, { json: { jobComplete: true } })

    await readAll(await openFake(fake), { sql: 'SELECT 1' })
    const ids = fake.requests.map(({ json }) => (json as { requestId: string }).requestId)
    expect(ids).toHaveLength(2)
    expect(new Set(ids).size).toBe(1)
  })
})

test('a dry run tells the bytes that a query would read', async () => {
  fake.on('POST /queries', { json: { totalBytesProcessed: '123456789012' } })

  expect(await dryRun(await openFake(fake), { sql: 'SELECT 1' })).toBe(123456789012)
  expect(fake.requests[0]?.json).toMatchObject({ dryRun: true, query: 'SELECT 1' })
})

test('what statements were billed and changed is told, and summed up', async () => {
  const statistics = {
    query: {
      totalBytesBilled: '20971520',
      totalBytesProcessed: '1000',
      dmlStats: { insertedRowCount: '3', deletedRowCount: '2' },
    },
  }
  fake.on('POST /jobs', {
    json: { jobReference: { ...reference, jobId: 's-1' }, status: { state: 'DONE' }, statistics },
  })
  fake.on('POST /queries', { json: { jobComplete: true, totalBytesBilled: '10485760' } })
  const api = await openFake(fake)

  expect(await runStatement(api, 's-1', { sql: 'INSERT …' })).toMatchObject({
    bytesBilled: 20971520,
    bytesProcessed: 1000,
    dml: { inserted: 3, updated: 0, deleted: 2 },
  })
  await readAll(api, { sql: 'SELECT 1' })
  expect(api.meter.bytesBilled).toBe(20971520 + 10485760)
})
