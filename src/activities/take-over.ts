// A retried run: whether what the failed one finished still stands.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Plan, RunReference, TakeOver } from '../pipeline/plan.ts'
import type { RunReport } from '../pipeline/report.ts'
import { errorCode } from '../platform/files.ts'
import { listRunFolders, PLAN_FILE, REPORT_FILE } from '../platform/run-folders.ts'
import { runFolder, type Workspace } from '../platform/workspace.ts'

/**
 * Finished nodes are taken over only while project, target and dbt steps are the same and no other run has written to
 * the target since. Loads need no such care: the ledger in the warehouse knows them by their content.
 */
export async function resolveTakeOver(
  workspace: Workspace,
  of: RunReference,
  plan: Pick<Plan, 'pipeline' | 'target' | 'logicalDate' | 'params' | 'dbt' | 'steps'>,
): Promise<TakeOver> {
  const afresh = (why: string): TakeOver => ({ kind: 'afresh', of, why })
  const folder = runFolder(workspace, of.workflowId, of.runId)
  const before = await readJson<Plan>(path.join(folder, PLAN_FILE))
  const report = await readJson<RunReport>(path.join(folder, REPORT_FILE))
  if (before === undefined || report === undefined) {
    return afresh(
      'nothing of that run is on this machine: it was never planned, ran elsewhere, or its folder was removed',
    )
  }
  if (before.dbt.digest !== plan.dbt.digest) return afresh('the dbt project, its profile or dbt itself changed since')
  if (dbtSteps(before) !== dbtSteps(plan)) return afresh('the dbt steps of the pipeline changed since')
  if (sameness(before) !== sameness(plan)) return afresh('it had another target or other params')
  const later = await laterRun(workspace, report)
  if (later !== undefined) return afresh(`${later} has written to target ${plan.target} since`)
  const loadIds = report.steps.flatMap(({ loads }) => loads.flatMap((load) => load.report?.loadId ?? []))
  return { kind: 'nodes', of, loadIds }
}

function dbtSteps({ steps }: Pick<Plan, 'steps'>): string {
  return JSON.stringify(
    steps.flatMap((step) =>
      step.kind === 'dbt' ? [[step.id, step.command, step.select, step.exclude, step.options]] : [],
    ),
  )
}

function sameness({
  pipeline,
  target,
  logicalDate,
  params,
}: Pick<Plan, 'pipeline' | 'target' | 'logicalDate' | 'params'>) {
  return JSON.stringify([
    pipeline,
    target,
    logicalDate,
    Object.entries(params).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ])
}

/** A run of any pipeline that did something to the same target after that one had begun. */
async function laterRun(workspace: Workspace, before: RunReport): Promise<string | undefined> {
  for (const { folder } of await listRunFolders(workspace)) {
    const report = await readJson<RunReport>(path.join(folder, REPORT_FILE))
    if (report === undefined || report.runId === before.runId || report.target !== before.target) continue
    if (report.finishedAt <= before.startedAt) continue
    const wrote = report.steps.some(
      ({ dbt, loads }) =>
        (dbt !== null && dbt.total > dbt.takenOver) || loads.some((load) => load.report?.status === 'loaded'),
    )
    if (wrote) return report.workflowId
  }
  return undefined
}

async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T // our own file
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
