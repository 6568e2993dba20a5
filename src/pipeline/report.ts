// What a run leaves behind: its result in Temporal, report.json in the run folder, and what the terminal shows.
import type { FailureInfo } from './failure.ts'
import { formatDuration } from './duration.ts'
import { writes, type DbtVerb } from './dbt-command.ts'
import type { TakeOver } from './plan.ts'
import { warmedText, type WarmedUrl } from './warm.ts'

export type Outcome = 'succeeded' | 'warned' | 'failed' | 'skipped' | 'cancelled'
export type StepState = 'pending' | 'running' | Outcome

export interface RunReport {
  readonly pipeline: string
  readonly target: string
  readonly logicalDate: string
  readonly params: Readonly<Record<string, string>>
  readonly outcome: Outcome
  /** Outcomes of the steps `dbt run` and `dbt test`, the first of each. */
  readonly run: Outcome | null
  readonly test: Outcome | null
  readonly steps: readonly StepReport[]
  readonly failure: FailureInfo | null
  /** Why the whole run was skipped, where it is not for want of files. */
  readonly note: string | null
  /** Of a retried run: whose finished work counts, or why none does. */
  readonly takeOver: TakeOver | null
  /** Of all steps; null where the warehouse does not bill by bytes. */
  readonly bytesBilled: number | null
  /** What its dbt commands were expected to read; null where none was asked: only a run with a budget asks. */
  readonly bytesEstimated: number | null
  readonly workflowId: string
  readonly runId: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly durationMs: number
}

/** A step as it stands; while the run goes on, some are pending. */
export interface StepReport {
  readonly id: string
  readonly kind: 'ingest' | 'dbt' | 'validate' | 'publish' | 'warm' | 'record'
  readonly title: string
  readonly state: StepState
  readonly startedAtMs: number | null
  readonly durationMs: number | null
  /** How often the work was done: 1 where no retry was needed. */
  readonly attempts: number
  readonly failure: FailureInfo | null
  readonly loads: readonly LoadProgress[]
  readonly dbt: DbtReport | null
  /** Of a dbt step while it runs. */
  readonly dbtProgress: DbtProgress | null
  readonly marts: readonly MartReport[]
  readonly published: PublishReport | null
  /** What a warm step asked for, and how it was answered. */
  readonly warmed: readonly WarmedUrl[]
  /** Of its queries; null where the warehouse does not bill by bytes. */
  readonly bytesBilled: number | null
}

/** What a step put before its readers. */
export interface PublishReport {
  /** The live schema. */
  readonly to: string
  readonly marts: readonly { readonly mart: string; readonly rows: number }[]
  /** The copy for readers, relative to the workspace. */
  readonly copy: string | null
}

/** One ingest entry of a step: still to come, or done. */
export interface LoadProgress {
  readonly into: string
  /** The value that it is for, of an entry with `for_each`. */
  readonly forEach?: string
  readonly file: string
  readonly state: StepState
  readonly report: LoadReport | null
  readonly failure: FailureInfo | null
}

/** Counts are of records. read = loaded + superseded + rejected, always. */
export interface LoadReport {
  readonly loadId: string
  readonly into: string
  /** Path or pattern of its files, and how many there were. */
  readonly file: string
  readonly files: number
  /** skipped: there was no file, and there need not be one. newer snapshot: the table holds that of a later date. */
  readonly status: 'loaded' | 'already loaded' | 'skipped' | 'newer snapshot'
  readonly read: number
  readonly loaded: number
  readonly superseded: number
  readonly rejected: number
  /** Rows of earlier loads that this one took out. */
  readonly removed: number
  /** Files with the very bytes of another one (`b.csv = a.csv`), which an entry that appends loads once. */
  readonly identicalFiles: readonly string[]
  /** The commonest reasons, at most ten. */
  readonly rejectReasons: readonly RejectReason[]
  /** Where the rejects are, as schema.table. */
  readonly rejectsTable: string
  readonly loadedAt: string
  readonly durationMs: number
  readonly bytesBilled: number | null
}

export interface RejectReason {
  readonly code: string
  readonly column: string | null
  readonly count: number
}

export interface DbtReport {
  /** dbt's command: `run`, `build`, `source freshness`, … */
  readonly command: string
  readonly invocationId: string
  /** Nodes by dbt's own status word. */
  readonly counts: Readonly<Record<string, number>>
  readonly total: number
  /** Nodes that an earlier attempt, or the run that this one goes on with, had done already. */
  readonly takenOver: number
  /**
   * Those that failed, were skipped or warned (at most 30), then the slowest (10) and the dearest (5). All of them are in
   * the run folder.
   */
  readonly nodes: readonly NodeReport[]
  /** Of all nodes that this run ran, attempts that failed included; null where the warehouse does not bill by bytes. */
  readonly bytesBilled: number | null
  /** Of the nodes that were still to be done when its last attempt began; null where it was not asked for. */
  readonly bytesEstimated: number | null
  /** Those of them of which it could not be told: what they read is not there yet. */
  readonly notEstimated: number
  /** After a failure: which marts one can still rely on. */
  readonly marts: MartsAfterFailure | null
}

