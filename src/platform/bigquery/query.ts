// SQL on BigQuery: reading with one call, changing as a job under our own id, and asking what a text would cost.
import { randomUUID } from 'node:crypto'
import type { Field, Job, JobReference, QueryParameter, QueryRequest, QueryResponse, QueryResults } from './rest.ts'
import type { Api } from './api.ts'
import { BigQueryError, hasReason } from './error.ts'
import { failureOf, getJob, runJob } from './jobs.ts'
import { untilAborted, withRetries } from './retry.ts'
import { decodeRow, type Row } from './rows.ts'

/** A value of a named parameter: `@name` in the text. */
export type Parameter =
  | { readonly type: ScalarType; readonly value: string | null }
  | { readonly type: 'ARRAY<STRING>'; readonly value: readonly string[] }

export type ScalarType = 'STRING' | 'INT64' | 'FLOAT64' | 'BOOL' | 'DATE' | 'TIMESTAMP' | 'NUMERIC'

export interface Query {
  readonly sql: string
  readonly parameters?: Readonly<Record<string, Parameter>>
  readonly labels?: Readonly<Record<string, string>>
}

/** What a statement has cost and changed. */
export interface QueryCost {
  readonly bytesBilled: number
  readonly bytesProcessed: number
}

export interface StatementResult extends QueryCost {
  readonly jobId: string
  readonly dml: { readonly inserted: number; readonly updated: number; readonly deleted: number }
  /** Those of a script's last SELECT. */
  rows(): AsyncIterable<Row>
}

/** How long the server may think before it answers that it is not done yet. */
const LONG_POLL_MS = 30_000
/** Reading again does no harm, so a reading job that failed by bad luck is simply run again. */
const WORTH_READING_AGAIN = ['jobBackendError', 'jobInternalError', 'jobRateLimitExceeded'] as const

/** Rows of a statement that changes nothing, page by page as they are asked for. */
export async function* readRows(api: Api, query: Query): AsyncGenerator<Row> {
  const first = await withRetries(
    api.retries,
    api.abort,
    (error) => hasReason(error, ...WORTH_READING_AGAIN),
    () => startReading(api, query),
  )
  yield* pagesFrom(api, first)
}

export async function readAll(api: Api, query: Query): Promise<readonly Row[]> {
  return await Array.fromAsync(readRows(api, query))
}

async function startReading(api: Api, query: Query): Promise<QueryResponse> {
  const { labels, maximumBytesBilled, reservation, timeoutMs } = api.jobs
  const body: QueryRequest = {
    ...queryBody(query),
    // The same call twice is one query: it may be tried again without a thought.
    requestId: randomUUID(),
    timeoutMs: LONG_POLL_MS,
    formatOptions: { useInt64Timestamp: true },
    labels: { ...labels, ...query.labels },
    ...(maximumBytesBilled === undefined ? {} : { maximumBytesBilled }),
    ...(reservation === undefined ? {} : { reservation }),
    ...(timeoutMs === undefined ? {} : { jobTimeoutMs: String(timeoutMs) }),
    ...(api.location === undefined ? {} : { location: api.location }),
  }
  const answer = await api.call<QueryResponse>({ method: 'POST', path: '/queries', body })
  api.meter.bytesBilled += count(answer.totalBytesBilled)
  await requireSuccess(api, answer)
  return answer
}

/** `errors` are warnings, unless the query had no result at all: an emulator tells a failure so. */
async function requireSuccess(api: Api, { errors = [], schema, jobReference }: QueryResponse): Promise<void> {
  if (errors.length === 0 || (schema?.fields ?? []).length > 0 || jobReference === undefined) return
  const error = failureOf(await getJob(api, jobReference))
  if (error !== undefined) throw error
}

async function* pagesFrom(api: Api, first: QueryResponse | QueryResults): AsyncGenerator<Row> {
  let page = first
  let fields: readonly Field[] | undefined
  for (;;) {
    if (page.jobComplete === false) {
      page = await nextPage(api, page.jobReference, undefined)
      continue
    }
    fields ??= page.schema?.fields ?? []
    for (const row of page.rows ?? []) yield decodeRow(fields, row)
    if (page.pageToken === undefined || page.pageToken === '') return
    page = await nextPage(api, page.jobReference ?? first.jobReference, page.pageToken)
  }
}

