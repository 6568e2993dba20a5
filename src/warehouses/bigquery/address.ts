// Which BigQuery dataset a dbt target means.
import type { ProfileTarget } from '../../dbt/profile.ts'
import type { WarehouseAddress } from '../warehouse.ts'
import { bigquerySettings } from './settings.ts'

/** BigQuery queues what is too much for it; more at once would only make one run's loads wait for another's. */
const AT_THE_SAME_TIME = 8

export function bigqueryAddress(target: ProfileTarget): WarehouseAddress {
  const { project, dataset, location, apiEndpoint } = bigquerySettings(target)
  const name = `${project}.${dataset}`
  return {
    kind: 'bigquery',
    label: location === undefined ? name : `${name} (${location})`,
    schema: dataset,
    identity: `bigquery:${name}${apiEndpoint === undefined ? '' : `@${apiEndpoint}`}`,
    concurrency: AT_THE_SAME_TIME,
  }
}
