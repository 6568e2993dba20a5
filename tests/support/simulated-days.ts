// Days of a pipeline one after the other, a day corrected afterwards, and the same data loaded and built at once.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'vitest'
import { parse, stringify } from 'yaml'
import type { RunRequest } from '../../src/pipeline/plan.ts'
import type { Workspace } from '../../src/platform/workspace.ts'
import { query } from './warehouse.ts'
import { startWorker, type TestWorker } from './worker.ts'
import { makeWorkspace } from './workspace.ts'

export interface SimulatedDays {
  readonly pipeline: string
  readonly days: readonly string[]
  /** Days on which dbt builds, too; on the others the files are loaded only. */
  readonly builtOn: readonly string[]
  /** Writes the files of all days into a workspace, as they came first. */
  readonly write: (root: string) => Promise<void>
  /** Corrects files in the workspace and tells of which day they are; it is loaded and built once more, after all others. */
  readonly correct: (root: string) => Promise<string>
  readonly tables: readonly string[]
}

type Rows = Readonly<Record<string, readonly string[]>>

/**
 * What the tables hold after the days, before and after the correction, and what they hold where the files as they are in
 * the end came all in one load and were built once. A text per row, sorted.
 */
export async function simulateDays(simulated: SimulatedDays): Promise<{ before: Rows; after: Rows; rebuilt: Rows }> {
  const { days, builtOn, pipeline, tables } = simulated
  const daily = await makeWorkspace()
  await simulated.write(daily.root)
  await onlyLoadAndBuild(daily, pipeline)
  await withWorker(daily, async (worker) => {
    for (const day of days) await run(worker, pipeline, day, builtOn.includes(day) ? {} : { only: 'ingest' })
  })
  const before = await rowsOf(daily, tables)
  const corrected = await simulated.correct(daily.root)
  await withWorker(daily, (worker) => run(worker, pipeline, corrected))

  const once = await makeWorkspace()
  await simulated.write(once.root)
  await simulated.correct(once.root)
  await onlyLoadAndBuild(once, pipeline, (files) => files.replaceAll('{date}', '*'))
  await withWorker(once, (worker) => run(worker, pipeline, days.at(-1) ?? ''))
  return { before, after: await rowsOf(daily, tables), rebuilt: await rowsOf(once, tables) }
}

async function withWorker(workspace: Workspace, work: (worker: TestWorker) => Promise<void>): Promise<void> {
  const worker = await startWorker(workspace)
  await work(worker)
  await worker.stop()
}

async function run(worker: TestWorker, pipeline: string, date: string, request: RunRequest = {}): Promise<void> {
  const { outcome, failure } = await worker.run(pipeline, { params: { date }, ...request })
  expect({ outcome, failure }).toEqual({ outcome: 'succeeded', failure: null })
}

interface PipelineParts {
  steps: { ingest?: { files: string }[]; dbt?: { command: string; select?: string[] } }[]
  schedules?: unknown
}

/** Tests, checks and publishing have tests of their own. */
async function onlyLoadAndBuild(
  { pipelinesDir }: Workspace,
  pipeline: string,
  files: (given: string) => string = (given) => given,
): Promise<void> {
  const file = path.join(pipelinesDir, `${pipeline}.yml`)
  const definition = parse(await readFile(file, 'utf8')) as PipelineParts // one of the project's own
  const steps = definition.steps.flatMap<object>(({ ingest, dbt }) => {
    if (ingest !== undefined) return [{ ingest: ingest.map((entry) => ({ ...entry, files: files(entry.files) })) }]
    return dbt === undefined || dbt.command === 'test' ? [] : [{ dbt: { ...dbt, command: 'run' } }]
  })
  await writeFile(file, stringify({ ...definition, steps, schedules: {} }))
}

async function rowsOf(workspace: Workspace, tables: readonly string[]): Promise<Rows> {
  const rows: Record<string, readonly string[]> = {}
  for (const table of tables) {
    const found = await query(workspace, `select to_json(t)::varchar as row from ${table} as t order by 1`)
    rows[table] = found.map(({ row }) => String(row))
  }
  return rows
}
