// Where things are: the user's workspace (pipelines/, .millrace/) and the installation (venv, server binary).
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { failure } from '../pipeline/failure.ts'

export interface Workspace {
  /** The folder that holds pipelines/. */
  readonly root: string
  readonly pipelinesDir: string
  /** Runtime state, ignored by git: runs, caches, the server's database. */
  readonly stateDir: string
}

/** The given folder, else the nearest one upwards from `from` that holds pipelines/. */
export function findWorkspace(given: string | undefined, from: string = process.cwd()): Workspace {
  const found = nearestWorkspace(given, from)
  if (found !== undefined) return found
  throw failure(
    'PipelineUnknown',
    `there is no folder pipelines/ in ${from} or above it; go to your workspace, or name it: MILLRACE_WORKSPACE=/path`,
  )
}

/** As findWorkspace; `from` itself where there is none: for the command that begins one. Makes nothing. */
export function findOrBeginWorkspace(given: string | undefined, from: string = process.cwd()): Workspace {
  return nearestWorkspace(given, from) ?? workspaceAt(path.resolve(from))
}

function nearestWorkspace(given: string | undefined, from: string): Workspace | undefined {
  if (given !== undefined) return workspaceAt(path.resolve(given))
  for (let folder = path.resolve(from); ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'pipelines'))) return workspaceAt(folder)
    if (folder === path.dirname(folder)) return undefined
  }
}

export function workspaceAt(root: string): Workspace {
  return { root, pipelinesDir: path.join(root, 'pipelines'), stateDir: path.join(root, '.millrace') }
}

/** What tools/bootstrap.mjs set up beside the source code. */
export const INSTALLATION = (() => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  return {
    root,
    python: path.join(root, '.millrace', 'venv', 'bin', 'python'),
    /** Of dbt for BigQuery; installed on demand. */
    bigQueryPython: path.join(root, '.millrace', 'venv-bigquery', 'bin', 'python'),
    temporalServer: path.join(root, '.millrace', 'bin', 'temporal'),
    /** What can be made again. */
    cacheDir: path.join(root, '.millrace', 'cache'),
  }
})()

/** The folder of one run's report, dbt artifacts and scratch files. */
export function runFolder(workspace: Workspace, workflowId: string, runId: string): string {
  return path.join(runsFolder(workspace), workflowFolderName(workflowId), runId)
}

/** `<workflow>/<run>` below it are the folders of runs. */
export function runsFolder(workspace: Workspace): string {
  return path.join(workspace.stateDir, 'runs')
}

/** A workflow id as folder name: scheduled runs have a time with colons in theirs. */
export function workflowFolderName(workflowId: string): string {
  return workflowId.replaceAll(/[^\w.-]/g, '_')
}
