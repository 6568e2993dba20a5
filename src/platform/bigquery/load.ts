// Load jobs: a Parquet file into a table, sent by ourselves or by way of a bucket.
import path from 'node:path'
import type { Field, Job, JobConfiguration } from './rest.ts'
import type { Api } from './api.ts'
import { runJob } from './jobs.ts'
import { count } from './query.ts'
import type { TablePath } from './tables.ts'
import { uploadFile } from './upload.ts'

export interface Load {
  /** The job's id: the same load is done once (jobs.ts). */
  readonly id: string
  readonly file: string
  readonly format: 'PARQUET' | 'CSV' | 'NEWLINE_DELIMITED_JSON'
  /** All that it held before is replaced. */
  readonly into: TablePath
  readonly columns: readonly Field[]
  readonly labels?: Readonly<Record<string, string>>
  /** A bucket in the dataset's location; the file is there only while the job runs. */
  readonly stagingBucket?: string | undefined
  readonly onProgress?: (sentBytes: number) => void
  /** What an earlier job of this id has loaded is still there (jobs.ts). */
  readonly stillThere?: () => Promise<boolean>
}

export interface LoadResult {
  readonly jobId: string
  /** Undefined where BigQuery does not say. */
  readonly rows: number | undefined
  /** Warnings: the load succeeded in spite of them. */
  readonly warnings: readonly string[]
}

const CONTENT_TYPES = {
  PARQUET: 'application/vnd.apache.parquet',
  CSV: 'text/csv',
  NEWLINE_DELIMITED_JSON: 'application/x-ndjson',
} as const

/** What does not fit the first becomes the second. */
const DECIMALS: ('NUMERIC' | 'BIGNUMERIC')[] = ['NUMERIC', 'BIGNUMERIC']

/** Loads the file as a whole or not at all. Throws BigQueryError. */
export async function loadFile(api: Api, load: Load): Promise<LoadResult> {
  const { stagingBucket: bucket, id, stillThere } = load
  if (bucket === undefined) {
    const insert = (job: Job) =>
      uploadFile<Job>(api, {
        url: `${api.endpoint}/upload/bigquery/v2/projects/${api.project}/jobs?uploadType=resumable`,
        metadata: job,
        ...fileOf(load),
      })
    return resultOf(
      await runJob(api, { id, configuration: configuration(api, load), insert, ...(stillThere && { stillThere }) }),
    )
  }
  const object = `millrace/${id}${path.extname(load.file)}`
  await uploadFile(api, {
    url: `${api.storageEndpoint}/upload/storage/v1/b/${bucket}/o?${new URLSearchParams({ uploadType: 'resumable', name: object })}`,
    metadata: { contentType: CONTENT_TYPES[load.format] },
    ...fileOf(load),
  })
  try {
    const sourceUris = [`gs://${bucket}/${object}`]
    return resultOf(
      await runJob(api, { id, configuration: configuration(api, load, sourceUris), ...(stillThere && { stillThere }) }),
    )
  } finally {
    await deleteObject(api, bucket, object)
  }
}

function fileOf({ file, format, onProgress }: Load) {
  return { file, contentType: CONTENT_TYPES[format], ...(onProgress === undefined ? {} : { onProgress }) }
}

function configuration(api: Api, load: Load, sourceUris?: readonly string[]): JobConfiguration {
  const { labels, reservation, timeoutMs } = api.jobs
  const { project, dataset, table } = load.into
  return {
    labels: { ...labels, ...load.labels },
    ...(reservation === undefined ? {} : { reservation }),
    ...(timeoutMs === undefined ? {} : { jobTimeoutMs: String(timeoutMs) }),
    load: {
      destinationTable: { projectId: project, datasetId: dataset, tableId: table },
      sourceFormat: load.format,
      writeDisposition: 'WRITE_TRUNCATE',
      createDisposition: 'CREATE_IF_NEEDED',
      schema: { fields: [...load.columns] },
      maxBadRecords: 0,
      ...(load.format === 'PARQUET'
        ? {
            decimalTargetTypes: DECIMALS.slice(),
          }
        : {}),
      ...(sourceUris === undefined ? {} : { sourceUris: [...sourceUris] }),
    },
  }
}

function resultOf(job: Job): LoadResult {
  const outputRows = job.statistics?.load?.outputRows
  return {
    jobId: job.jobReference?.jobId ?? '',
    rows: outputRows === undefined ? undefined : count(outputRows),
    warnings: (job.status?.errors ?? []).map(({ message, reason }) => message ?? reason ?? ''),
  }
}

/** The bucket's lifecycle rule clears what cannot be deleted here: no reason to fail what has succeeded. */
async function deleteObject(api: Api, bucket: string, object: string): Promise<void> {
  const url = `${api.storageEndpoint}/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}`
  await api.auth.request({ url, method: 'DELETE' }).catch(() => undefined)
}
