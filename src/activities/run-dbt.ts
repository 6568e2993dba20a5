// dbtRun, dbtTest and their kin: one dbt command, shown while it runs, believed only when all its traces agree, and gone on
// with where an earlier attempt left it.
import { activityInfo } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { DbtPlace, DbtWatcher } from '../dbt/command.ts'
import { withoutBill } from '../dbt/billed.ts'
import { openDrive, whatIsLeft, type Driven, type DriveTask } from '../dbt/drive.ts'
import type { Estimate } from '../dbt/estimate.ts'
import type { LedgerNode } from '../dbt/ledger.ts'
import type { Manifest } from '../dbt/manifest.ts'
import { addTimes, NO_TIMES, readUsualTimes } from '../dbt/node-times.ts'
import { readProfileTarget, type ProfileTarget } from '../dbt/profile.ts'
import { unpackDone } from '../dbt/progress.ts'
import { earlierAttempts, PLANNING, type EarlierAttempts } from '../dbt/resume.ts'
import { selectedNodes } from '../dbt/selection.ts'
import { dbtFailureDetail, reportTakenOver } from '../dbt/verdict.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { failure } from '../pipeline/failure.ts'
import type { DbtWork, RunReference } from '../pipeline/plan.ts'
import type { DbtReport, Progress } from '../pipeline/report.ts'
import { firstAbort } from '../platform/abort.ts'
import { faultPoint } from '../platform/fault.ts'
import { runFolder } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import { estimateMissing, openBudget, type BytesBudget } from './bytes-budget.ts'
import { requirePlannedWarehouse, type ActivityDeps, type RunContext } from './context.ts'
import { dbtPlace, installDbtPackages, loadManifest, selectionCache } from './dbt-place.ts'
import { withHeartbeat, type Show } from './heartbeat.ts'
import { openActivityLog } from './logged.ts'
import { endLeftQueries } from './left-queries.ts'
import { endLeftBars, openNodeBars } from './node-bars.ts'

export interface RunDbtInput {
  readonly plan: RunContext
  readonly step: DbtWork & { readonly id: string }
  /** Number of the step's attempt, from 1. */
  readonly attempt: number
  /** The run whose finished nodes count as done here. */
  readonly takeOver: RunReference | null
  /** Bytes that the run was billed for its other steps. */
  readonly billedBefore: number
}

export function createRunDbt(deps: ActivityDeps) {
  return async function runDbtCommand(input: RunDbtInput): Promise<DbtReport> {
    return await withHeartbeat(async (show, cancelled) => {
      const task = await openTask(deps, input)
      const timeIsUp = AbortSignal.timeout(input.step.timeoutMs)
      const abort = firstAbort(cancelled, timeIsUp)
      const log = openActivityLog(deps)
      const onLine: DbtWatcher['onLine'] = ({ level, text }) => {
        // dbt sets its lines apart by empty ones.
        if (text.trim() !== '') log.tell([level === 'warn' || level === 'error' ? level : 'info', text])
      }
      try {
        const driven = await (input.step.command === 'deps' ? installPackages : driveNodes)(task, show, onLine, abort)
        if (!driven.interrupted) return driven.report
        throw cancelled.aborted ? cancellation(cancelled, driven.report) : timeOut(task, driven.report)
      } catch (error) {
        // Before dbt's own command something else may have taken the time: a parse, or packages that do not come.
        if (timeIsUp.aborted && !cancelled.aborted && !(error instanceof ApplicationFailure)) throw timeOut(task)
        throw error
      } finally {
        log.close()
      }
    })
  }
}

interface Task extends RunDbtInput {
  readonly deps: ActivityDeps
  readonly target: ProfileTarget
  readonly place: DbtPlace
  readonly runDir: string
  /** A second Temporal attempt of the same command follows a lost worker: it gets a folder of its own, too. */
  readonly attemptName: string
  readonly outputDir: string
  readonly runLabel: string
}

