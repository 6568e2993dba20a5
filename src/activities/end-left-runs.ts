// endLeftRuns: a terminated run frees its lease before its dbt is dead, and leaves its queries. The next holder ends both.
import { Context } from '@temporalio/activity'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { endLeftover, eventsFile } from '../dbt/launch.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { earlierAttempts } from '../dbt/resume.ts'
import type { LeaseOf } from '../pipeline/lease.ts'
import type { Plan } from '../pipeline/plan.ts'
import { errorCode, readJsonFile } from '../platform/files.ts'
import { listRunFolders, PLAN_FILE } from '../platform/run-folders.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { dbtPlace } from './dbt-place.ts'
import { withHeartbeat } from './heartbeat.ts'
import { endLeftQueries } from './left-queries.ts'

export interface EndLeftRunsInput {
  readonly plan: RunContext
  readonly lease: LeaseOf
}

/** To be called by the run that holds the lease: what has it in its plan and has not ended, is dead. Returns how many processes were ended. */
export function createEndLeftRuns(deps: ActivityDeps) {
  return async function endLeftRuns({ plan, lease }: EndLeftRunsInput): Promise<number> {
    return await withHeartbeat(async (_show, abort) => {
      let ended = 0
      for (const { folder, ended: hasEnded } of await listRunFolders(deps.workspace)) {
        if (hasEnded) continue
        const left = await readJsonFile<Plan>(path.join(folder, PLAN_FILE))
        if (left === undefined || left.lease.lock !== lease.lock || left.lease.target !== lease.target) continue
        for (const step of left.steps) {
          if (step.kind === 'dbt') ended += await endLeftStep(deps, left, path.join(folder, step.id), abort)
        }
      }
      if (ended > 0) Context.current().log.info('ended processes that a dead run had left', { ended, ...plan.params })
      return ended
    })
  }
}

async function endLeftStep(deps: ActivityDeps, left: Plan, stepDir: string, abort: AbortSignal): Promise<number> {
  let ended = 0
  let brokenOff = false
  for (const attempt of await readdir(stepDir).catch(noneIfMissing)) {
    const attemptDir = path.join(stepDir, attempt)
    if (await endLeftover(attemptDir)) ended++
    // They go when an attempt is over, so this is looked into once.
    if (await exists(eventsFile(attemptDir))) brokenOff = true
  }
  if (!brokenOff || left.warehouse.kind === 'duckdb') return ended
  const runId = path.basename(path.dirname(stepDir))
  const location = {
    projectDir: path.resolve(deps.workspace.root, left.dbt.projectDir),
    profilesDir: path.resolve(deps.workspace.root, left.dbt.profilesDir),
  }
  const place = await dbtPlace(deps.workspace, left.dbt, await readProfileTarget(location, left.target), deps.python)
  const earlier = await earlierAttempts(stepDir, left.dbt.digest, place)
  await endLeftQueries(deps, left, earlier.brokenOff, abort, runId)
  return ended
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  )
}

function noneIfMissing(error: unknown): string[] {
  if (errorCode(error) === 'ENOENT') return []
  throw error
}
