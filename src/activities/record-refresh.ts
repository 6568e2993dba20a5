// recordRefresh: every run leaves report.json in its folder and one row in the refresh log, however it ended.
import path from 'node:path'
import { describeFailure } from '../pipeline/failure.ts'
import type { Identifier } from '../pipeline/identifier.ts'
import { refreshCounts } from '../pipeline/refresh-counts.ts'
import { notableChecks, type MartReport, type RunReport } from '../pipeline/report.ts'
import { writeFileAtomically } from '../platform/files.ts'
import { REPORT_FILE } from '../platform/run-folders.ts'
import { runFolder } from '../platform/workspace.ts'
import type { RefreshRow } from '../warehouses/warehouse.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { endStory, openActivityLog } from './logged.ts'
import { withWarehouse } from './with-warehouse.ts'

export interface RecordRefreshInput {
  /** Null when planning failed: then there is no warehouse to write to. */
  readonly plan: RunContext | null
  readonly refreshLog: Identifier | null
  /** What the notes call the pipeline, where that is not its name. */
  readonly title: string | null
  readonly report: RunReport
}

/** Doing it again changes nothing: the row is keyed by the run, the file replaced. */
export function createRecordRefresh(deps: ActivityDeps) {
  return async function recordRefresh({ plan, refreshLog, title, report }: RecordRefreshInput): Promise<void> {
    await withHeartbeat(async (_show, abort) => {
      const file = reportFile(deps, report)
      const write = async (final: RunReport) => {
        // Before the report: who follows the log takes that for its end.
        const log = openActivityLog(deps)
        log.tell(endStory(final))
        log.close()
        await writeFileAtomically(file, `${JSON.stringify(final, null, 2)}\n`)
      }
      try {
        if (plan !== null && refreshLog !== null) {
          await withWarehouse(deps, plan, abort, async ({ open }) => {
            const table = { schema: plan.warehouse.schema, table: refreshLog }
            await (await open()).recordRefresh(table, refreshRow(report, title ?? report.pipeline))
          })
        }
      } catch (error) {
        // The run fails by this, so its report must not say that it went well.
        await write({ ...report, outcome: 'failed', failure: report.failure ?? describeFailure(error) })
        throw error
      }
      await write(report)
    })
  }
}

function reportFile(deps: ActivityDeps, { workflowId, runId }: RunReport): string {
  return path.join(runFolder(deps.workspace, workflowId, runId), REPORT_FILE)
}

/** The row as asked for: models that dbt built for it (those of a run that it took over included), rows that the loads inserted, and a sentence. */
export function refreshRow(report: RunReport, title = report.pipeline): RefreshRow {
  const { models, rows, marts: validated } = refreshCounts(report)
  const marts = report.steps.flatMap((step) => step.marts)
  return {
    refreshId: `${report.workflowId}/${report.runId}`,
    runDate: report.startedAt,
    success: report.outcome === 'succeeded' || report.outcome === 'warned',
    modelsUpdated: models,
    rowsInserted: rows,
    executionTimeSeconds: report.durationMs / 1000,
    marts: Object.fromEntries(marts.map(({ mart, rows, verdict }) => [mart, { rows, verdict }])),
    bytesBilled: report.bytesBilled,
    bytesEstimated: report.bytesEstimated,
    notes:
      `${title} refresh - ${report.note === null ? `${validated}${warnings(marts)}${partOf(report)}` : `skipped: ${report.note}`}` +
      (report.failure === null ? '' : ` - ${report.failure.type}: ${report.failure.message}`),
    report,
  }
}

/** A mart that FAILED is told by the run's failure. */
function warnings(marts: readonly MartReport[]): string {
  const warned = marts.filter(({ verdict }) => verdict === 'WARNING')
  return warned.map((mart) => ` - ${mart.mart} WARNING: ${notableChecks(mart).join(', ')}`).join('')
}

/** A run of some steps only must not read like a whole one. */
function partOf({ steps, outcome }: RunReport): string {
  if (outcome === 'failed' || outcome === 'cancelled') return ''
  const done = steps.filter(({ state }) => state !== 'skipped')
  return done.length === steps.length || done.length === 0 ? '' : `${ONLY}${done.map(({ id }) => id).join(', ')}`
}

const ONLY = ' - only '

/** Whether a run of the refresh log did only some of its pipeline's steps. */
export function isPartial({ notes }: { readonly notes: string }): boolean {
  return notes.includes(ONLY)
}
