// Files on their way into a scripted BigQuery: chunks, what breaks between them, and by way of a bucket.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  openFake,
  PROJECT,
  refusal,
  startBigQueryFake,
  type BigQueryFake,
  type FakeAnswer,
  type FakeRequest,
} from '../../../tests/support/bigquery-fake.ts'
import { loadFile, type Load } from './load.ts'
import type { Job } from './rest.ts'

const MIB = 1024 * 1024
const CHUNK = 8 * MIB

let fake: BigQueryFake
let folder: string
beforeEach(async () => {
  fake = await startBigQueryFake()
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-upload-'))
})
afterEach(async () => {
  await fake.stop()
  await rm(folder, { recursive: true })
})

const DONE: Job = {
  jobReference: { projectId: PROJECT, jobId: 'load-1', location: 'EU' },
  configuration: {
    load: {
      destinationTable: { projectId: PROJECT, datasetId: 'raw', tableId: 'staging' },
      sourceFormat: 'PARQUET',
      writeDisposition: 'WRITE_TRUNCATE',
    },
  },
  status: { state: 'DONE' },
  statistics: { load: { outputRows: '3' } },
}

/** A session's server: keeps what it gets, as far as `accepts` lets it. */
function sessionAt(route: string, size: number, done: unknown = DONE) {
  const received: Buffer[] = []
  const length = () => received.reduce((sum, { length: bytes }) => sum + bytes, 0)
  const standing = (): FakeAnswer =>
    length() === size
      ? { json: done }
      : { status: 308, headers: length() === 0 ? {} : { range: `bytes=0-${length() - 1}` } }
  return {
    received: () => Buffer.concat(received),
    /** Takes what comes, where it belongs; `bytes` of it at most. */
    take(request: FakeRequest, bytes = Infinity): FakeAnswer {
      const range = String(request.headers['content-range'])
      const [, from] = /^bytes (\d+)-/.exec(range) ?? []
      if (from !== undefined) {
        if (Number(from) !== length()) return refusal(400, 'invalid', `byte ${from} comes after ${length()} bytes`)
        received.push(request.body.subarray(0, bytes))
      }
      return standing()
    },
    start: { headers: { location: `${fake.endpoint}${route}` } },
  }
}

async function fileOf(size: number): Promise<{ file: string; content: Buffer }> {
  const content = randomBytes(size)
  const file = path.join(folder, 'rows.parquet')
  await writeFile(file, content)
  return { file, content }
}

async function load(file: string, change: Partial<Load> = {}) {
  return await loadFile(await openFake(fake, { jobs: { labels: { millrace_run: 'r' } } }), {
    id: 'load-1',
    file,
    format: 'PARQUET',
    into: { project: PROJECT, dataset: 'raw', table: 'staging' },
    columns: [{ name: 'id', type: 'INT64' }],
    ...change,
  })
}

const ranges = () => fake.of('PUT /session').map(({ headers }) => headers['content-range'])

test('a file goes in chunks, with the job, its labels and its schema before them', async () => {
  const { file, content } = await fileOf(2 * CHUNK + 5)
  const session = sessionAt('/session', content.length)
  fake.on('POST /upload/jobs', session.start)
  fake.on('PUT /session', (request) => session.take(request))
  const sent: number[] = []

  const result = await load(file, { labels: { millrace_load: 'a' }, onProgress: (bytes) => sent.push(bytes) })

  expect(result).toEqual({ jobId: 'load-1', rows: 3, warnings: [] })
  expect(session.received().equals(content)).toBe(true)
  expect(sent).toEqual([CHUNK, 2 * CHUNK, 2 * CHUNK + 5])
  expect(ranges()).toEqual([
    `bytes 0-${CHUNK - 1}/${content.length}`,
    `bytes ${CHUNK}-${2 * CHUNK - 1}/${content.length}`,
    `bytes ${2 * CHUNK}-${content.length - 1}/${content.length}`,
  ])
  const [begun] = fake.of('POST /upload/jobs')
  expect(begun?.query['uploadType']).toBe('resumable')
  expect(begun?.headers['x-upload-content-length']).toBe(String(content.length))
  expect(begun?.json).toMatchObject({
    jobReference: { jobId: 'load-1', location: 'EU' },
    configuration: {
      labels: { millrace_run: 'r', millrace_load: 'a' },
      load: {
        destinationTable: { projectId: PROJECT, datasetId: 'raw', tableId: 'staging' },
        schema: { fields: [{ name: 'id', type: 'INT64' }] },
        sourceFormat: 'PARQUET',
        writeDisposition: 'WRITE_TRUNCATE',
      },
    },
  })
})

