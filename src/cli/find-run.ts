// Which run in .millrace/runs a person means: by its id, by how that begins, or by its pipeline.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import type { RunReport } from '../pipeline/report.ts'
import { REPORT_FILE, type RunFolder } from '../platform/run-folders.ts'
import { readRunLog } from '../platform/run-log.ts'
import { workflowFolderName } from '../platform/workspace.ts'

/** Those of this very workflow id, else of this pipeline, else of the one workflow id that begins so. */
export async function runsMeant(
  runs: readonly RunFolder[],
  pipelines: readonly string[],
  given: string,
): Promise<readonly RunFolder[]> {
  const asFolder = workflowFolderName(given)
  const exact = runs.filter(({ workflow }) => workflow === asFolder)
  if (exact.length > 0) return exact
  if (pipelines.includes(given)) {
    const owners = await Promise.all(runs.map((run) => pipelineOf(run, pipelines)))
    return runs.filter((_run, index) => owners[index] === given)
  }
  const begunSo = runs.filter(({ workflow }) => workflow.startsWith(asFolder))
  const workflows = [...new Set(begunSo.map(({ workflow }) => workflow))]
  if (workflows.length > 1) {
    const shown = [...workflows.slice(0, 5), ...(workflows.length > 5 ? ['…'] : [])].join(', ')
    throw failure('RequestInvalid', `${workflows.length} runs begin with '${given}': ${shown}; write more of one`)
  }
  return begunSo
}

/** As its report says. One that goes on has only its id: the longest name counts, or `daily` would own `daily-eu`'s. */
async function pipelineOf(run: RunFolder, pipelines: readonly string[]): Promise<string | undefined> {
  if (run.ended) {
    try {
      const { pipeline } = JSON.parse(await readFile(path.join(run.folder, REPORT_FILE), 'utf8')) as Partial<RunReport>
      return pipeline
    } catch {
      // Not a report of ours, or just removed: its name has to do.
    }
  }
  return pipelines.filter((name) => isIdOf(name, run.workflow)).sort((a, b) => b.length - a.length)[0]
}

/** Started by hand `<pipeline>-<target>-…` (start-run.ts), by a schedule `<pipeline>.<schedule>-…` (schedules/desired.ts). */
export function isIdOf(pipeline: string, workflow: string): boolean {
  return workflow.startsWith(`${pipeline}-`) || workflow.startsWith(`${pipeline}.`)
}

/** The one that began last. */
export async function newest(runs: readonly RunFolder[]): Promise<RunFolder | undefined> {
  const began = await Promise.all(runs.map(async (run) => ({ run, atMs: await beganAtMs(run) })))
  return began.sort((a, b) => b.atMs - a.atMs)[0]?.run
}

async function beganAtMs({ folder, touchedAtMs }: RunFolder): Promise<number> {
  for await (const { at } of readRunLog(folder)) return Date.parse(at) || touchedAtMs
  return touchedAtMs
}
