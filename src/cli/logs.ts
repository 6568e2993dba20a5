// `millrace logs RUN`: what a run's log says, to its end or as it grows. Reads the run's folder, so it needs no server;
// following asks one that is up whether the run still goes on.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { failure } from '../pipeline/failure.ts'
import { listPipelines } from '../pipeline/load.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { firstAbort } from '../platform/abort.ts'
import { listRunFolders, REPORT_FILE } from '../platform/run-folders.ts'
import { readRunLog, type RunEvent, type RunEventLevel } from '../platform/run-log.ts'
import { runsFolder, type Workspace } from '../platform/workspace.ts'
import type { Cli } from './cli.ts'
import { isIdOf, newest, runsMeant } from './find-run.ts'
import { watchEnd } from './run-end.ts'
import { abortOnSignal } from './signals.ts'
import { color, pad, say, sayError } from './terminal.ts'

export interface LogsFlags {
  readonly follow: boolean
  readonly step?: string
  readonly json: boolean
  readonly tail?: string
}

const LOOK_EVERY_MS = 300
const STEP_WIDTH = 12

/**
 * Exit code 0 as well when Ctrl+C ends the following: the run's outcome is told by the log, not by the code. 1 when the
 * followed run ended without a report, as one that was terminated does.
 */
export async function logsCommand(cli: Cli, given: string, flags: LogsFlags): Promise<number> {
  const { workspace } = cli
  const tail = tailOf(flags)
  const abort = flags.follow ? abortOnSignal() : AbortSignal.abort()
  const folder = await findRun(workspace, given, abort)
  if (folder === undefined) return 0
  if (!flags.json) sayError(color.dim(path.relative(process.cwd(), folder)))

  const isChosen = ({ step }: RunEvent) => flags.step === undefined || step === flags.step
  let passOver = tail === undefined ? 0 : (await count(readRunLog(folder), isChosen)) - tail
  const steps = new Set<string>()
  const shown = new AbortController()
  const isOver = hasEnded(folder) || !flags.follow
  const endOf = isOver ? () => undefined : watchEnd(cli, path.basename(folder), firstAbort(abort, shown.signal))
  for await (const event of readRunLog(folder, () => abort.aborted || endOf() !== undefined || hasEnded(folder))) {
    steps.add(event.step)
    if (!isChosen(event) || passOver-- > 0) continue
    say(...(flags.json ? [JSON.stringify(event)] : eventLines(event)))
  }
  shown.abort()
  if (flags.follow && abort.aborted) return 0
  const ended = endOf()
  if (ended !== undefined && !hasEnded(folder)) {
    sayError(`the run is over (${ended.status}) and left no report here; see npx millrace show ${ended.workflowId}`)
    return 1
  }
  if (steps.size === 0) sayError('its log is empty')
  else if (flags.step !== undefined && !steps.has(flags.step)) throw stepUnknown(flags.step, [...steps])
  return 0
}

/** Also when the folder was removed meanwhile: no report will come. */
function hasEnded(folder: string): boolean {
  return existsSync(path.join(folder, REPORT_FILE)) || !existsSync(folder)
}

function tailOf({ tail }: LogsFlags): number | undefined {
  if (tail === undefined) return undefined
  if (/^\d{1,9}$/.test(tail)) return Number(tail)
  throw failure('RequestInvalid', `--tail '${tail}' is not a number of lines`)
}

async function count<T>(items: AsyncIterable<T>, isChosen: (item: T) => boolean): Promise<number> {
  let found = 0
  for await (const item of items) if (isChosen(item)) found++
  return found
}

function stepUnknown(step: string, steps: readonly string[]) {
  return failure(
    'RequestInvalid',
    `step '${step}' has no line in this run${didYouMean(step, steps)}; steps that have: ${steps.join(', ')}`,
  )
}

const LEVEL_COLORS: Record<RunEventLevel, (text: string) => string> = {
  debug: color.dim,
  info: (text) => text,
  warn: color.yellow,
  error: color.red,
}

function eventLines({ at, step, level, text }: RunEvent): string[] {
  const paint = LEVEL_COLORS[level]
  const [first = '', ...rest] = stripVTControlCharacters(text).trimEnd().split(/\r?\n/)
  const head = `${color.dim(at.slice('2026-11-18T'.length, '2026-11-18T00:00:00'.length))}  ${pad(step, STEP_WIDTH)}`
  const indent = ' '.repeat(`00:00:00  ${pad(step, STEP_WIDTH)}`.length)
  return [head + paint(first), ...rest.map((line) => indent + paint(line))]
}

/**
 * The folder that is meant. Until the signal aborts, a run that may still begin is waited for; undefined when it aborts
 * meanwhile. Fails with RequestInvalid for a name that means no run here, or several.
 */
async function findRun(workspace: Workspace, given: string, abort: AbortSignal): Promise<string | undefined> {
  const pipelines = await listPipelines(workspace.pipelinesDir)
  for (let waited = false; ; waited = true) {
    const runs = await listRunFolders(workspace)
    const chosen = await newest(await runsMeant(runs, pipelines, given))
    if (chosen !== undefined) return chosen.folder
    if (waited && abort.aborted) return undefined
    const isPipeline = pipelines.includes(given)
    const near = isPipeline ? '' : didYouMean(given, [...pipelines, ...runs.map(({ workflow }) => workflow)])
    const mayBegin = isPipeline || pipelines.some((pipeline) => isIdOf(pipeline, given))
    if (abort.aborted || !mayBegin) throw runUnknown(workspace, given, isPipeline, near)
    if (!waited) sayError(`no run '${given}' is here yet${near}: waiting for a worker of this workspace to begin it`)
    await pause(LOOK_EVERY_MS, undefined, { signal: abort }).catch(() => undefined)
  }
}

function runUnknown(workspace: Workspace, given: string, isPipeline: boolean, near: string) {
  const place = path.relative(process.cwd(), runsFolder(workspace))
  const what = isPipeline ? `pipeline '${given}' has no run` : `there is no run '${given}'`
  return failure(
    'RequestInvalid',
    `${what} in ${place}${near}; a run's log is on the machine whose worker ran it: look there, or ask the server: ` +
      `npx millrace follow ${isPipeline ? 'ID' : given}`,
  )
}
