// dbtRun, dbtTest and their kin: one dbt command, shown while it runs, believed only when all its traces agree, and gone on
// with where an earlier attempt left it.
import { activityInfo } from '@temporalio/activity'
import { CancelledFailure } from '@temporalio/common'
import path from 'node:path'
import type { DbtPlace, DbtWatcher } from '../dbt/command.ts'
import { openDrive } from '../dbt/drive.ts'
import type { LedgerNode } from '../dbt/ledger.ts'
import type { Manifest } from '../dbt/manifest.ts'
import { addTimes, readUsualTimes } from '../dbt/node-times.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { unpackDone } from '../dbt/progress.ts'
import { earlierAttempts, type EarlierAttempts } from '../dbt/resume.ts'
import { selectedNodes } from '../dbt/selection.ts'
import { dbtFailureDetail, reportTakenOver } from '../dbt/verdict.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { failure } from '../pipeline/failure.ts'
import type { DbtWork, RunReference } from '../pipeline/plan.ts'
import type { DbtReport, Progress } from '../pipeline/report.ts'
import { faultPoint } from '../platform/fault.ts'
import { runFolder } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import { requirePlannedWarehouse, type ActivityDeps, type RunContext } from './context.ts'
import { dbtPlace, installDbtPackages, loadManifest, selectionCache } from './dbt-place.ts'
import { withHeartbeat } from './heartbeat.ts'
import { openActivityLog } from './logged.ts'
import { endLeftBars, openNodeBars, type NodeBars } from './node-bars.ts'

export interface RunDbtInput {
  readonly plan: RunContext
  readonly step: DbtWork & { readonly id: string }
  /** Number of the step's attempt, from 1. */
  readonly attempt: number
  /** The run whose finished nodes count as done here. */
  readonly takeOver: RunReference | null
}

export function createRunDbt(deps: ActivityDeps) {
  return async function runDbtCommand(input: RunDbtInput): Promise<DbtReport> {
    return await withHeartbeat(async (show, cancelled) => {
      const { plan, step, attempt } = input
      const { workflowExecution: run, attempt: activityAttempt } = activityInfo()
      if (run === undefined) throw new Error('dbt runs as part of a workflow')
      const { root } = deps.workspace
      const runDir = runFolder(deps.workspace, run.workflowId, run.runId)
      // A second Temporal attempt of the same command follows a lost worker: it gets a folder of its own, too.
      const attemptName = `${attempt}.${activityAttempt}`
      const outputDir = path.join(runDir, step.id, attemptName)
      const location = {
        projectDir: path.resolve(root, plan.dbt.projectDir),
        profilesDir: path.resolve(root, plan.dbt.profilesDir),
      }
      const target = await readProfileTarget(location, plan.target)
      const address = warehouseAddress(target, location.projectDir)
      requirePlannedWarehouse(plan, await deps.serveWarehouse(address))
      const place = await dbtPlace(deps.workspace, plan.dbt, target, deps.python)
      const timeIsUp = AbortSignal.timeout(step.timeoutMs)
      const abort = AbortSignal.any([cancelled, timeIsUp])
      const runLabel = `${run.workflowId}/${run.runId}/${step.id}/${attempt}`
      const log = openActivityLog(deps)
      const onLine: DbtWatcher['onLine'] = ({ level, text }) => {
        // dbt sets its lines apart by empty ones.
        if (text.trim() !== '') log.tell([level === 'warn' || level === 'error' ? level : 'info', text])
      }
      try {
        if (step.command === 'deps') {
          const options = { watcher: { onLine }, options: step.options }
          return (
            (await installDbtPackages(place, { outputDir, runLabel }, options, abort)) ?? reportTakenOver('deps', [])
          )
        }
        if (attempt > 1 || activityAttempt > 1) await endLeftBars(step.id)
        const planningDir = path.join(outputDir, 'plan')
        const manifest = await loadManifest(deps.workspace, place, target, planningDir, abort)
        const selection = { ...place, outputDir: planningDir, cacheDir: selectionCache(deps.workspace) }
        const [selected = []] = await selectedNodes(selection, manifest, [step])
        const timesFile = path.join(
          deps.workspace.stateDir,
          'cache',
          'node-times',
          `${plan.pipeline}-${plan.target}-${step.id}.json`,
        )
        const drive = openDrive({
          place,
          command: step,
          manifest,
          selected,
          earlier: await whatWasDone(deps, input, runDir, place, manifest, selected),
          usual: await readUsualTimes(timesFile),
          marts: plan.dbt.marts,
          outputDir,
          runDir,
          runLabel,
        })
        show(() => ({ ...drive.progress(), doneSet: drive.doneSet() }))
        const bars = openNodeBars(step.id, attemptName, plan.dbt.nodeBars, () => drive.progress())
        const onChange: DbtWatcher['onChange'] = (change) => {
          bars.change(change)
          if (change.kind === 'finished') faultPoint(`${step.id}:after-first-node`)
        }
        const driven = await finishing(drive.run({ onLine, onChange }, abort), bars)
        if (driven.interrupted)
          throw interruption(step, driven.report, cancelled, path.relative(process.cwd(), outputDir))
        await addTimes(timesFile, driven.nodes, driven.durationMs)
        return driven.report
      } finally {
        log.close()
      }
    })
  }
}