async function openTask(deps: ActivityDeps, input: RunDbtInput): Promise<Task> {
  const { plan, step, attempt } = input
  const { workflowExecution: run, attempt: activityAttempt } = activityInfo()
  if (run === undefined) throw new Error('dbt runs as part of a workflow')
  const { root } = deps.workspace
  const runDir = runFolder(deps.workspace, run.workflowId, run.runId)
  const attemptName = `${attempt}.${activityAttempt}`
  const location = {
    projectDir: path.resolve(root, plan.dbt.projectDir),
    profilesDir: path.resolve(root, plan.dbt.profilesDir),
  }
  const target = await readProfileTarget(location, plan.target)
  const address = warehouseAddress(target, location.projectDir)
  requirePlannedWarehouse(plan, await deps.serveWarehouse(address))
  return {
    ...input,
    deps,
    target,
    place: await dbtPlace(deps.workspace, plan.dbt, target, deps.python, deps.dbtHosts),
    runDir,
    attemptName,
    outputDir: path.join(runDir, step.id, attemptName),
    runLabel: `${run.workflowId}/${run.runId}/${step.id}/${attempt}`,
  }
}

/** For ending queries after the run was cancelled. */
const LAST_WORD_MS = 15_000

type Finished = Pick<Driven, 'report' | 'interrupted'>

async function installPackages(
  { place, step, outputDir, runLabel }: Task,
  _show: Show,
  onLine: DbtWatcher['onLine'],
  abort: AbortSignal,
): Promise<Finished> {
  const options = { watcher: onLine === undefined ? {} : { onLine }, options: step.options }
  const report = await installDbtPackages(place, { outputDir, runLabel }, options, abort)
  return { report: report ?? reportTakenOver('deps', []), interrupted: false }
}

async function driveNodes(task: Task, show: Show, onLine: DbtWatcher['onLine'], abort: AbortSignal): Promise<Finished> {
  const { deps, plan, step, place, target, runDir, attemptName, outputDir, runLabel } = task
  const { stateDir } = deps.workspace
  const planningDir = path.join(outputDir, PLANNING)
  const manifest = await loadManifest(deps.workspace, place, target, planningDir, abort)
  const selection = { ...place, outputDir: planningDir, cacheDir: selectionCache(deps.workspace), abort }
  // Other vars can make other nodes: what is selected is not known then.
  const [selected = []] = step.options.vars === undefined ? await selectedNodes(selection, manifest, [step]) : []
  await rm(planningDir, { recursive: true, force: true })
  const timesFile = path.join(stateDir, 'cache', 'node-times', `${plan.pipeline}-${plan.target}-${step.id}.json`)
  const earlier = await whatWasDone(task, manifest, selected)
  const endLeft = async () => {
    if (attemptName === '1.1' || !plan.dbt.nodeBars) return
    await endLeftBars(step.id, attemptName, (id) => earlier.nodes.get(id))
  }
  const leftBars = endLeft()
  await endLeftQueries(deps, plan, earlier.brokenOff, abort)
  const work = { place, command: step, manifest, selected, earlier, outputDir, runLabel }
  const { budget, estimate } = await foresee(task, work, abort).catch(async (error: unknown) => {
    await leftBars
    throw error
  })
  const drive = openDrive({
    ...work,
    estimate,
    usual: await readUsualTimes(timesFile).catch(() => NO_TIMES),
    marts: plan.dbt.marts,
    runDir,
  })
  show(() => ({ ...drive.progress(), doneSet: drive.doneSet() }))
  const bars = openNodeBars(step.id, attemptName, plan.dbt.nodeBars, () => drive.progress())
  const onChange: DbtWatcher['onChange'] = (change, ledger) => {
    bars.change(change)
    budget.count(ledger.nodes.values())
    if (change.kind === 'finished') faultPoint(`${step.id}:after-first-node`)
  }
  const watcher = { ...(onLine === undefined ? {} : { onLine }), onChange }
  const driven = await finishing(drive.run(watcher, firstAbort(abort, budget.passed)), () =>
    // Once more at the end: what a worker told just before it stopped may have been heard after this one had begun.
    Promise.all([bars.finish(), leftBars.then(endLeft)]),
  )
  if (driven.interrupted) await endLeftQueries(deps, plan, driven.brokenOff, AbortSignal.timeout(LAST_WORD_MS))
  if (budget.passed.aborted && !abort.aborted) throw budget.exceeded(driven.report)
  // They are a convenience: a full disk must not fail what dbt has done.
  if (!driven.interrupted) await addTimes(timesFile, driven.nodes, driven.durationMs).catch(() => undefined)
  return driven
}

