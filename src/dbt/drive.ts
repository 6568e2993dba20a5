// Drives one attempt of a dbt command: finds what is missing, has dbt do just that, keeps the books, judges.
import path from 'node:path'
import { DBT_RULES, type DbtCommand } from '../pipeline/dbt-command.ts'
import type { DbtProgress, DbtReport, DoneSet } from '../pipeline/report.ts'
import type { Grace } from '../platform/subprocess.ts'
import { keepArtifacts } from './artifacts.ts'
import { addBilled } from './billed.ts'
import { discardEvents, runDbt, type DbtEvidence, type DbtPlace, type DbtWatcher, type Resume } from './command.ts'
import type { Estimate } from './estimate.ts'
import { classify, FAILURE_CLASSES } from './failure-class.ts'
import { emptyLedger, isGood, type DbtLedger, type LedgerNode } from './ledger.ts'
import { martsAfterFailure } from './marts.ts'
import type { Manifest } from './manifest.ts'
import type { UsualTimes } from './node-times.ts'
import { packDone, progressOf } from './progress.ts'
import {
  announceAttempt,
  countAttempts,
  doneNodes,
  ledgerOf,
  prepareRetry,
  resumeByName,
  runningNodes,
  writeLedger,
  type BrokenOff,
  type EarlierAttempts,
} from './resume.ts'
import { judge, makeReport, mergedNodes, reportTakenOver } from './verdict.ts'

/** One attempt of a command. Folders are absolute. */
export interface DriveTask {
  readonly place: DbtPlace
  readonly command: DbtCommand
  readonly manifest: Manifest
  /** Unique ids of what the command is to do. */
  readonly selected: readonly string[]
  readonly earlier: EarlierAttempts
  readonly usual: UsualTimes
  /** Which marts to speak of when nodes fail; all last models where it names none. */
  readonly marts: readonly string[]
  /** What is missing would read; null where nobody asked. */
  readonly estimate: Estimate | null
  /** Of this attempt alone. */
  readonly outputDir: string
  readonly runDir: string
  readonly runLabel: string
  readonly grace?: Grace
}

export interface Drive {
  progress(): DbtProgress
  /** For a worker on another machine: our folders are not there. */
  doneSet(): DoneSet
  /**
   * Does what is missing and returns the report; `interrupted` when the signal aborted before dbt was done. Throws the
   * failure that fits otherwise, with the report in its details.
   */
  run(watcher: DbtWatcher, abort: AbortSignal): Promise<Driven>
}

export interface Driven {
  readonly report: DbtReport
  readonly interrupted: boolean
  /** Nodes that this very attempt finished, and how long it took. */
  readonly nodes: readonly LedgerNode[]
  /** This attempt, if it was ended in the middle of nodes. */
  readonly brokenOff: readonly BrokenOff[]
  readonly durationMs: number
}

export function openDrive(task: DriveTask): Drive {
  const { command, earlier, selected, usual } = task
  const { done, todo } = whatIsLeft(task)
  let ledger: DbtLedger = emptyLedger()

  // One that warned is asked again: a bit could not say that it did.
  const isDone = (id: string) => {
    const node = ledger.nodes.get(id) ?? earlier.nodes.get(id)
    return node !== undefined && isGood(node) && node.result?.status !== 'warn'
  }

  const attempt = async (resume: Resume | undefined, watcher: DbtWatcher, abort: AbortSignal): Promise<DbtEvidence> => {
    const invocation = { ...task.place, command, outputDir: task.outputDir, runLabel: task.runLabel }
    const evidence = await runDbt(
      {
        ...invocation,
        ...(resume === undefined ? {} : { resume }),
        ...(task.grace === undefined ? {} : { grace: task.grace }),
      },
      {
        ...watcher,
        onStart(started) {
          ledger = started
          watcher.onStart?.(started)
        },
      },
      abort,
    )
    countAttempts(evidence.ledger, earlier.nodes)
    addBilled(evidence.ledger, earlier.nodes)
    return evidence
  }

  return {
    progress: () => progressOf(ledger, done, selected, usual, Date.now()),
    doneSet: () => packDone(selected, task.manifest.digest, isDone),
    async run(watcher, abort) {
      const startedAtMs = performance.now()
      // What was done elsewhere must be known here, too, should this worker die before its first word.
      if (earlier.nodes.size > 0) await writeEarlier(task)
      if (todo?.length === 0) {
        return {
          report: reportTakenOver(command.command, done, task.estimate),
          interrupted: false,
          nodes: [],
          brokenOff: [],
          durationMs: 0,
        }
      }
      await announceAttempt(task.outputDir, task.manifest.digest)
      const state = path.join(task.outputDir, 'state')
      const nodes = { todo: todo ?? [], done: done.map(({ uniqueId }) => uniqueId) }
      const retry =
        todo === undefined ? undefined : await prepareRetry(state, command, task.place, nodes, earlier.startedAt)
      let evidence = await attempt(retry, watcher, abort)
      if (todo !== undefined && !abort.aborted && cannotRetry(evidence)) {
        evidence = await attempt(resumeByName(task.manifest, todo), watcher, abort)
      }
      await keepBooks(task, evidence)
      const standing = {
        done,
        todo,
        estimate: task.estimate,
        martsAfter: (all: readonly LedgerNode[]) => martsAfterFailure(task.manifest, all, selected, task.marts),
      }
      const interrupted = abort.aborted
      return {
        report: interrupted ? makeReport(evidence, standing) : judge(evidence, standing),
        interrupted,
        nodes: [...evidence.ledger.nodes.values()],
        brokenOff: runningNodes(ledgerOf(evidence.ledger, task.manifest.digest)),
        durationMs: performance.now() - startedAtMs,
      }
    },
  }
}

