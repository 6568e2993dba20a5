// What a run did, in three numbers: for the refresh log and for alerts.
import type { RefreshCounts } from './alert-state.ts'
import type { RunReport } from './report.ts'

export function refreshCounts({ steps }: RunReport): RefreshCounts {
  const loads = steps.flatMap((step) => step.loads.flatMap((load) => load.report ?? []))
  const marts = steps.flatMap((step) => step.marts)
  const valid = marts.filter(({ verdict }) => verdict !== 'FAILED').length
  return {
    models: steps
      .filter(({ dbt }) => dbt?.command === 'run' || dbt?.command === 'build')
      .reduce((sum, { dbt }) => sum + (dbt?.counts['success'] ?? 0), 0),
    rows: loads.filter(({ status }) => status === 'loaded').reduce((sum, { loaded }) => sum + loaded, 0),
    marts: marts.length > 0 ? `${valid}/${marts.length} marts validated` : 'no marts validated',
  }
}
