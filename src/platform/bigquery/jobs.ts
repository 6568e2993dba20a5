// Jobs under our own ids: inserted once however often we ask, adopted where they are there already, waited for, cancelled.
import type { Job, JobConfiguration, JobList, TableReference } from './rest.ts'
import type { Api } from './api.ts'
import { BigQueryError, hasReason, hasStatus, isTransientJob } from './error.ts'
import { delayMs, pause, withRetries } from './retry.ts'

export interface JobRequest {
  /** Letters, digits, `_` and `-`: the same for the same work, so that it is done once. */
  readonly id: string
  readonly configuration: JobConfiguration
  /** How it gets to BigQuery; a plain insert where left out. Is only asked where no job of this id is there. */
  readonly insert?: (job: Job) => Promise<Job>
  /** What an earlier job of this id has made is still there; else it is done anew. Asked of adopted jobs only. */
  readonly stillThere?: () => Promise<boolean>
}

/** Enough for ids that earlier attempts have burnt, and an end where something burns them all. */
const MOST_GENERATIONS = 50
/** A job is not always visible at once where it was inserted. */
const VISIBLE_AFTER_TRIES = 6

/**
 * Runs the job and resolves when it is done without an error. A job of the same id that runs is waited for, one that
 * succeeded is taken as the answer; one that failed has burnt its id, and the next generation's (`…_g1`) takes its place:
 * after a failure of our own only where that can help. Throws BigQueryError, reason `idTaken` where the id belongs to
 * other work. An abort cancels the job.
 */
export async function runJob(api: Api, request: JobRequest): Promise<Job> {
  let failures = 0
  for (let generation = 0; generation < MOST_GENERATIONS; generation += 1) {
    const id = generation === 0 ? request.id : `${request.id}_g${generation}`
    const { job, adopted } = await ensureJob(api, id, request)
    const done = await waitForJob(api, job)
    const error = failureOf(done)
    if (error === undefined) {
      if (!adopted || request.stillThere === undefined || (await request.stillThere())) return done
      continue
    }
    if (adopted) continue
    failures += 1
    if (failures >= api.retries.tries || !isTransientJob(error)) throw error
    await pause(delayMs(api.retries, failures - 1, error), api.abort)
  }
  throw new BigQueryError(
    { reason: 'idTaken' },
    `${MOST_GENERATIONS} jobs called ${request.id} have failed; look at them with: bq show -j ${request.id}`,
  )
}

/** The job of this id, inserted now or found. */
async function ensureJob(api: Api, id: string, request: JobRequest): Promise<{ job: Job; adopted: boolean }> {
  const wanted: Job = {
    jobReference: {
      jobId: id,
      projectId: api.project,
      ...(api.location === undefined ? {} : { location: api.location }),
    },
    configuration: request.configuration,
  }
  const insert = request.insert ?? ((job) => api.call<Job>({ method: 'POST', path: '/jobs', body: job }))
  const took = async () => {
    try {
      return { job: await insert(wanted), adopted: false }
    } catch (error) {
      if (!hasStatus(error, 409)) throw error
      return { job: await findJob(api, id), adopted: true }
    }
  }
  // Already there, says the insert, and not there, says the look-up: it shows in a moment.
  const { job, adopted } = await withRetries(
    { ...api.retries, tries: VISIBLE_AFTER_TRIES },
    api.abort,
    (error) => hasStatus(error, 404) && hasReason(error, 'notFound') && error.message.includes(id),
    took,
  )
  if (adopted) requireSameWork(id, job, wanted)
  return { job, adopted }
}

async function findJob(api: Api, id: string): Promise<Job> {
  try {
    return await getJob(api, { jobId: id, location: api.location })
  } catch (error) {
    if (!hasStatus(error, 404)) throw error
    throw new BigQueryError(
      { reason: 'notFound', status: 404 },
      `BigQuery has no job ${id}, although it says so on insert`,
    )
  }
}

interface JobName {
  readonly jobId?: string | undefined
  readonly location?: string | undefined
}

export function getJob(api: Api, { jobId = '', location }: JobName): Promise<Job> {
  return api.call<Job>({
    method: 'GET',
    path: `/jobs/${jobId}`,
    ...(location === undefined ? {} : { query: { location } }),
  })
}

