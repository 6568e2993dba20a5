// `millrace history [PIPELINE]`: the refresh log of the last day, or of as long as one asks for.
import path from 'node:path'
import { refreshRow } from '../activities/record-refresh.ts'
import { formatByteSize } from '../pipeline/byte-size.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { DURATION_PATTERN, durationMs, formatDuration } from '../pipeline/duration.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import { identifier } from '../pipeline/identifier.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import { formatCount, type RunReport } from '../pipeline/report.ts'
import { readJsonFile } from '../platform/files.ts'
import { listRunFolders, REPORT_FILE } from '../platform/run-folders.ts'
import type { Workspace } from '../platform/workspace.ts'
import type { LoggedRun } from '../warehouses/warehouse.ts'
import type { Cli } from './cli.ts'
import { lookIntoWarehouse } from './look.ts'
import { plannedRefreshLog } from '../pipeline/refresh-log.ts'
import { color, pad, say, sayError } from './terminal.ts'

const LIMIT = 500

export interface HistoryFlags {
  readonly target?: string
  readonly since: string
  readonly json: boolean
}

/** 0 also where nothing ran. */
export async function historyCommand(
  { workspace }: Cli,
  pipeline: string | undefined,
  { target, since: back, json }: HistoryFlags,
): Promise<number> {
  if (!DURATION_PATTERN.test(back)) {
    throw failure('RequestInvalid', `--since '${back}' is not a duration such as 12h or 7d`)
  }
  const since = new Date(Date.now() - durationMs(back)).toISOString()
  const names = pipeline === undefined ? await listPipelines(workspace.pipelinesDir) : [pipeline]
  for (const name of names) {
    const definition = await loadPipeline(workspace.pipelinesDir, name)
    if (definition.refresh_log === undefined && pipeline === undefined) continue
    const { runs, from } = await readHistory(workspace, definition, target, since)
    const own = runs.filter((run) => run.pipeline === name)
    if (json) say(...own.map((run) => JSON.stringify(run)))
    else say(`${color.bold(name)}  ${color.dim(`${from}, last ${back}`)}`, ...historyLines(own), '')
  }
  return 0
}

interface History {
  readonly runs: readonly LoggedRun[]
  readonly from: string
}

/** From the warehouse; from this workspace's reports where a writer keeps us out of a DuckDB file. */
async function readHistory(
  workspace: Workspace,
  definition: PipelineDefinition,
  target: string | undefined,
  since: string,
): Promise<History> {
  const log = plannedRefreshLog(definition.refresh_log).refreshLog
  if (log === undefined) return await historyOfReports(workspace, since, target, 'no refresh_log')
  try {
    return await lookIntoWarehouse(workspace, definition, target, async (warehouse, { schema, kind }, name) => {
      const table = { schema, table: identifier(log) }
      const runs = await warehouse.readRefreshLog(table, { since, limit: LIMIT })
      return { runs: runs.filter((run) => run.target === name), from: `${name} (${kind}), ${schema}.${log}` }
    })
  } catch (error) {
    const { type, message } = describeFailure(error)
    if (type !== 'WarehouseBusy') throw error
    sayError(color.dim(message))
    return await historyOfReports(workspace, since, target, 'the warehouse is being written to')
  }
}

async function historyOfReports(
  workspace: Workspace,
  since: string,
  target: string | undefined,
  why: string,
): Promise<History> {
  const folders = await listRunFolders(workspace)
  const reports = await Promise.all(
    folders.map(({ folder }) => readJsonFile<RunReport>(path.join(folder, REPORT_FILE)).catch(() => undefined)),
  )
  const runs = reports
    .flatMap((report) => (report === undefined ? [] : loggedRun(report)))
    .filter((run) => run.startedAt >= since && (target === undefined || run.target === target))
    .toSorted((a, b) => (a.startedAt < b.startedAt ? 1 : -1))
  return { runs: runs.slice(0, LIMIT), from: `reports of this workspace (${why})` }
}

function loggedRun(report: RunReport): LoggedRun {
  const { report: _report, refreshId: _id, runDate, success: _success, ...row } = refreshRow(report)
  const { pipeline, target, logicalDate, outcome, workflowId, runId } = report
  const failureType = report.failure?.type ?? null
  return { ...row, startedAt: runDate, pipeline, target, logicalDate, outcome, failureType, workflowId, runId }
}

/** `4.2 GB billed (about 4 GB estimated)  `; nothing where the warehouse does not bill by bytes. */
function billedText({ bytesBilled, bytesEstimated }: LoggedRun): string {
  if (bytesBilled === null) return ''
  const estimated = bytesEstimated === null ? '' : color.dim(` (about ${formatByteSize(bytesEstimated)} estimated)`)
  return `${formatByteSize(bytesBilled)} billed${estimated}  `
}

/** `4/4 marts`: those that did not fail; nothing where none was checked, or an older version wrote the row. */
function martsText({ marts }: LoggedRun): string {
  const verdicts = Object.values(marts ?? {}).map(({ verdict }) => verdict)
  if (verdicts.length === 0) return ''
  return `${verdicts.filter((verdict) => verdict !== 'FAILED').length}/${verdicts.length} marts`
}

export function historyLines(runs: readonly LoggedRun[]): string[] {
  if (runs.length === 0) return [color.dim('  no runs')]
  return runs.map((run) => {
    const paint =
      { succeeded: color.green, warned: color.yellow, failed: color.red, cancelled: color.yellow }[run.outcome] ??
      color.dim
    return (
      `  ${run.startedAt.replace('T', ' ').slice(0, 16)}  ${paint(pad(run.outcome, 11))}${pad(run.logicalDate, 12)}` +
      `${pad(`${formatCount(run.modelsUpdated)} models`, 11)}${pad(`${formatCount(run.rowsInserted)} rows`, 16)}` +
      `${pad(martsText(run), 11)}${pad(formatDuration(run.executionTimeSeconds * 1000), 12)}${billedText(run)}${color.dim(run.notes)}`
    )
  })
}
