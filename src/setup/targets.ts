// From infrastructure to the targets of a dbt profile.
import type { Infrastructure } from './outputs.ts'

/** What stands under a target's name in profiles.yml. */
export type TargetSettings = Readonly<Record<string, string | number>>

export interface WantedTarget {
  readonly name: string
  readonly settings: TargetSettings
}

/**
 * One target per environment. It holds no secret: whoever runs it signs in as themselves (`gcloud auth application-default
 * login`, or the machine's own account) and acts as the loader from there.
 */
export function wantedTargets({ project, location, environments }: Infrastructure): WantedTarget[] {
  return environments.map(({ name, dataset, loaderAccount }) => ({
    name,
    settings: {
      type: 'bigquery',
      method: 'oauth',
      project,
      dataset,
      location,
      threads: name === 'dev' ? 1 : 4,
      impersonate_service_account: loaderAccount,
    },
  }))
}