describe('an upload that breaks', () => {
  test('in the middle goes on behind what arrived', async () => {
    const { file, content } = await fileOf(2 * CHUNK)
    const session = sessionAt('/session', content.length)
    fake.on('POST /upload/jobs', session.start)
    fake.on(
      'PUT /session',
      (request) => ({ ...session.take(request, 3 * MIB), cut: true }),
      (request) => session.take(request),
    )

    await load(file)

    expect(session.received().equals(content)).toBe(true)
    expect(ranges()).toEqual([
      `bytes 0-${CHUNK - 1}/${content.length}`,
      `bytes */${content.length}`,
      `bytes ${3 * MIB}-${11 * MIB - 1}/${content.length}`,
      `bytes ${11 * MIB}-${content.length - 1}/${content.length}`,
    ])
  })

  test.each([500, 503, 429])('with %i goes on where it was', async (status) => {
    const { file, content } = await fileOf(MIB)
    const session = sessionAt('/session', content.length)
    fake.on('POST /upload/jobs', { status }, session.start)
    fake.on('PUT /session', { status }, { status }, (request) => session.take(request))

    await load(file)
    expect(session.received().equals(content)).toBe(true)
  })

  test('after its last byte, with the answer lost, is not sent again', async () => {
    const { file, content } = await fileOf(MIB)
    const session = sessionAt('/session', content.length)
    fake.on('POST /upload/jobs', session.start)
    fake.on(
      'PUT /session',
      (request) => ({ ...session.take(request), cut: true }),
      (request) => session.take(request),
    )

    expect(await load(file)).toMatchObject({ rows: 3 })
    expect(ranges()).toEqual([`bytes 0-${MIB - 1}/${MIB}`, `bytes */${MIB}`])
  })

  test('and that BigQuery has whole but has not worked through is asked after, not sent again', async () => {
    const { file } = await fileOf(MIB)
    fake.on('POST /upload/jobs', sessionAt('/session', MIB).start)
    fake.on('PUT /session', { status: 308, headers: { range: `bytes=0-${MIB - 1}` } }, { json: DONE })

    expect(await load(file)).toMatchObject({ rows: 3 })
    expect(ranges()).toEqual([`bytes 0-${MIB - 1}/${MIB}`, `bytes */${MIB}`])
  })

  test('because BigQuery forgot it begins again', async () => {
    const { file, content } = await fileOf(CHUNK + 1)
    const first = sessionAt('/session', content.length)
    const second = sessionAt('/second', content.length)
    fake.on('POST /upload/jobs', first.start, second.start)
    fake.on('PUT /session', (request) => first.take(request), { status: 410 })
    fake.on('PUT /second', (request) => second.take(request))

    await load(file)
    expect(second.received().equals(content)).toBe(true)
  })

  test('again and again is given up', async () => {
    const { file } = await fileOf(MIB)
    fake.on('POST /upload/jobs', sessionAt('/session', MIB).start)
    fake.on('PUT /session', { status: 503 })

    await expect(load(file)).rejects.toMatchObject({ status: 503 })
    expect(fake.of('PUT /session')).toHaveLength(5)
  })

  test('for good tells why', async () => {
    const { file } = await fileOf(MIB)
    fake.on('POST /upload/jobs', sessionAt('/session', MIB).start)
    fake.on('PUT /session', refusal(403, 'accessDenied', 'no permission bigquery.tables.create'))

    await expect(load(file)).rejects.toMatchObject({
      reason: 'accessDenied',
      message: expect.stringContaining('bigquery.tables.create'),
    })
  })

  test('because of an abort ends at once', async () => {
    const { file } = await fileOf(MIB)
    const abort = new AbortController()
    fake.on('POST /upload/jobs', sessionAt('/session', MIB).start)
    fake.on('PUT /session', () => {
      abort.abort(new Error('the run was cancelled'))
      return { delayMs: 60_000 }
    })
    const api = await openFake(fake, { abort: abort.signal })

    const into = { project: PROJECT, dataset: 'raw', table: 'staging' }
    const loading = loadFile(api, { id: 'load-1', file, format: 'PARQUET', into, columns: [] })
    await expect(loading).rejects.toThrow('the run was cancelled')
  })
})