type Foreseen = { readonly budget: BytesBudget; readonly estimate: Estimate | null }

/** What the run may still be billed, and what this command would read of it. Fails with BudgetExceeded. */
async function foresee(
  { deps, plan, step, billedBefore }: Task,
  work: Pick<DriveTask, 'place' | 'command' | 'manifest' | 'selected' | 'earlier' | 'outputDir' | 'runLabel'>,
  abort: AbortSignal,
): Promise<Foreseen> {
  const { done, todo } = whatIsLeft(work)
  const missing = step.options.vars === undefined ? (todo ?? work.selected) : undefined
  const estimate = await estimateMissing(deps, { ...work, plan, missing }, abort)
  const budget = openBudget({ plan, command: step.command, billedBefore }, work.earlier.nodes.values())
  budget.requireRoomFor(estimate, reportTakenOver(step.command, done, estimate))
  return { budget, estimate }
}

/** Bars are ended before the activity is, whatever came of it: after that nobody would. */
async function finishing<T>(work: Promise<T>, endBars: () => Promise<unknown>): Promise<T> {
  try {
    return await work
  } finally {
    await endBars()
  }
}

/** By earlier attempts in this run's folder; by the run that is retried; or by a worker on another machine. */
async function whatWasDone(
  { deps, step, takeOver, runDir, place }: Task,
  manifest: Manifest,
  selected: readonly string[],
): Promise<EarlierAttempts> {
  const own = await earlierAttempts(path.join(runDir, step.id), manifest.digest, place)
  const beat = activityInfo().heartbeatDetails as Progress | undefined
  if (beat?.phase === 'dbt' && beat.doneSet !== undefined) {
    const told = toldDone(manifest, unpackDone(selected, manifest.digest, beat.doneSet))
    if (told.size > 0) return { ...own, nodes: new Map([...told, ...own.nodes]) }
  }
  if (own.nodes.size > 0 || takeOver === null) return own
  const folder = runFolder(deps.workspace, takeOver.workflowId, takeOver.runId)
  const taken = await earlierAttempts(path.join(folder, step.id), manifest.digest, place)
  return { ...taken, nodes: withoutBill(taken.nodes) }
}

/** Of nodes that another machine's worker finished, all that is known is that they went well. */
function toldDone(manifest: Manifest, ids: readonly string[]): Map<string, LedgerNode> {
  const named = new Map(manifest.nodes.map((node) => [node.uniqueId, node]))
  return new Map(
    ids.map((uniqueId) => {
      const { name = uniqueId, resourceType = '' } = named.get(uniqueId) ?? {}
      const status = resourceType.endsWith('test') ? 'pass' : 'success'
      const result = {
        status,
        message: '',
        durationMs: 0,
        finishedAt: '',
        rows: null,
        bytes: null,
        bytesBilled: null,
        failures: 0,
      }
      return [uniqueId, { uniqueId, name, resourceType, startedAt: '', result, attempt: 1 }]
    }),
  )
}

/** A worker that shuts down must be told from a run that is cancelled: Temporal goes by the very error. */
function cancellation(cancelled: AbortSignal, report: DbtReport): Error {
  const reason = cancelled.reason as unknown
  const isShutdown = reason instanceof CancelledFailure && reason.message === 'WORKER_SHUTDOWN'
  return isShutdown ? reason : new CancelledFailure('the run was cancelled', [dbtFailureDetail('RunCancelled', report)])
}

/** Without a report: dbt's own command had not begun. */
function timeOut({ step, outputDir }: Task, report?: DbtReport): Error {
  const folder = path.relative(process.cwd(), outputDir)
  const running = report?.nodes.filter(({ status }) => status === 'unfinished').map(({ name }) => name) ?? []
  return failure(
    'StepTimedOut',
    `dbt ${step.command} took longer than the step's timeout of ${formatDuration(step.timeoutMs)} and was stopped` +
      `${running.length > 0 ? ` in ${running.slice(0, 3).join(', ')}` : ''}; find what is slow in ${folder}/dbt.log, ` +
      'or raise `timeout` in the pipeline file. What was done is not done again',
    report === undefined ? [] : [dbtFailureDetail('StepTimedOut', report)],
  )
}