/** Bars are ended before the activity is, whatever came of it: after that nobody would. */
async function finishing<T>(work: Promise<T>, bars: NodeBars): Promise<T> {
  try {
    return await work
  } finally {
    await bars.finish()
  }
}

/** By earlier attempts in this run's folder; by the run that is retried; or by a worker on another machine. */
async function whatWasDone(
  deps: ActivityDeps,
  { step, takeOver }: RunDbtInput,
  runDir: string,
  place: DbtPlace,
  manifest: Manifest,
  selected: readonly string[],
): Promise<EarlierAttempts> {
  const own = await earlierAttempts(path.join(runDir, step.id), place.redact)
  if (own.nodes.size > 0) return own
  const beat = activityInfo().heartbeatDetails as Progress | undefined
  if (beat?.phase === 'dbt' && beat.doneSet !== undefined) {
    const nodes = toldDone(manifest, unpackDone(selected, beat.doneSet))
    if (nodes.size > 0) return { ...own, nodes }
  }
  if (takeOver === null) return own
  return await earlierAttempts(
    path.join(runFolder(deps.workspace, takeOver.workflowId, takeOver.runId), step.id),
    place.redact,
  )
}

/** Of nodes that another machine's worker finished, all that is known is that they went well. */
function toldDone(manifest: Manifest, ids: readonly string[]): Map<string, LedgerNode> {
  const named = new Map(manifest.nodes.map((node) => [node.uniqueId, node]))
  return new Map(
    ids.map((uniqueId) => {
      const { name = uniqueId, resourceType = '' } = named.get(uniqueId) ?? {}
      const status = resourceType.endsWith('test') ? 'pass' : 'success'
      const result = { status, message: '', durationMs: 0, finishedAt: '', rows: null, bytes: null, failures: 0 }
      return [uniqueId, { uniqueId, name, resourceType, startedAt: '', result, attempt: 1 }]
    }),
  )
}

/** What dbt did until then is told either way. */
function interruption(step: DbtWork, report: DbtReport, cancelled: AbortSignal, folder: string): Error {
  if (cancelled.aborted) {
    const reason = cancelled.reason as unknown
    // A worker that shuts down must be told from a run that is cancelled: Temporal goes by the very error.
    const isShutdown = reason instanceof CancelledFailure && reason.message === 'WORKER_SHUTDOWN'
    return isShutdown
      ? reason
      : new CancelledFailure('the run was cancelled', [dbtFailureDetail('RunCancelled', report)])
  }
  const running = report.nodes.filter(({ status }) => status === 'unfinished').map(({ name }) => name)
  return failure(
    'StepTimedOut',
    `dbt ${step.command} took longer than the step's timeout of ${formatDuration(step.timeoutMs)} and was stopped` +
      `${running.length > 0 ? ` in ${running.slice(0, 3).join(', ')}` : ''}; find what is slow in ${folder}/dbt.log, ` +
      'or raise `timeout` in the pipeline file. What was done is not done again',
    [dbtFailureDetail('StepTimedOut', report)],
  )
}