describe('a load whose job is there already', () => {
  const duplicate = refusal(409, 'duplicate', 'Already Exists: Job')

  test('is adopted before anything is sent', async () => {
    const { file } = await fileOf(MIB)
    fake.on('POST /upload/jobs', duplicate)
    fake.on('GET /jobs/load-1', { json: DONE })

    expect(await load(file)).toMatchObject({ jobId: 'load-1', rows: 3 })
    expect(fake.of('PUT /session')).toEqual([])
  })

  test('is adopted when only the end of the upload tells it', async () => {
    const { file } = await fileOf(MIB)
    fake.on('POST /upload/jobs', sessionAt('/session', MIB).start)
    fake.on('PUT /session', duplicate)
    fake.on('GET /jobs/load-1', { json: DONE })

    expect(await load(file)).toMatchObject({ jobId: 'load-1', rows: 3 })
  })

  test('is sent anew when what it loaded is gone', async () => {
    const { file } = await fileOf(MIB)
    const session = sessionAt('/session', MIB, { ...DONE, jobReference: { ...DONE.jobReference, jobId: 'load-1_g1' } })
    fake.on('POST /upload/jobs', duplicate, session.start)
    fake.on('PUT /session', (request) => session.take(request))
    fake.on('GET /jobs/load-1', { json: DONE })

    expect(await load(file, { stillThere: () => Promise.resolve(false) })).toMatchObject({ jobId: 'load-1_g1' })
  })
})

describe('by way of a bucket', () => {
  const OBJECT = 'DELETE /storage/v1/b/landing/o/millrace%2Fload-1.parquet'

  test('the file is put down, loaded from there, and removed', async () => {
    const { file, content } = await fileOf(CHUNK + 1)
    const session = sessionAt('/session', content.length, { name: 'millrace/load-1.parquet' })
    fake.on('POST /upload/storage/v1/b/landing/o', session.start)
    fake.on('PUT /session', (request) => session.take(request))
    fake.on('POST /jobs', { json: DONE })
    fake.on(OBJECT, { status: 204 })

    expect(await load(file, { stagingBucket: 'landing' })).toMatchObject({ rows: 3 })

    expect(session.received().equals(content)).toBe(true)
    expect(fake.of('POST /upload/storage/v1/b/landing/o')[0]?.query['name']).toBe('millrace/load-1.parquet')
    expect(fake.of('POST /jobs')[0]?.json).toMatchObject({
      configuration: { load: { sourceUris: ['gs://landing/millrace/load-1.parquet'] } },
    })
    expect(fake.of(OBJECT)).toHaveLength(1)
  })

  test('it is removed after a load that failed, too', async () => {
    const { file, content } = await fileOf(MIB)
    const session = sessionAt('/session', content.length, {})
    fake.on('POST /upload/storage/v1/b/landing/o', session.start)
    fake.on('PUT /session', (request) => session.take(request))
    fake.on('POST /jobs', { json: { ...DONE, status: { state: 'DONE', errorResult: { reason: 'invalid' } } } })
    fake.on(OBJECT, { status: 204 })

    await expect(load(file, { stagingBucket: 'landing' })).rejects.toMatchObject({ reason: 'invalid' })
    expect(fake.of(OBJECT)).toHaveLength(1)
  })
})
