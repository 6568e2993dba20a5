// A run of a generated project under way: what dbt has said so far, what is alive, and what the warehouse has in the end.
import { readdir, readFile, readlink } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { readJsonFile } from '../../src/platform/files.ts'
import type { LedgerNode } from '../../src/dbt/ledger.ts'
import type { Workspace } from '../../src/platform/workspace.ts'

/** Names of nodes that dbt itself reported as finished well, over all attempts of all runs, read from its raw events. */
export async function finishedNodes(workspace: Workspace): Promise<string[]> {
  const names: string[] = []
  for (const file of await filesNamed(workspace, 'dbt-events.jsonl')) {
    for (const line of (await readFile(file, 'utf8').catch(() => '')).split('\n')) {
      if (!line.includes('"name": "NodeFinished"')) continue
      const { node_info: node, run_result: result } = parse(line)?.data ?? {}
      if (node !== undefined && ['success', 'pass'].includes(result?.status ?? '')) names.push(node.unique_id)
    }
  }
  return names
}

interface NodeFinished {
  readonly data: {
    readonly node_info?: { readonly unique_id: string }
    readonly run_result?: { readonly status: string }
  }
}

function parse(line: string): NodeFinished | undefined {
  try {
    return JSON.parse(line) as NodeFinished
  } catch {
    return undefined
  }
}

/** Number of the process that leads dbt's group, while it lives. */
export async function dbtPid(workspace: Workspace): Promise<number | undefined> {
  const [file] = await filesNamed(workspace, 'process.json')
  // It may go between the two looks.
  return file === undefined ? undefined : (await readJsonFile<{ pid: number }>(file))?.pid
}

/** The ledger of a step, as the run's folder has it at the end. */
export async function stepLedger(workspace: Workspace, step: string): Promise<readonly LedgerNode[]> {
  const file = (await filesNamed(workspace, 'ledger.json')).find((name) => path.basename(path.dirname(name)) === step)
  if (file === undefined) throw new Error(`no ledger of step ${step}`)
  return (JSON.parse(await readFile(file, 'utf8')) as { nodes: LedgerNode[] }).nodes
}

export async function filesNamed(workspace: Workspace, name: string): Promise<string[]> {
  const runs = path.join(workspace.stateDir, 'runs')
  const entries = await readdir(runs, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.name === name).map((entry) => path.join(entry.parentPath, entry.name))
}

/**
 * Processes that work on a folder: it stands in their command lines, or they work somewhere below it, as each dbt and its
 * watcher do, however they were launched. A worker works in the folder itself. Left out are those with the word `besides`
 * in their command line. One that ends on its own is given ten seconds.
 */
export async function processesNaming(folder: string, besides?: string): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const found = (await processesNow(folder)).filter((line) => besides === undefined || !line.includes(besides))
    if (found.length === 0 || tries === 40) return found
    await pause(250)
  }
}

/** As they are at this moment: lines of ps. */
export async function processesNow(folder: string): Promise<string[]> {
  const { stdout } = await execa('ps', ['-eo', 'pid=,stat=,args='])
  const lines = stdout.split('\n').map(async (line) => {
    const [pid = '', state = 'Z'] = line.trim().split(/\s+/)
    if (state.startsWith('Z')) return []
    if (line.includes(folder)) return [line]
    const works = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    return works.startsWith(`${folder}/`) ? [line] : []
  })
  return (await Promise.all(lines)).flat()
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(50)
}