/** What of a command is done already. */
interface Left {
  readonly done: readonly LedgerNode[]
  /** Unique ids; undefined: the whole command. */
  readonly todo: readonly string[] | undefined
}

export function whatIsLeft(task: Pick<DriveTask, 'command' | 'earlier' | 'selected' | 'manifest'>): Left {
  const { command, earlier, selected } = task
  // Other vars can make other nodes: what is selected is not known then.
  const isResumable = DBT_RULES[command.command].resumable && command.options.vars === undefined
  const done = (isResumable ? doneNodes(earlier, selected) : []).flatMap((id) => earlier.nodes.get(id) ?? [])
  return { done, todo: missingNodes(task, done) }
}

/**
 * Undefined: the whole command, because nothing of it is done. What failed before is done again also where our selection
 * does not know it. Where all nodes are done but hooks behind the last one may not have run (grants, say), the quickest is
 * done once more: dbt runs hooks only with a node.
 */
function missingNodes(
  { earlier, selected, manifest }: Pick<DriveTask, 'earlier' | 'selected' | 'manifest'>,
  done: readonly LedgerNode[],
): string[] | undefined {
  if (done.length === 0) return undefined
  const finished = new Set(done.map(({ uniqueId }) => uniqueId))
  const failed = [...earlier.nodes.values()].filter((node) => !isGood(node)).map(({ uniqueId }) => uniqueId)
  const todo = [...new Set([...selected.filter((id) => !finished.has(id)), ...failed])]
  if (todo.length > 0 || manifest.endHooks.every((hook) => earlier.hooks.has(hook))) return todo
  const [quickest] = done.toSorted((a, b) => (a.result?.durationMs ?? 0) - (b.result?.durationMs ?? 0))
  return quickest === undefined ? [] : [quickest.uniqueId]
}

/** dbt did not take our account of what is done: an older or newer one reads it otherwise. */
function cannotRetry({ exit, ledger, stderrTail }: DbtEvidence): boolean {
  if (exit.exitCode === 0 || exit.signal !== undefined || ledger.nodes.size > 0) return false
  return FAILURE_CLASSES[classify(`${ledger.errors.join('\n')}\n${stderrTail}`)].retry !== 'yes'
}

async function writeEarlier({ earlier, manifest, outputDir }: DriveTask): Promise<void> {
  const { startedAt, hooks, nodes } = earlier
  await writeLedger(path.dirname(outputDir), {
    digest: manifest.digest,
    startedAt,
    success: undefined,
    hooks: [...hooks],
    nodes: [...nodes.values()],
  })
}

/** The ledgers before anything is removed: they are what the next attempt goes by. */
async function keepBooks(
  { command, place, manifest, earlier, outputDir, runDir }: DriveTask,
  { ledger }: DbtEvidence,
): Promise<void> {
  const own = ledgerOf(ledger, manifest.digest)
  await writeLedger(outputDir, own)
  await writeLedger(path.dirname(outputDir), {
    ...own,
    startedAt: earlier.startedAt ?? ledger.startedAt,
    nodes: mergedNodes(ledger.nodes, [...earlier.nodes.values()]),
  })
  await discardEvents(outputDir)
  await keepArtifacts(command.command, outputDir, runDir, own.nodes, place.redactKnown)
}