/** What a dbt command's failure carries beside its message. */
export interface DbtFailureDetail {
  readonly report: DbtReport
  /** Pause before the first retry, doubled for each one after it, where the step names none. */
  readonly retryDelay: { readonly firstMs: number; readonly maxMs: number }
}

export interface NodeReport {
  readonly uniqueId: string
  readonly name: string
  readonly resourceType: string
  readonly status: string
  readonly durationMs: number
  /** How often it was begun in its step. */
  readonly attempt: number
  /** As the adapter tells them; null where it tells nothing. */
  readonly rows: number | null
  readonly bytes: number | null
  /** Of all its attempts in this run. */
  readonly bytesBilled: number | null
  /** What its last attempt was expected to read; null where it could not be told, or was not asked for. */
  readonly bytesEstimated: number | null
  /** These only of nodes that failed or warned. */
  readonly message: string | null
  readonly failureClass: string | null
  /** Relative to the attempt's folder. */
  readonly compiledFile: string | null
  /** Where the rows are that a test found. */
  readonly failuresTable: string | null
}

export interface MartsAfterFailure {
  /** All that they are made of went well, and so did its tests as far as they ran. */
  readonly unbroken: readonly string[]
  readonly broken: readonly { readonly mart: string; readonly because: string }[]
}

/** A dbt command as it goes: in heartbeats, in the run's state, in the current details. */
export interface DbtProgress {
  readonly phase: 'dbt'
  readonly done: number
  readonly failed: number
  readonly warned: number
  readonly skipped: number
  readonly total: number
  /** Those that run for the longest first, at most 8. */
  readonly running: readonly RunningNode[]
  /** At most 3. */
  readonly slowest: readonly { readonly name: string; readonly durationMs: number }[]
  /** From the usual times of the nodes; null where they are not known. */
  readonly leftMs: number | null
}

export interface RunningNode {
  readonly name: string
  readonly startedAtMs: number
  /** Median of its last runs. */
  readonly usualMs: number | null
  /** Far beyond its usual time. */
  readonly slow: boolean
}

export type MartVerdict = 'VALID' | 'WARNING' | 'FAILED'

export interface MartReport {
  readonly mart: string
  readonly relation: string
  readonly verdict: MartVerdict
  readonly rows: number
  readonly checks: readonly MartCheckReport[]
}

export interface MartCheckReport {
  readonly check: string
  readonly verdict: MartVerdict
  readonly detail: string
}

/** What a heartbeat says about work that goes on; read by the live view. */
export type Progress =
  | {
      readonly phase: 'reading' | 'loading'
      readonly doneBytes: number
      readonly totalBytes: number
      /** Records scanned so far. */
      readonly records: number
      readonly bytesPerSecond: number
    }
  | (DbtProgress & {
      /** Which nodes are done, for a worker on another machine that goes on with it. */
      readonly doneSet?: DoneSet
    })

/** A set of nodes in a few hundred bytes. */
export interface DoneSet {
  /** Digest of the manifest and of the sorted unique ids that the bits count. */
  readonly madeOver: string
  /** Base64 of a bit per id, the lowest bit of each byte first. */
  readonly bits: string
}

/** Whether a dbt step of that command may have changed what other steps build on: it began, and not all was done before. */
export function hasChangedTables(command: DbtVerb, { startedAtMs, dbt }: StepReport): boolean {
  if (!writes(command) || startedAtMs === null) return false
  return dbt === null || dbt.total === 0 || dbt.total > dbt.takenOver
}

/** The worst of the steps' states counts; a run whose steps were all left out is skipped. */
export function outcomeOf(steps: readonly StepReport[]): Outcome {
  const states = steps.map((step) => step.state)
  for (const outcome of ['cancelled', 'failed', 'warned', 'succeeded'] as const) {
    if (states.includes(outcome)) return outcome
  }
  return 'skipped'
}

/** What the steps cost so far; null where the warehouse does not bill by bytes. */
export function bytesBilled(steps: readonly StepReport[]): number | null {
  return sumKnown(
    steps.flatMap((step) => [step.bytesBilled, ...step.loads.map(({ report }) => report?.bytesBilled ?? null)]),
  )
}

/** What the dbt steps were expected to read; null where none was asked. */
export function bytesEstimated(steps: readonly StepReport[]): number | null {
  return sumKnown(steps.map(({ dbt }) => dbt?.bytesEstimated))
}

/** Null where none is known. */
export function sumKnown(values: readonly (number | null | undefined)[]): number | null {
  const known = values.filter((value) => typeof value === 'number')
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0)
}

