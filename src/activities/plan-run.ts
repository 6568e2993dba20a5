// planRun: freezes the plan of a run, and refuses one that cannot work before anything is touched.
import { activityInfo, Context } from '@temporalio/activity'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { Plan, RunRequest } from '../pipeline/plan.ts'
import { ApplicationFailure } from '@temporalio/common'
import { describeFailure, failure, type FailureInfo } from '../pipeline/failure.ts'
import { loadPipeline } from '../pipeline/load.ts'
import { writeFileAtomically } from '../platform/files.ts'
import { PLAN_FILE } from '../platform/run-folders.ts'
import { resolveHttp } from '../sources/http.ts'
import { runFolder } from '../platform/workspace.ts'
import type { EmptySelection } from '../dbt/selection.ts'
import type { ActivityDeps } from './context.ts'
import { missingFiles, openEntryFiles } from './entry-files.ts'
import { withHeartbeat } from './heartbeat.ts'
import { makePlan } from './make-plan.ts'
import { resolveTakeOver } from './take-over.ts'

export interface PlanRunInput {
  readonly pipeline: string
  readonly request: RunRequest
  /** The time the run is for, in ms since 1970: {date} defaults are counted from it. */
  readonly runTimeMs: number
}

export function createPlanRun(deps: ActivityDeps) {
  return async function planRun({ pipeline, request, runTimeMs }: PlanRunInput): Promise<Plan> {
    return await withHeartbeat(async (_show, abort) => {
      const { workflowExecution, attempt, taskQueue } = activityInfo()
      if (workflowExecution === undefined) throw new Error('planRun is part of a workflow')
      const folder = runFolder(deps.workspace, workflowExecution.workflowId, workflowExecution.runId)
      const definition = await loadPipeline(deps.workspace.pipelinesDir, pipeline)
      const place = {
        workspace: deps.workspace,
        python: deps.python,
        outputDir: path.join(folder, `plan-${attempt}`),
        ...(deps.dbtHosts === undefined ? {} : { dbtHosts: deps.dbtHosts }),
      }
      const { plan, address, manifest, emptySelections } = await makePlan(definition, request, runTimeMs, place, abort)
      await rm(place.outputDir, { recursive: true, force: true })
      Context.current().log.info('planned', { pipeline, target: plan.target, logicalDate: plan.logicalDate })
      const warehouse = {
        kind: address.kind,
        label: address.kind === 'duckdb' ? path.relative(deps.workspace.root, address.label) : address.label,
        schema: address.schema,
        taskQueue: await deps.serveWarehouse(address),
      }
      const { retryOf } = request
      const { workspace } = deps
      const frozen: Plan = {
        ...plan,
        lease: { ...plan.lease, taskQueue },
        warehouse,
        searchAttributes: deps.searchAttributes,
        takeOver:
          retryOf === undefined
            ? null
            : await resolveTakeOver(workspace, retryOf, { ...plan, warehouse }, manifest, workflowExecution),
        obstacle: selectionObstacle(plan.steps, emptySelections) ?? (await fileObstacle(workspace.root, plan.steps)),
      }
      await writeFileAtomically(path.join(folder, PLAN_FILE), `${JSON.stringify(frozen, null, 1)}\n`)
      return frozen
    })
  }
}

/** Something that was asked for would not be done. A step that may fail with a warning fails by itself, when it is its turn. */
function selectionObstacle(steps: Plan['steps'], empty: readonly EmptySelection[]): FailureInfo | null {
  const problems = empty.flatMap(({ index, message }) => {
    const step = steps[index]
    return step === undefined || step.onFailure === 'warn' ? [] : [`step ${step.id}: ${message}`]
  })
  if (problems.length === 0) return null
  return describeFailure(
    failure('DbtNothingSelected', `${problems.join('\n')}\nCorrect it in the pipeline file; nothing was started`),
  )
}

/** All missing or unusable files at once, before the first of them is loaded. Files that may be missing are not asked for. */
async function fileObstacle(root: string, steps: Plan['steps']): Promise<FailureInfo | null> {
  const problems: ApplicationFailure[] = []
  for (const step of steps) {
    if (step.kind !== 'ingest' || step.skipped) continue
    for (const entry of step.entries) {
      try {
        if (entry.http !== undefined) {
          resolveHttp(entry.http, entry.files)
          continue
        }
        const files = await openEntryFiles(root, entry)
        await Promise.all(files.map(({ file }) => file.handle.close()))
        if (files.length === 0 && entry.missing === 'fail') throw missingFiles(entry)
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error
        problems.push(error)
      }
    }
  }
  const [first] = problems
  if (first === undefined) return null
  const types = problems.map(({ type }) => type)
  const type = (['SourceUnconfigured', 'FileRefused'] as const).find((each) => types.includes(each)) ?? 'FileMissing'
  return describeFailure(failure(type, [...new Set(problems.map(({ message }) => message))].join('\n')))
}
