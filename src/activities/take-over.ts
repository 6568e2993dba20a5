// A retried run: whether what the failed one finished still stands.
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { writes } from '../pipeline/dbt-command.ts'
import { tableText } from '../pipeline/identifier.ts'
import type { Plan, RunReference, TakeOver } from '../pipeline/plan.ts'
import { hasChangedTables, type RunReport } from '../pipeline/report.ts'
import type { Manifest } from '../dbt/manifest.ts'
import { readJsonFile } from '../platform/files.ts'
import { listRunFolders, PLAN_FILE, REPORT_FILE, type RunFolder } from '../platform/run-folders.ts'
import { runFolder, type Workspace } from '../platform/workspace.ts'

/** How long sources that Millrace does not load itself are taken to be the same. */
const HOUR_MS = 3_600_000
const TRUSTED_FOR_MS = 24 * HOUR_MS

type NewPlan = Pick<Plan, 'pipeline' | 'target' | 'logicalDate' | 'params' | 'dbt' | 'steps' | 'warehouse'>

/**
 * Finished nodes are taken over only while project, target and dbt steps are the same, no other run has written to the
 * warehouse since, and their sources are loaded by the run itself or the failed run is not long ago. Loads need no such
 * care: the ledger in the warehouse knows them by their content.
 */
export async function resolveTakeOver(
  workspace: Workspace,
  of: RunReference,
  plan: NewPlan,
  manifest: Manifest,
  own: RunReference,
): Promise<TakeOver> {
  const afresh = (why: string): TakeOver => ({ kind: 'afresh', of, why })
  const folder = runFolder(workspace, of.workflowId, of.runId)
  const before = await readJsonFile<Plan>(path.join(folder, PLAN_FILE))
  const report = await readJsonFile<RunReport>(path.join(folder, REPORT_FILE))
  if (before === undefined || report === undefined) {
    return afresh(
      'that run left no report on this machine: it was terminated, ran elsewhere, or its folder was removed',
    )
  }
  // One that was itself a retry and did not come to its first dbt step has nothing of its own.
  const itsDbtSteps = before.steps
    .filter((step) => step.kind === 'dbt' && writes(step.command))
    .map(({ id }) => path.join(folder, id))
  if (before.takeOver?.kind === 'nodes' && !(await anyExists(itsDbtSteps))) {
    return await resolveTakeOver(workspace, before.takeOver.of, plan, manifest, own)
  }
  if (before.dbt.digest !== plan.dbt.digest) return afresh('the dbt project, its profile or dbt itself changed since')
  if (dbtSteps(before) !== dbtSteps(plan)) return afresh('the dbt steps of the pipeline changed since')
  if (sameness(before) !== sameness(plan)) return afresh('it had another target or other params')
  const agoMs = Date.now() - Date.parse(report.finishedAt)
  if (agoMs > TRUSTED_FOR_MS && !loadsAllSources(plan, manifest)) {
    return afresh(
      `it ended ${Math.round(agoMs / HOUR_MS)} hours ago, and not all of its sources are loaded by Millrace`,
    )
  }
  const later = await laterRun(workspace, plan.warehouse.taskQueue, report, own)
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

function sameness({ pipeline, target, logicalDate, params, warehouse }: NewPlan): string {
  const sorted = Object.entries(params).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([pipeline, target, logicalDate, sorted, warehouse.taskQueue])
}

function loadsAllSources({ steps }: NewPlan, manifest: Manifest): boolean {
  const loaded = new Set(
    steps.flatMap((step) => (step.kind === 'ingest' ? step.entries.map(({ into }) => tableText(into)) : [])),
  )
  return manifest.sources.every(({ schema, table }) => loaded.has(`${schema}.${table}`))
}

/** A run of any pipeline that did, or may have done, something to the same warehouse after that one had begun. */
async function laterRun(
  workspace: Workspace,
  taskQueue: string,
  before: RunReport,
  own: RunReference,
): Promise<string | undefined> {
  for (const run of await listRunFolders(workspace)) {
    const runId = path.basename(run.folder)
    if (runId === before.runId || runId === own.runId) continue
    const plan = await readJsonFile<Plan>(path.join(run.folder, PLAN_FILE))
    if (plan?.warehouse.taskQueue !== taskQueue) continue
    if (await wroteAfter(run, plan, Date.parse(before.startedAt))) return run.workflow
  }
  return undefined
}

async function wroteAfter({ folder, touchedAtMs }: RunFolder, plan: Plan, sinceMs: number): Promise<boolean> {
  const report = await readJsonFile<RunReport>(path.join(folder, REPORT_FILE))
  if (report === undefined) {
    // It goes on, or was terminated: what it did is not known, only that it came to do something.
    const steps = plan.steps.map(({ id }) => path.join(folder, id))
    const loads = plan.steps.some(({ kind }) => kind === 'ingest')
    return touchedAtMs >= sinceMs && (loads || (await anyExists(steps)))
  }
  if (Date.parse(report.finishedAt) <= sinceMs) return false
  return report.steps.some((step) => {
    const planned = plan.steps.find(({ id }) => id === step.id)
    const loaded = step.loads.some((load) => load.report?.status === 'loaded')
    return loaded || (planned?.kind === 'dbt' && hasChangedTables(planned.command, step))
  })
}

async function anyExists(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const found = await stat(file).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