/** An id is only ours where the job does what we want: the same kind of work, for the same place and the same purpose. */
function requireSameWork(id: string, found: Job, wanted: Job): void {
  const work = ({ configuration: { load, query, labels } = {} }: Job) =>
    JSON.stringify({
      load: load && [tableOf(load.destinationTable), load.sourceFormat, load.writeDisposition],
      // Not its text: another attempt writes another time into it.
      query: query && purposeOf(labels),
    })
  if (work(found) === work(wanted)) return
  throw new BigQueryError(
    { reason: 'idTaken', status: 409 },
    `a job ${id} is there already, but it does something else (${kindOf(found)}); nothing was taken from it. ` +
      `Look at it with: bq show -j ${id}`,
  )
}

/** A job's labels, apart from the attempt that inserted it. */
function purposeOf(labels: JobConfiguration['labels']): readonly (readonly [string, string])[] {
  return Object.entries(labels ?? {})
    .filter(([name]) => name !== ATTEMPT_LABEL)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function tableOf(table: TableReference | undefined): string {
  return `${table?.projectId}.${table?.datasetId}.${table?.tableId}`
}

function kindOf({ configuration: { load, query } = {} }: Job): string {
  if (load !== undefined) return `loads ${tableOf(load.destinationTable)}`
  return query === undefined ? 'unknown work' : 'runs a query'
}

/** The one label that differs between attempts of the same work. */
export const ATTEMPT_LABEL = 'millrace_attempt'

const FIRST_LOOK_MS = 50
const LONGEST_LOOK_MS = 5_000

/** Resolves once it is done, whether it failed or not. Looks after a tenth of the time that has passed. */
export async function waitForJob(api: Api, job: Job): Promise<Job> {
  const started = performance.now()
  let latest = job
  try {
    while (latest.status?.state !== 'DONE') {
      const passed = performance.now() - started
      await pause(Math.min(Math.max(passed / 10, FIRST_LOOK_MS), LONGEST_LOOK_MS), api.abort)
      latest = await withRetries(
        { ...api.retries, tries: VISIBLE_AFTER_TRIES },
        api.abort,
        (error) => hasStatus(error, 404),
        () => getJob(api, job.jobReference ?? {}),
      )
    }
  } catch (error) {
    if (api.abort?.aborted === true) await cancelJob(api, job.jobReference ?? {})
    throw error
  }
  return latest
}

/** Only errorResult says that a job failed: `errors` has warnings too. */
export function failureOf({ status, jobReference, id }: Job): BigQueryError | undefined {
  const error = status?.errorResult
  if (error === undefined || error === null) return undefined
  const others = (status?.errors ?? [])
    .map(({ message }) => message)
    .filter((text) => text !== undefined && text !== error.message)
  return new BigQueryError(
    { reason: error.reason ?? 'unknown', jobId: jobReference?.jobId ?? id ?? 'unknown' },
    [error.message ?? 'no message', ...others.slice(0, 2)].join('; '),
  )
}

/** Asks BigQuery to stop it; one that is done or gone needs nothing. */
async function cancelJob(api: Api, { jobId = '', location }: JobName): Promise<void> {
  try {
    await api.call({
      method: 'POST',
      path: `/jobs/${jobId}/cancel`,
      ...(location === undefined ? {} : { query: { location } }),
      always: true,
    })
  } catch (error) {
    if (!(error instanceof BigQueryError)) throw error
  }
}

/** A job lives six hours at most, a query too. */
const OLDEST_RUNNING_MS = 12 * 3600 * 1000

/** Our own jobs that carry one of these labels and are not done: cancelled, and waited for. Resolves to their ids. */
export async function cancelJobs(
  api: Api,
  labels: readonly (readonly [name: string, value: string])[],
): Promise<readonly string[]> {
  const left: Job[] = []
  let pageToken: string | undefined
  do {
    const page: JobList = await api.call({
      method: 'GET',
      path: '/jobs',
      query: {
        projection: 'full',
        stateFilter: ['pending', 'running'],
        minCreationTime: String(Date.now() - OLDEST_RUNNING_MS),
        ...(pageToken === undefined ? {} : { pageToken }),
      },
    })
    for (const listed of page.jobs ?? []) {
      const carried = listed.configuration?.labels ?? {}
      const isOurs = labels.some(([name, value]) => carried[name] === value)
      if (isOurs && listed.status?.state !== 'DONE') left.push(listed)
    }
    pageToken = page.nextPageToken
  } while (pageToken !== undefined && pageToken !== '')
  for (const { jobReference } of left) await cancelJob(api, jobReference ?? {})
  for (const job of left) await waitForJob(api, job)
  return left.map(({ jobReference }) => jobReference?.jobId ?? '')
}
