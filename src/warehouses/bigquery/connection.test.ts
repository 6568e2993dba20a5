// The adapter on a scripted BigQuery: where datasets lie, whose jobs are whose, what is billed, and what comes of other counts.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  PROJECT,
  QUICK_RETRIES,
  refusal,
  startBigQueryFake,
  TOKEN,
  type BigQueryFake,
} from '../../../tests/support/bigquery-fake.ts'
import { describeFailure } from '../../pipeline/failure.ts'
import { identifier } from '../../pipeline/identifier.ts'
import { openEngine, type Engine } from '../../platform/duckdb.ts'
import type { LoadCommit, WarehousePlace } from '../warehouse.ts'
import { connect } from './connection.ts'
import { bigquerySettings } from './settings.ts'
import { jobId, ParquetRows, stageRows, stagingTable } from './stage.ts'
import { openBigquery } from './warehouse.ts'

let fake: BigQueryFake
let folder: string
let engine: Engine
beforeEach(async () => {
  fake = await startBigQueryFake()
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-bigquery-'))
  engine = await openEngine({ scratchDir: folder })
})
afterEach(async () => {
  engine.close()
  await fake.stop()
  await rm(folder, { recursive: true })
})

const RUN = { pipeline: 'daily', runId: '0198-Run', attempt: 2 }

function place(change: Partial<WarehousePlace> = {}): WarehousePlace {
  return { engine, scratchDir: folder, abort: new AbortController().signal, run: RUN, stagingBucket: null, ...change }
}

function target(change: Readonly<Record<string, unknown>> = {}) {
  const login = { method: 'oauth-secrets', token: TOKEN, api_endpoint: fake.endpoint }
  const settings = { type: 'bigquery', ...login, project: PROJECT, dataset: 'analytics', ...change }
  return {
    profile: 'p',
    target: 'prod',
    type: 'bigquery',
    profilesDir: `${process.cwd()}/dbt`,
    secrets: [TOKEN],
    settings,
  }
}

const open = (change?: Readonly<Record<string, unknown>>) =>
  openBigquery(target(change), place(), 'write', QUICK_RETRIES)

function datasets(locations: Readonly<Record<string, string>>) {
  fake.on('GET /datasets/analytics', refusal(404, 'notFound'))
  fake.on('GET /datasets/raw', refusal(404, 'notFound'))
  for (const [name, location] of Object.entries(locations)) fake.on(`GET /datasets/${name}`, { json: { location } })
}

const RAW = { schema: identifier('raw'), table: identifier('logs') }

describe('opening', () => {
  test('takes the location of the dataset where the profile names none', async () => {
    datasets({ analytics: 'europe-west9' })
    fake.on('POST /queries', { json: { totalBytesProcessed: '42' } })

    expect(await (await open()).estimateBytes('SELECT 1')).toBe(42)
    expect(fake.of('POST /queries')[0]?.json).toMatchObject({ location: 'europe-west9' })
  })

  test('is refused where the dataset lies elsewhere than the profile says', async () => {
    datasets({ analytics: 'US' })

    await expect(open({ location: 'EU' })).rejects.toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(/^dataset analytics is in US, but .*target 'prod' says EU.*location: US/),
    })
  })

  test('takes `eu` and `EU` for one', async () => {
    datasets({ analytics: 'EU' })
    expect(await open({ location: 'eu' })).toBeDefined()
  })

  test('tells a login that does not hold', async () => {
    fake.on('GET /datasets/analytics', refusal(401, 'authError', `Invalid Credentials ${TOKEN}`))

    const failure = await open().catch((error: unknown) => error)
    expect(failure).toMatchObject({ type: 'WarehouseAuth', message: expect.stringContaining('[redacted]') })
  })

  test('tells a service that stays away', async () => {
    fake.on('GET /datasets/analytics', { cut: true })
    await expect(open()).rejects.toMatchObject({ type: 'WarehouseUnreachable' })
    expect(fake.requests).toHaveLength(QUICK_RETRIES.tries)
  })
})

describe('a login by refresh token', () => {
  const login = () => ({
    token: undefined,
    refresh_token: 'refresh-token-of-the-test',
    client_id: 'c',
    client_secret: 'client-secret-of-the-test',
    token_uri: `${fake.endpoint}/token`,
  })

  test('gets its token from token_uri', async () => {
    datasets({ analytics: 'EU' })
    fake.on('POST /token', { json: { access_token: 'fresh', expires_in: 3600, token_type: 'Bearer' } })

    await open(login())
    expect(fake.of('GET /datasets/analytics')[0]?.headers.authorization).toBe('Bearer fresh')
  })

  test('that was taken back is told', async () => {
    fake.on('POST /token', {
      status: 400,
      json: { error: 'invalid_grant', error_description: 'Token has been revoked.' },
    })

    await expect(open(login())).rejects.toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(/invalid_grant.*gcloud auth application-default login/s),
    })
  })
})

