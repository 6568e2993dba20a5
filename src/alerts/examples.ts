// Messages as examples: docs/alerts.md shows them, tests send them.
import type { AlertMessage } from '../pipeline/alert-state.ts'
import type { AlertPlace } from './message.ts'

export const PLACE: AlertPlace = {
  runLink: (workflowId, runId) => `https://temporal.example.org/namespaces/default/workflows/${workflowId}/${runId}`,
  reportPath: (workflowId, runId) => `.millrace/runs/${workflowId}/${runId}/report.json`,
}

const failed: AlertMessage = {
  id: 'daily-prod-2026-11-18-3f9a1c/0199f3c2/failed',
  kind: 'failed',
  pipeline: 'daily',
  target: 'prod',
  atMs: Date.UTC(2026, 10, 19, 2, 4),
  run: {
    workflowId: 'daily-prod-2026-11-18-3f9a1c',
    runId: '0199f3c2-6a50-7c11-9d5e-1f2f3a4b5c6d',
    logicalDate: '2026-11-18',
    outcome: 'failed',
    step: 'dbt run',
    failure: {
      type: 'DbtNodesFailed',
      message: 'model mart_users failed: division by zero (models/marts/mart_users.sql); correct it, then run again',
    },
    warnings: [],
    counts: { models: 5, rows: 4297, marts: 'no marts validated' },
    startedAtMs: Date.UTC(2026, 10, 19, 2, 0),
    durationMs: 221_000,
  },
  was: [],
  sinceMs: null,
  runs: 1,
  lastSuccessMs: Date.UTC(2026, 10, 18, 2, 3),
  slowAfterMs: null,
  note: null,
}

export const EXAMPLES = { failed } as const
