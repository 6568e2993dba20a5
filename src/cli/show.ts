// `millrace show RUN`: the whole report of one run, from its folder, or from the server where that is elsewhere.
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import { listPipelines } from '../pipeline/load.ts'
import type { MartReport, NodeReport, RunReport } from '../pipeline/report.ts'
import { readJsonFile } from '../platform/files.ts'
import { listRunFolders, PLAN_FILE, REPORT_FILE } from '../platform/run-folders.ts'
import { runFolder } from '../platform/workspace.ts'
import { runLink, serverAddress } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { newest, runsMeant } from './find-run.ts'
import { endOf } from './follow.ts'
import { findNewest } from './server-runs.ts'
import { color, pad, say, sayError } from './terminal.ts'
import { summaryLines } from './view.ts'

/** 0 whatever became of the run. Fails with RequestInvalid where there is no such run, or it has no report yet. */
export async function showCommand(cli: Cli, given: string, json: boolean): Promise<number> {
  const report = (await reportOfFolder(cli, given)) ?? (await reportOfServer(cli, given))
  if (json) {
    say(JSON.stringify(report))
    return 0
  }
  const folder = runFolder(cli.workspace, report.workflowId, report.runId)
  const server = await serverAddress(cli.workspace, cli.environment).catch(() => undefined)
  const places = {
    runLink: server && runLink(server, report.workflowId),
    reportFile: path.relative(process.cwd(), path.join(folder, REPORT_FILE)),
  }
  say(...summaryLines(report, places), ...detailLines(report), ...(await artifactLines(folder)))
  return 0
}

/** Undefined where no folder here is of that run, or the run wrote no report into it. */
async function reportOfFolder({ workspace }: Cli, given: string): Promise<RunReport | undefined> {
  const pipelines = await listPipelines(workspace.pipelinesDir)
  const chosen = await newest(await runsMeant(await listRunFolders(workspace), pipelines, given))
  return chosen?.ended === true ? await readJsonFile<RunReport>(path.join(chosen.folder, REPORT_FILE)) : undefined
}

async function reportOfServer(cli: Cli, given: string): Promise<RunReport> {
  const connected = await cli.connect()
  try {
    const run = await findNewest(cli, connected, given)
    if (run === undefined) {
      throw failure(
        'RequestInvalid',
        `there is no run '${given}', neither in .millrace/runs nor on the server; see what there is: npx millrace history`,
      )
    }
    if (run.status.name === 'RUNNING') {
      throw failure(
        'RequestInvalid',
        `${run.workflowId} has not ended, so it has no report yet; see how it goes: npx millrace follow ${run.workflowId}`,
      )
    }
    const end = await endOf(connected.client.workflow.getHandle(run.workflowId, run.runId))
    if (end.kind === 'report') {
      sayError(color.dim('its folder is on the machine whose worker ran it; this is what the server knows'))
      return end.report
    }
    throw failure(
      'RequestInvalid',
      `${run.workflowId}: ${end.message}; see what it wrote: npx millrace logs ${run.workflowId}`,
    )
  } finally {
    await connected.connection.close()
  }
}

/** What the summary leaves out: every check of every mart, and the nodes that failed or warned. */
export function detailLines({ steps }: RunReport): string[] {
  const marts = steps.flatMap((step) => step.marts)
  const nodes = steps.flatMap(({ dbt }) => (dbt?.nodes ?? []).filter(({ message }) => message !== null))
  return [
    ...(marts.length === 0 ? [] : ['', color.bold(' Marts'), ...marts.flatMap(martLines)]),
    ...(nodes.length === 0 ? [] : ['', color.bold(' Nodes that failed or warned'), ...nodes.flatMap(nodeLines)]),
  ]
}

const VERDICT_COLOR = { VALID: color.green, WARNING: color.yellow, FAILED: color.red } as const

function martLines({ mart, relation, checks }: MartReport): string[] {
  return [
    `   ${mart}  ${color.dim(relation)}`,
    ...checks.map(
      ({ check, verdict, detail }) => `     ${VERDICT_COLOR[verdict](pad(verdict, 9))}${pad(check, 24)}${detail}`,
    ),
  ]
}

function nodeLines({ name, status, message, failureClass, compiledFile, failuresTable }: NodeReport): string[] {
  return [
    `   ${name}  ${color.red(status)}${failureClass === null ? '' : color.dim(`  ${failureClass}`)}`,
    ...(message ?? '').split('\n').map((line) => `     ${line}`),
    ...(compiledFile === null ? [] : [color.dim(`     compiled: ${compiledFile}`)]),
    ...(failuresTable === null ? [] : [color.dim(`     rows found: ${failuresTable}`)]),
  ]
}

async function artifactLines(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return []
  const shown = path.relative(process.cwd(), folder)
  const entries = await readdir(folder, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() || entry.isDirectory())
  const names = files.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).toSorted()
  const missing = names.includes(PLAN_FILE) ? '' : color.dim('  (never planned)')
  return ['', ` ${color.bold('Artifacts')}    ${shown}/${missing}`, ...names.map((name) => `   ${name}`)]
}
