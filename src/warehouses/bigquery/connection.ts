// An open BigQuery: who asks, where the datasets lie, and what was billed so far.
import { failure } from '../../pipeline/failure.ts'
import type { Identifier } from '../../pipeline/identifier.ts'
import { openApi, type Api } from '../../platform/bigquery/api.ts'
import { hasReason } from '../../platform/bigquery/error.ts'
import type { RetryRules } from '../../platform/bigquery/retry.ts'
import { createDataset, datasetLocation } from '../../platform/bigquery/tables.ts'
import type { WarehousePlace } from '../warehouse.ts'
import { howToCreate, asBigqueryFailure } from './failure.ts'
import type { BigquerySettings } from './settings.ts'

export interface Connection {
  readonly api: Api
  readonly settings: BigquerySettings
  /** Fails with ProfileInvalid where the dataset lies elsewhere than jobs run: nothing could be read from both. */
  requireSameLocation(project: string, dataset: string): Promise<void>
  /** Creates the dataset where it is missing. */
  ensureDataset(dataset: Identifier): Promise<void>
}

/** Looks at the profile's dataset: jobs run where it is. Fails with ProfileInvalid where the profile says otherwise. */
export async function connect(
  settings: BigquerySettings,
  place: Pick<WarehousePlace, 'abort' | 'run'>,
  retries?: RetryRules,
): Promise<Connection> {
  const { maximumBytesBilled, priority, reservation, timeoutMs } = settings
  const opened = await openApi({
    auth: settings.auth,
    project: settings.executionProject,
    location: settings.location,
    endpoint: settings.apiEndpoint,
    storageEndpoint: settings.storageEndpoint,
    abort: place.abort,
    jobs: { labels: labelsOf(place.run), maximumBytesBilled, priority, reservation, timeoutMs },
    ...(retries === undefined ? {} : { retries }),
  })
  const locations = new Map<string, Promise<string | undefined>>()
  const locationOf = (project: string, dataset: string) => {
    const name = `${project}.${dataset}`
    const known = locations.get(name) ?? datasetLocation(opened, project, dataset)
    locations.set(name, known)
    return known
  }
  const own = await locationOf(settings.project, settings.dataset)
  const api: Api = { ...opened, location: settings.location ?? own }
  const requireSameLocation = async (project: string, dataset: string) => {
    const location = await locationOf(project, dataset)
    if (location === undefined || location === '' || api.location === undefined || sameLocation(location, api.location))
      return
    const says =
      settings.location === undefined
        ? `${settings.dataset} is in ${own}`
        : `${settings.where} says ${settings.location}`
    throw failure(
      'ProfileInvalid',
      `dataset ${dataset} is in ${location}, but ${says}; BigQuery cannot use both at once. ` +
        `Set location: ${location} there, or make the dataset anew where the others are`,
    )
  }
  await requireSameLocation(settings.project, settings.dataset)
  return {
    api,
    settings,
    requireSameLocation,
    async ensureDataset(dataset) {
      await requireSameLocation(settings.project, dataset)
      if ((await locationOf(settings.project, dataset)) !== undefined) return
      try {
        await createDataset(api, settings.project, dataset, api.location)
      } catch (error) {
        if (!hasReason(error, 'accessDenied')) throw asBigqueryFailure(error, settings)
        throw failure(
          'ProfileInvalid',
          `project ${settings.project} has no dataset ${dataset}, and this account may not create it. ${howToCreate(dataset, settings)}`,
        )
      }
      locations.set(`${settings.project}.${dataset}`, Promise.resolve(api.location))
    },
  }
}

/** `eu` and `EU` are one. */
function sameLocation(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** Whose jobs these are, in BigQuery's own lists. */
function labelsOf(run: WarehousePlace['run']): Readonly<Record<string, string>> {
  if (run === null) return {}
  return {
    millrace_run: labelText(run.runId),
    millrace_pipeline: labelText(run.pipeline),
    millrace_attempt: String(run.attempt),
  }
}

/** A label's value takes 63 lower-case letters, digits, `_` and `-`. */
export function labelText(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '_')
    .slice(0, 63)
}