async function nextPage(api: Api, job: JobReference | undefined, pageToken: string | undefined): Promise<QueryResults> {
  const { jobId = '', location = api.location } = job ?? {}
  try {
    return await untilAborted(
      api.call({
        method: 'GET',
        path: `/queries/${jobId}`,
        query: {
          timeoutMs: LONG_POLL_MS,
          'formatOptions.useInt64Timestamp': true,
          ...(location === undefined ? {} : { location }),
          ...(pageToken === undefined ? {} : { pageToken }),
        },
      }),
      api.abort,
    )
  } catch (error) {
    if (api.abort?.aborted === true && jobId !== '') {
      const cancel = { method: 'POST', path: `/jobs/${jobId}/cancel`, always: true } as const
      await api.call({ ...cancel, ...(location === undefined ? {} : { query: { location } }) }).catch(() => undefined)
    }
    throw error
  }
}

/** Runs a statement or script as a job of this id: once, however often it is asked for (jobs.ts). */
export async function runStatement(
  api: Api,
  id: string,
  query: Query,
  stillThere?: () => Promise<boolean>,
): Promise<StatementResult> {
  const { labels, maximumBytesBilled, priority, reservation, timeoutMs } = api.jobs
  const job = await runJob(api, {
    id,
    ...(stillThere === undefined ? {} : { stillThere }),
    configuration: {
      labels: { ...labels, ...query.labels },
      ...(reservation === undefined ? {} : { reservation }),
      ...(timeoutMs === undefined ? {} : { jobTimeoutMs: String(timeoutMs) }),
      query: {
        ...queryBody(query),
        ...(maximumBytesBilled === undefined ? {} : { maximumBytesBilled }),
        ...(priority === undefined ? {} : { priority }),
      },
    },
  })
  const result = resultOf(api, job)
  api.meter.bytesBilled += result.bytesBilled
  return result
}

function resultOf(api: Api, job: Job): StatementResult {
  const query = job.statistics?.query
  const dml = query?.dmlStats
  return {
    jobId: job.jobReference?.jobId ?? '',
    bytesBilled: count(query?.totalBytesBilled),
    bytesProcessed: count(query?.totalBytesProcessed ?? job.statistics?.totalBytesProcessed),
    dml: {
      inserted: count(dml?.insertedRowCount),
      updated: count(dml?.updatedRowCount),
      deleted: count(dml?.deletedRowCount),
    },
    rows: () => pagesOf(api, job),
  }
}

async function* pagesOf(api: Api, job: Job): AsyncGenerator<Row> {
  yield* pagesFrom(api, await nextPage(api, job.jobReference, undefined))
}

/** The bytes that a text would read, without running it. */
export async function dryRun(api: Api, query: Query): Promise<number> {
  const body: QueryRequest = {
    ...queryBody(query),
    dryRun: true,
    ...(api.location === undefined ? {} : { location: api.location }),
  }
  const { totalBytesProcessed } = await api.call<QueryResponse>({ method: 'POST', path: '/queries', body })
  return count(totalBytesProcessed)
}

function queryBody({ sql, parameters = {} }: Query) {
  const queryParameters = Object.entries(parameters).map(([name, parameter]) => ({ name, ...parameterBody(parameter) }))
  return {
    query: sql,
    useLegacySql: false,
    ...(queryParameters.length === 0 ? {} : { parameterMode: 'NAMED', queryParameters }),
  } satisfies QueryRequest
}

function parameterBody(parameter: Parameter): QueryParameter {
  if (parameter.type === 'ARRAY<STRING>') {
    return {
      parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } },
      parameterValue: { arrayValues: parameter.value.map((value) => ({ value })) },
    }
  }
  return {
    parameterType: { type: parameter.type },
    // A value that is left out is NULL.
    parameterValue: parameter.value === null ? {} : { value: parameter.value },
  }
}

/** A count that the API writes as a text. */
export function count(text: string | undefined): number {
  const number = Number(text ?? 0)
  if (!Number.isSafeInteger(number))
    throw new BigQueryError({ reason: 'invalid' }, `BigQuery sent '${text}' for a count`)
  return number
}