test.each([
  ['that is not there', undefined, 'cannot be read (ENOENT)'],
  ['that is no JSON', '{"private_key": "SECRET', 'is no JSON'],
  ['of something else', '{"type": "authorized_user", "refresh_token": "SECRET"}', 'is no service account'],
])('a key file %s is told, without its content', async (_what, content, expected) => {
  const keyfile = path.join(folder, 'key.json')
  if (content !== undefined) await writeFile(keyfile, content)

  const failure = await open({ method: 'service-account', keyfile }).catch((error: unknown) => describeFailure(error))
  expect(failure).toMatchObject({ type: 'WarehouseAuth', message: expect.stringContaining(expected) })
  expect(JSON.stringify(failure)).not.toContain('SECRET')
})

describe('a dataset of raw tables', () => {
  test('that lies elsewhere than the target is refused before anything is read', async () => {
    datasets({ analytics: 'EU', raw: 'US' })
    fake.on('GET /datasets/raw/tables/millrace_loads', { json: { type: 'TABLE', schema: { fields: [] } } })

    const warehouse = await open()
    await expect(warehouse.currentLoad(RAW, 'b')).rejects.toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(/^dataset raw is in US, but analytics is in EU/),
    })
    expect(fake.of('POST /queries')).toEqual([])
  })

  test('is made where the other one is', async () => {
    datasets({ analytics: 'europe-west9' })
    fake.on('POST /datasets', { json: {} })
    const connection = await connect(bigquerySettings(target()), place(), QUICK_RETRIES)

    await connection.ensureDataset(RAW.schema)
    await connection.ensureDataset(RAW.schema)

    expect(fake.of('POST /datasets').map(({ json }) => json)).toEqual([
      { datasetReference: { projectId: PROJECT, datasetId: 'raw' }, location: 'europe-west9' },
    ])
  })

  test('that may not be made is told with the command', async () => {
    datasets({ analytics: 'EU' })
    fake.on('POST /datasets', refusal(403, 'accessDenied', 'Permission bigquery.datasets.create denied'))
    const connection = await connect(bigquerySettings(target({ location: 'EU' })), place(), QUICK_RETRIES)

    await expect(connection.ensureDataset(RAW.schema)).rejects.toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringContaining(`CREATE SCHEMA \\\`${PROJECT}\\\`.raw OPTIONS (location = 'EU')`),
    })
  })
})

test('jobs carry the run, the pipeline and the attempt as labels, and what they were billed is summed up', async () => {
  datasets({ analytics: 'EU' })
  fake.on('GET /datasets/analytics/tables/marts', {
    json: { type: 'TABLE', schema: { fields: [{ name: 'id', type: 'INTEGER' }] } },
  })
  const rows = [{ f: [{ v: '2' }, { v: '0' }] }]
  const fields = ['mart_rows', 'nulls_0'].map((name) => ({ name, type: 'INTEGER' }))
  fake.on('POST /queries', { json: { jobComplete: true, schema: { fields }, rows, totalBytesBilled: '10485760' } })
  const warehouse = await open()

  const relation = { database: PROJECT, schema: 'analytics', name: 'marts' }
  await warehouse.measureMart({
    mart: identifier('marts'),
    relation,
    key: [identifier('id')],
    unique: false,
    maxNullShare: 0,
  })

  expect(fake.of('POST /queries')[0]?.json).toMatchObject({
    labels: { millrace_run: '0198-run', millrace_pipeline: 'daily', millrace_attempt: '2' },
  })
  expect(warehouse.bytesBilled()).toBe(10485760)
})

test('what a dead run and its dbt left running is cancelled', async () => {
  datasets({ analytics: 'EU' })
  const labelled = (jobId: string, labels: object) => ({
    jobReference: { jobId },
    configuration: { labels },
    status: { state: 'RUNNING' },
  })
  fake.on('GET /jobs', {
    json: {
      jobs: [
        labelled('ours', { millrace_run: '0198-run' }),
        labelled('dbts', { dbt_invocation_id: 'i-1' }),
        labelled('else', { millrace_run: 'x' }),
      ],
    },
  })
  for (const id of ['ours', 'dbts']) {
    fake.on(`POST /jobs/${id}/cancel`, { json: {} })
    fake.on(`GET /jobs/${id}`, { json: { status: { state: 'DONE', errorResult: { reason: 'stopped' } } } })
  }

  const dbt = ['i-1', null].map((invocationId) => ({ invocationId, nodes: [], startedAt: '2026-11-19T02:00:00Z' }))
  expect(await (await open()).endLeftovers({ runId: '0198-Run', dbt })).toBe(2)
})