/** The steps as a Markdown table, for the current details in Temporal's UI (limit there: 20,000 bytes). */
export function stepsTable(steps: readonly StepReport[]): string {
  const rows = steps.map((step) => {
    const time = step.durationMs === null ? '' : formatDuration(step.durationMs)
    return `| ${cell(step.title)} | ${step.state} | ${cell(stepSummary(step))} | ${time} |`
  })
  const running = steps.flatMap(({ title, dbtProgress }) =>
    dbtProgress === null ? [] : ['', progressTable(title, dbtProgress)],
  )
  return ['| step | state | what | time |', '|---|---|---|---|', ...rows, ...running].join('\n')
}

/** What a dbt command is at, as of the last word from it. */
function progressTable(title: string, progress: DbtProgress): string {
  const { done, failed, skipped, total, running, slowest, leftMs } = progress
  const names = running.map(
    ({ name, usualMs, slow }) => `${name}${slow ? ` **slow** (usually ${formatDuration(usualMs ?? 0)})` : ''}`,
  )
  const slow = slowest.map(({ name, durationMs }) => `${name} ${formatDuration(durationMs)}`)
  const rows = [
    ['running', names.join(', ')],
    ['done', `${formatCount(done)} of ${formatCount(total)}`],
    ['failed', formatCount(failed)],
    ['skipped', formatCount(skipped)],
    ['slowest', slow.join(', ')],
    ['left', leftMs === null ? 'not known yet' : `about ${formatDuration(leftMs)}`],
  ]
  return [`| ${cell(title)} | |`, '|---|---|', ...rows.map(([what, text]) => `| ${what} | ${cell(text ?? '')} |`)].join(
    '\n',
  )
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}

/** One line that says what a step did. */
export function stepSummary(step: StepReport): string {
  if (step.failure !== null) return `${step.failure.type}: ${step.failure.message.split('\n')[0] ?? ''}`
  if (step.state === 'skipped') return ''
  switch (step.kind) {
    case 'ingest':
      return step.loads.map(loadSummary).join(' · ')
    case 'dbt':
      return step.dbt === null ? progressText(step.dbtProgress) : countsText(step.dbt.counts)
    case 'validate':
      return step.marts.map(martSummary).join(' · ')
    case 'publish':
      return step.published === null ? '' : publishedText(step.published)
    case 'warm':
      return step.warmed.length === 0 ? '' : warmedText(step.warmed)
    case 'record':
      return ''
  }
}

function martSummary(mart: MartReport): string {
  const notable = notableChecks(mart)
  return `${mart.mart} ${mart.verdict} (${notable.length > 0 ? notable.join(', ') : `${formatCount(mart.rows)} rows`})`
}

/** What its checks say that is not as it should be. */
export function notableChecks({ checks }: MartReport): string[] {
  return checks.filter(({ verdict }) => verdict !== 'VALID').map(({ detail }) => detail)
}

/** `analytics: mart_users (1,204 rows), mart_content (87 rows)`. */
export function publishedText({ to, marts }: PublishReport): string {
  return `${to}: ${marts.map(({ mart, rows }) => `${mart} (${formatCount(rows)} rows)`).join(', ')}`
}

function progressText(progress: DbtProgress | null): string {
  return progress === null ? '' : `${formatCount(progress.done)} of ${formatCount(progress.total)} done`
}

/** `raw.logs`, and `raw.observations 2A` for one of several values. */
export function loadName({ into, forEach }: Pick<LoadProgress, 'into' | 'forEach'>): string {
  return forEach === undefined ? into : `${into} ${forEach}`
}

function loadSummary(load: LoadProgress): string {
  const name = loadName(load)
  if (load.report === null) return `${name} ${load.state}`
  const { report } = load
  switch (report.status) {
    case 'already loaded':
      return `${name} already loaded (${formatCount(report.loaded)} records)`
    case 'skipped':
      return `${name} skipped (no file)`
    case 'newer snapshot':
      return `${name} left as it is (the snapshot of a later date)`
    case 'loaded':
      return `${name} ${loadedText(report).join(', ')}`
  }
}

/** `6,117 loaded`, `3 rejected`, and what else is worth a word. */
export function loadedText({ loaded, superseded, rejected, removed, read }: LoadReport): string[] {
  return [
    `${formatCount(loaded)} loaded`,
    ...(superseded > 0 ? [`${formatCount(superseded)} superseded`] : []),
    `${formatCount(rejected)} rejected`,
    ...(removed > 0 ? [`${formatCount(removed)} earlier rows replaced`] : []),
    ...(read === 0 ? ['no records in the file'] : []),
  ]
}

/** `31 pass, 1 warn`: the numbers by dbt's status words. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([status, count]) => `${formatCount(count)} ${status}`)
    .join(', ')
}

/** 6120 → `6,120`. */
export function formatCount(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',')
}
