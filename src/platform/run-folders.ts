// The folders that runs leave in .millrace/runs: which there are, and which of them are kept.
import { lstat, readdir, rename, rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from './files.ts'
import { runsFolder, type Workspace } from './workspace.ts'

/** A run writes it last: a folder that has it is of a run that has ended. */
export const REPORT_FILE = 'report.json'

/** The frozen plan; written when the run begins. */
export const PLAN_FILE = 'plan.json'

export interface RunFolder {
  readonly folder: string
  /** Name of the folder of its workflow id. */
  readonly workflow: string
  readonly ended: boolean
  /** When something was last written to it. */
  readonly touchedAtMs: number
}

export interface RunLimits {
  /** So many runs that have ended, the newest of all pipelines together. */
  readonly runs: number
  readonly days: number
}

/** Temporal's run ids. Nothing else in there is ours to look at, and far less to remove. */
const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const REMOVED = '.removed-'
const DAY_MS = 86_400_000

/** All of them, the one that was touched last first. Links are passed over, and so is what cannot be read. */
export async function listRunFolders(
  workspace: Workspace,
  onProblem: (error: unknown) => void = () => undefined,
): Promise<RunFolder[]> {
  const found: RunFolder[] = []
  const workflows = await subfolders(runsFolder(workspace))
  for (const workflow of workflows) {
    const parent = path.join(runsFolder(workspace), workflow)
    const runIds = await subfolders(parent).catch(onProblem)
    for (const runId of runIds ?? []) {
      if (!RUN_ID.test(runId)) continue
      const run = await describeRun(path.join(parent, runId), workflow).catch(onProblem)
      if (run) found.push(run)
    }
  }
  return found.sort((a, b) => b.touchedAtMs - a.touchedAtMs)
}

/**
 * Removes the folders of runs that ended and are older than the days or beyond the newest runs, and of runs that never
 * ended once nothing was written for so many days. Does what it can, and says what it could not.
 */
export async function removeOldRuns(
  workspace: Workspace,
  limits: RunLimits,
  nowMs: number,
): Promise<{ readonly removed: number; readonly problems: readonly string[] }> {
  const problems: string[] = []
  let removed = 0
  const tell = (error: unknown) => void problems.push(error instanceof Error ? error.message : String(error))
  const folders = await listRunFolders(workspace, tell)
  for (const { folder } of oldRuns(folders, limits, nowMs)) {
    if (await removeRun(folder).catch(tell)) removed++
  }
  for (const workflow of await subfolders(runsFolder(workspace))) {
    await clearUp(path.join(runsFolder(workspace), workflow)).catch(tell)
  }
  return { removed, problems }
}

function oldRuns(newestFirst: readonly RunFolder[], { runs, days }: RunLimits, nowMs: number): RunFolder[] {
  const isTooOld = ({ touchedAtMs }: RunFolder) => nowMs - touchedAtMs > days * DAY_MS
  const beyond = new Set(newestFirst.filter(({ ended }) => ended).slice(runs))
  return newestFirst.filter((run) => isTooOld(run) || beyond.has(run))
}

/**
 * Renamed first, in one step: killed in the middle, this leaves no folder that looks like a run but lacks a part of it
 * (one without its report would be a run that goes on). What it leaves is cleared by the next call.
 */
async function removeRun(folder: string): Promise<boolean> {
  const doomed = path.join(path.dirname(folder), `${REMOVED}${path.basename(folder)}`)
  const renamed = await unlessGone(rename(folder, doomed).then(() => true))
  // Another worker of this workspace was quicker.
  if (renamed === undefined) return false
  await removeTree(doomed)
  return true
}

/** What was left half removed, and the workflow's folder when no run is in it. */
async function clearUp(workflowFolder: string): Promise<void> {
  for (const name of await subfolders(workflowFolder)) {
    if (name.startsWith(REMOVED)) await removeTree(path.join(workflowFolder, name))
  }
  await rmdir(workflowFolder).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errorCode(error) ?? '')) throw error
  })
}

/** Node removes links in it, never what they point to. */
async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** Undefined when somebody else removes it meanwhile. */
async function describeRun(folder: string, workflow: string): Promise<RunFolder | undefined> {
  const names = await unlessGone(readdir(folder))
  if (names === undefined) return undefined
  // A folder's own time tells of files that came, not of files that grow.
  const stats = await Promise.all(['.', ...names].map((name) => unlessGone(lstat(path.join(folder, name)))))
  const touchedAtMs = Math.max(...stats.map((stat) => stat?.mtimeMs ?? 0))
  return { folder, workflow, ended: names.includes(REPORT_FILE), touchedAtMs }
}

/** Names of real folders: a link to one is none. */
async function subfolders(folder: string): Promise<string[]> {
  const entries = (await unlessGone(readdir(folder, { withFileTypes: true }))) ?? []
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

async function unlessGone<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