describe('rows on their way', () => {
  // Only what staging looks at.
  const load = { runId: 'run 1', loadId: 'abc', table: RAW } as LoadCommit
  const STAGED = 'GET /datasets/raw/tables/'

  async function stage(rows: string, arrived: string) {
    datasets({ analytics: 'EU', raw: 'EU' })
    const connection = await connect(bigquerySettings(target()), place(), QUICK_RETRIES)
    const into = stagingTable(connection, load, 'rows')
    const parquet = new ParquetRows(engine, folder, 'rows', [{ name: 'id', duckdbType: 'INTEGER' }])
    await parquet.take(`SELECT unnest([${rows}]) AS id`)
    fake.on('POST /datasets/raw/tables', { json: {} })
    fake.on('POST /upload/jobs', { headers: { location: `${fake.endpoint}/session` } })
    const done = {
      jobReference: { jobId: 'x' },
      status: { state: 'DONE' },
      statistics: { load: { outputRows: arrived } },
    }
    fake.on('PUT /session', { json: done })
    fake.on(`PATCH /datasets/raw/tables/${into.table}`, { json: {} })
    return { work: stageRows(connection, place(), load, 'rows', parquet, into), into }
  }

  test('are counted where they arrive', async () => {
    const { work } = await stage('1, 2, 3', '2')
    await expect(work).rejects.toMatchObject({
      type: 'CountsDisagree',
      message: expect.stringContaining('3 rows were sent to BigQuery, 2 rows arrived'),
    })
  })

  test('wait in a table that nobody has to clear away', async () => {
    const { work } = await stage('1, 2', '2')
    await work
    const made = fake.requests.filter(({ route }) => /(POST|PATCH) .*\/tables/.test(route))
    const lives = made.map(({ json }) => Number((json as { expirationTime: string }).expirationTime) - Date.now())
    // Said before the load job and after it, because that may not keep it.
    expect(lives.map((ms) => Math.round(ms / 3_600_000))).toEqual([24, 24])
  })

  test('of an attempt that died are not sent again while they are there', async () => {
    const { work, into } = await stage('1, 2', '2')
    await work
    const again = await stage('1, 2', '2')
    fake.on('POST /upload/jobs', refusal(409, 'duplicate'))
    fake.on(`GET /jobs/${jobId(load, 'rows')}`, {
      json: {
        configuration: {
          load: {
            destinationTable: { projectId: into.project, datasetId: into.dataset, tableId: into.table },
            sourceFormat: 'PARQUET',
            writeDisposition: 'WRITE_TRUNCATE',
          },
        },
        status: { state: 'DONE' },
        statistics: { load: { outputRows: '2' } },
      },
    })
    fake.on(`${STAGED}${into.table}`, { json: { type: 'TABLE', numRows: '2' } })

    await again.work
    expect(fake.of('PUT /session')).toHaveLength(1)
  })

  test('of one load in parts become one file', async () => {
    const parquet = new ParquetRows(engine, folder, 'rows', [
      { name: 'id', duckdbType: 'BIGINT' },
      { name: 'seen', duckdbType: 'TIMESTAMP' },
    ])
    expect(
      await parquet.take("SELECT TIMESTAMP '2026-11-18 02:00:00' AS seen, 1::BIGINT AS id UNION ALL SELECT NULL, 2"),
    ).toBe(2)
    expect(await parquet.take('SELECT NULL::TIMESTAMP AS seen, 3::BIGINT AS id')).toBe(1)
    const file = await parquet.file()

    expect(parquet.rows).toBe(3)
    expect(await engine.rows(`SELECT id, seen::VARCHAR AS seen FROM '${file}' ORDER BY id`)).toEqual([
      { id: 1n, seen: '2026-11-18 02:00:00+00' },
      { id: 2n, seen: null },
      { id: 3n, seen: null },
    ])
    const schema = await engine.rows(`SELECT name, logical_type FROM parquet_schema('${file}') WHERE name = 'seen'`)
    expect(String(schema[0]?.['logical_type'])).toMatch(/isAdjustedToUTC=(1|true)/)
  })

  test('have one id for the same work of a run, whichever attempt asks', () => {
    const id = jobId(load, 'rows')
    expect(id).toMatch(/^millrace_rows_[0-9a-f]{32}$/)
    expect(jobId({ ...load }, 'rows')).toBe(id)
    expect(
      new Set([
        id,
        jobId(load, 'commit'),
        jobId({ ...load, runId: 'run 2' }, 'rows'),
        jobId({ ...load, loadId: 'b' }, 'rows'),
      ]).size,
    ).toBe(4)
  })
})
