// What a run's log says of each activity: that it began, and how it ended. Told around the activities, so that none of them has to.
import { activityInfo } from '@temporalio/activity'
import { CancelledFailure } from '@temporalio/common'
import { commandText, type DbtCommand } from '../pipeline/dbt-command.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { canRetryHelp, describeFailure } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import type { Plan } from '../pipeline/plan.ts'
import {
  countsText,
  formatCount,
  loadedText,
  publishedText,
  type DbtReport,
  type LoadReport,
  type MartReport,
  type PublishReport,
  type RunReport,
} from '../pipeline/report.ts'
import { isWarm, type WarmedUrl } from '../pipeline/warm.ts'
import { openRunLog, type RunEventLevel } from '../platform/run-log.ts'
import { runFolder } from '../platform/workspace.ts'
import type { ActivityDeps, Billed } from './context.ts'
import type { IngestTableInput } from './ingest-table.ts'
import type { PlanRunInput } from './plan-run.ts'

export type Told = readonly [level: RunEventLevel, text: string]

export interface Story<Input, Result> {
  /** Stands before a failure's text, where several activities of a step go on at once. */
  readonly subject?: (input: Input) => string
  readonly began?: (input: Input) => string
  readonly done?: (result: Result) => readonly Told[]
}

/** The activity, with its story in the log of its run; how it failed is told of every one. */
export function logged<Input, Result>(
  deps: ActivityDeps,
  activity: (input: Input) => Promise<Result>,
  { subject, began, done }: Story<Input, Result> = {},
): (input: Input) => Promise<Result> {
  return async (input) => {
    const log = openActivityLog(deps)
    try {
      if (activityInfo().attempt > 1) log.tell(['warn', 'begun again: its worker was lost or stopped'])
      if (began !== undefined) log.tell(['info', began(input)])
      const result = await activity(input)
      if (done !== undefined) log.tell(...done(result))
      return result
    } catch (error) {
      const [level, text] = failureStory(error)
      log.tell([level, subject === undefined ? text : `${subject(input)}: ${text}`])
      throw error
    } finally {
      log.close()
    }
  }
}

export interface ActivityLog {
  tell(...lines: readonly Told[]): void
  close(): void
}

/** The log of the run that the current activity is part of; its lines carry the activity's step and attempt. */
export function openActivityLog({ workspace }: ActivityDeps): ActivityLog {
  const { workflowExecution, activityType, activityId, attempt } = activityInfo()
  if (workflowExecution === undefined) throw new Error('activities are part of a workflow')
  const log = openRunLog(runFolder(workspace, workflowExecution.workflowId, workflowExecution.runId))
  // The workflow calls its activities `<step>/…/<attempt>` (workflows/steps.ts), all but those that work without a plan.
  const [, step, number] = /^([^/]+)\/(?:.*\/)?(\d+)$/.exec(activityId) ?? []
  const place = {
    step: step ?? (activityType === 'planRun' ? 'plan' : 'record'),
    attempt: `${number ?? 1}.${attempt}`,
  }
  return {
    tell(...lines) {
      for (const [level, text] of lines) log.append({ ...place, level, text })
    },
    close: () => log.close(),
  }
}

/** A failure that a retry can help is a warning: whether it was the last one, the end of the run tells. */
function failureStory(error: unknown): Told {
  if (error instanceof CancelledFailure) {
    const isShutdown = error.message === 'WORKER_SHUTDOWN'
    return ['warn', isShutdown ? 'stopped with its worker; the next one begins it again' : 'stopped: it was cancelled']
  }
  const { type, message } = describeFailure(error)
  return [canRetryHelp(type) ? 'warn' : 'error', `${type}: ${message}`]
}

export const PLAN_STORY: Story<PlanRunInput, Plan> = {
  began: ({ pipeline }) => `planning ${pipeline}`,
  done({ target, logicalDate, steps, obstacle }) {
    const planned = steps.filter(({ skipped }) => !skipped).map(({ id }) => id)
    const told: Told = ['info', `planned for ${target}, ${logicalDate}: ${planned.join(', ')}`]
    return obstacle === null ? [told] : [told, ['error', `${obstacle.type}: ${obstacle.message}`]]
  },
}

export const LOAD_STORY: Story<IngestTableInput, LoadReport> = {
  subject: ({ entry }) => tableText(entry.into),
  began: ({ entry }) => `${tableText(entry.into)} ← ${entry.files}`,
  done: (report) => [[loadLevel(report), [`${report.into}: ${loadText(report)}`, ...reasonLines(report)].join('\n')]],
}

function loadLevel({ status, read, rejected }: LoadReport): RunEventLevel {
  return status === 'loaded' && (read === 0 || rejected > 0) ? 'warn' : 'info'
}

function loadText(report: LoadReport): string {
  switch (report.status) {
    case 'already loaded':
      return `already loaded (${formatCount(report.loaded)} records, ${report.loadedAt})`
    case 'skipped':
      return 'skipped: no file'
    case 'newer snapshot':
      return 'left as it is: it holds the snapshot of a later date'
    case 'loaded': {
      const counts = [`${formatCount(report.read)} read`, ...loadedText(report)].join(', ')
      return `${counts} in ${formatDuration(report.durationMs)}`
    }
  }
}

function reasonLines({ status, rejectReasons }: LoadReport): string[] {
  if (status !== 'loaded') return []
  return rejectReasons.map(
    ({ code, column, count }) => `${formatCount(count)} × ${code}${column === null ? '' : ` (${column})`}`,
  )
}

export const DBT_STORY: Story<{ readonly step: DbtCommand }, DbtReport> = {
  began: ({ step }) => commandText(step),
  done({ command, counts, total, takenOver }) {
    const before = takenOver > 0 ? `, ${formatCount(takenOver)} of ${formatCount(total)} done before` : ''
    const level = (counts['warn'] ?? 0) > 0 ? 'warn' : 'info'
    return [[level, `dbt ${command}: ${countsText(counts) || 'done'}${before}`]]
  },
}

export const PUBLISH_STORY: Story<unknown, Billed<PublishReport>> = {
  done: ({ result }) => [['info', `published in ${publishedText(result)}`]],
}

export const MARTS_STORY: Story<unknown, Billed<readonly MartReport[]>> = {
  done: ({ result: marts }) =>
    marts.map(({ mart, verdict, checks }) => [
      ({ VALID: 'info', WARNING: 'warn', FAILED: 'error' } as const)[verdict],
      `${mart} ${verdict}: ${checks.map(({ detail }) => detail).join(', ')}`,
    ]),
}

export const WARM_STORY: Story<unknown, readonly WarmedUrl[]> = {
  done: (warmed) =>
    warmed.map((url) => [
      isWarm(url) ? 'info' : 'warn',
      `GET ${url.path}: ${url.answer} in ${formatDuration(url.durationMs)}${url.attempts > 1 ? `, ${url.attempts} attempts` : ''}`,
    ]),
}

/** The last line of a run. */
export function endStory({ outcome, durationMs, failure }: RunReport): Told {
  const level = ({ succeeded: 'info', skipped: 'info', warned: 'warn', cancelled: 'warn', failed: 'error' } as const)[
    outcome
  ]
  const text = `the run ${outcome === 'skipped' || outcome === 'cancelled' ? 'was ' : ''}${outcome} in ${formatDuration(durationMs)}`
  return [level, failure === null ? text : `${text}\n${failure.type}: ${failure.message}`]
}
