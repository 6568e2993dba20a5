// publishMarts: what this run has built and checked is put before its readers, all at once.
import path from 'node:path'
import { activityInfo } from '@temporalio/activity'
import { failure } from '../pipeline/failure.ts'
import type { PublishWork } from '../pipeline/plan.ts'
import type { PublishReport } from '../pipeline/report.ts'
import type { ActivityDeps, Billed, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { withWarehouse } from './with-warehouse.ts'

export interface PublishMartsInput {
  readonly plan: RunContext
  readonly work: PublishWork
  /** Rows of each mart as this run's checks counted them. */
  readonly checkedRows: Readonly<Record<string, number>>
}

/** Either all marts are the new ones afterwards, or all are the old ones; doing it again changes nothing. */
export function createPublishMarts(deps: ActivityDeps) {
  return async function publishMarts({ plan, work, checkedRows }: PublishMartsInput): Promise<Billed<PublishReport>> {
    const copyTo = work.copyTo === null ? null : copyFile(deps.workspace.root, work.copyTo)
    return await withHeartbeat((_show, abort) =>
      withWarehouse(deps, plan, abort, async ({ open }) => {
        const warehouse = await open()
        const marts = await warehouse.publish({
          pipeline: plan.pipeline,
          target: plan.target,
          runId: activityInfo().workflowExecution?.runId ?? '',
          logicalDate: plan.logicalDate,
          publishedAt: new Date().toISOString(),
          to: work.to,
          marts: work.marts.map(({ mart, relation }) => ({ mart, relation, expectedRows: checkedRows[mart] ?? null })),
          copyTo,
        })
        const copy = plan.warehouse.kind === 'duckdb' ? work.copyTo : null
        return { result: { to: work.to, marts, copy }, bytesBilled: warehouse.bytesBilled() }
      }),
    )
  }
}

/** Nothing is written outside of the workspace, nor into what Millrace keeps there. */
function copyFile(root: string, given: string): string {
  const file = path.resolve(root, given)
  const inside = path.relative(root, file)
  if (inside !== '' && !inside.startsWith('..') && !path.isAbsolute(inside) && inside.endsWith('.duckdb')) return file
  throw failure(
    'PipelineInvalid',
    `publish_copy '${given}' is not a .duckdb file below the workspace; correct it in the pipeline file`,
  )
}
