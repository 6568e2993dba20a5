// How a run looks in the terminal, while it goes and at its end. Pure: state in, lines out.
import { formatByteSize } from '../pipeline/byte-size.ts'
import { formatDuration } from '../pipeline/duration.ts'
import type { TakeOver } from '../pipeline/plan.ts'
import {
  countsText,
  type DbtProgress,
  type MartsAfterFailure,
  formatCount,
  loadedText,
  loadName,
  notableChecks,
  type LoadProgress,
  type LoadReport,
  type MartReport,
  type PublishReport,
  type Outcome,
  type Progress,
  type RunReport,
  type StepReport,
  type StepState,
} from '../pipeline/report.ts'
import { isWarm, type WarmedUrl } from '../pipeline/warm.ts'
import { color, cut, pad } from './terminal.ts'

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const TITLE_WIDTH = 20
const NAME_WIDTH = 32
const BAR_CELLS = 24

export interface LiveView {
  readonly steps: readonly StepReport[]
  /** Latest heartbeat by activity id. */
  readonly progress: ReadonlyMap<string, Progress>
  readonly frame: number
  readonly nowMs: number
  readonly width: number
}

/** The steps as they stand. */
export function liveLines({ steps, progress, frame, nowMs, width }: LiveView): string[] {
  return steps.flatMap((step) => {
    if (step.state !== 'running') return stepLines(step)
    const spinner = color.cyan(SPINNER[frame % SPINNER.length] ?? '')
    const elapsed = step.startedAtMs === null ? '' : formatDuration(Math.max(0, nowMs - step.startedAtMs))
    const details = runningDetails(step, progress, nowMs, width - TITLE_WIDTH - 4)
    return details.map((detail, index) => {
      const time = index === 0 ? color.dim(`  ${elapsed}`) : ''
      return index === 0 ? ` ${spinner} ${pad(step.title, TITLE_WIDTH)}${detail}${time}` : continuation(detail)
    })
  })
}

/** One finished, waiting or skipped step. */
export function stepLines(step: StepReport): string[] {
  const details = stepDetails(step)
  const time = step.durationMs === null ? '' : color.dim(`  ${formatDuration(step.durationMs)}`)
  const again = step.attempts > 1 ? color.yellow(`  ${step.attempts} attempts`) : ''
  const title =
    step.state === 'pending' || step.state === 'skipped'
      ? color.dim(pad(step.title, TITLE_WIDTH))
      : pad(step.title, TITLE_WIDTH)
  const [first = '', ...rest] = details
  return [` ${mark(step.state)} ${title}${first}${again}${time}`, ...rest.map(continuation)]
}

export interface SummaryPlaces {
  /** The run in Temporal's web UI. */
  readonly runLink: string | undefined
  readonly reportFile: string
}

/** The last screen of a run: outcome first, then what a person needs to decide what to do next. */
export function summaryLines(report: RunReport, places: SummaryPlaces): string[] {
  const steps = report.steps.flatMap(stepLines)
  const failure = report.failure === null ? [] : ['', ...failureLines(report)]
  const goOn = report.outcome === 'failed' || report.outcome === 'cancelled'
  return [
    outcomeLine(report),
    ...(report.note === null ? [] : [color.dim(` ${report.note}`)]),
    ...takeOverLines(report.takeOver),
    '',
    ...steps,
    ...failure,
    ...report.steps.flatMap(toleratedLines),
    ...rejectLines(report),
    '',
    ...(places.runLink === undefined ? [] : [` In Temporal  ${color.underline(places.runLink)}`]),
    ` Report       ${places.reportFile}`,
    ...billedLines(report),
    ...(goOn ? [` Go on        npx millrace retry ${report.workflowId}`] : []),
  ]
}

export function headerLine(report: Pick<RunReport, 'pipeline' | 'target' | 'logicalDate'>): string {
  return [color.bold(report.pipeline), report.target, report.logicalDate].filter((part) => part !== '').join(' · ')
}

/** Where the warehouse bills by bytes. */
function billedLines({ bytesBilled, bytesEstimated, steps }: RunReport): string[] {
  if (bytesBilled === null && bytesEstimated === null) return []
  const unknown = steps.reduce((sum, { dbt }) => sum + (dbt?.notEstimated ?? 0), 0)
  const more = unknown === 0 ? '' : ` and ${formatCount(unknown)} node${unknown === 1 ? '' : 's'} unknown`
  const estimated = bytesEstimated === null ? '' : `; dbt: about ${formatByteSize(bytesEstimated)} estimated${more}`
  return [color.dim(` Billed       ${formatByteSize(bytesBilled ?? 0)}${estimated}`)]
}

/** Of a retried run: what it builds on. */
export function takeOverLines(takeOver: TakeOver | null): string[] {
  if (takeOver === null) return []
  const { workflowId } = takeOver.of
  return takeOver.kind === 'nodes'
    ? [color.dim(` takes over what ${workflowId} finished`)]
    : [color.yellow(` starts afresh instead of going on with ${workflowId}: ${takeOver.why}`)]
}

function outcomeLine(report: RunReport): string {
  return `${mark(report.outcome)} ${headerLine(report)} ${OUTCOME_COLOR[report.outcome](report.outcome)} in ${formatDuration(report.durationMs)}`
}

const OUTCOME_COLOR: Record<Outcome, (text: string) => string> = {
  succeeded: color.green,
  warned: color.yellow,
  failed: color.red,
  skipped: color.dim,
  cancelled: color.yellow,
}

function mark(state: StepState): string {
  switch (state) {
    case 'succeeded':
      return color.green('✔')
    case 'warned':
      return color.yellow('!')
    case 'failed':
      return color.red('✖')
    case 'cancelled':
      return color.yellow('■')
    case 'skipped':
      return color.dim('-')
    case 'pending':
      return color.dim('·')
    case 'running':
      return color.cyan('▸')
  }
}

function continuation(detail: string): string {
  return `   ${' '.repeat(TITLE_WIDTH)}${detail}`
}

function stepDetails(step: StepReport): string[] {
  if (step.state === 'skipped') return [color.dim('not run')]
  switch (step.kind) {
    case 'ingest':
      return step.loads.map((load) => loadDetail(load, step.state === 'pending'))
    case 'dbt':
      return step.dbt === null ? failureDetail(step) : dbtDetails(step)
    case 'validate':
      return step.marts.length === 0 ? failureDetail(step) : step.marts.map(martDetail)
    case 'publish':
      return step.published === null ? failureDetail(step) : publishedDetails(step.published)
    case 'warm':
      return step.warmed.length === 0 ? failureDetail(step) : step.warmed.map(warmedDetail)
    case 'record':
      return failureDetail(step)
  }
}

/** The failure stands in full further down: here only its type. */
function failureDetail({ failure }: StepReport): string[] {
  return failure === null ? [''] : [color.red(failure.type)]
}

function loadDetail(load: LoadProgress, dim: boolean): string {
  const name = loadName(load)
  if (load.failure !== null) return `${pad(name, NAME_WIDTH)}${color.red(load.failure.type)}`
  if (load.report !== null) return loadReportDetail(pad(name, NAME_WIDTH), load.report)
  return dim ? color.dim(name) : `${pad(name, NAME_WIDTH)}${color.dim(load.state)}`
}

function loadReportDetail(name: string, report: LoadReport): string {
  switch (report.status) {
    case 'already loaded': {
      const when = report.loadedAt.replace('T', ' ').slice(0, 16)
      return `${name}already loaded ${color.dim(`(${formatCount(report.loaded)} records, ${when})`)}`
    }
    case 'skipped':
      return `${name}${color.dim('skipped: no file')}`
    case 'newer snapshot':
      return `${name}${color.dim('left as it is: it holds the snapshot of a later date')}`
    case 'loaded': {
      const [loaded = '', ...rest] = loadedText(report)
      const told = rest.map((text) => (text === '0 rejected' ? color.dim(text) : color.yellow(text)))
      return name + pad(`${formatCount(report.read)} read`, 13) + pad(loaded, 15) + told.join('  ')
    }
  }
}

function dbtDetails({ dbt }: StepReport): string[] {
  if (dbt === null) return ['']
  const slowest = dbt.nodes.toSorted((a, b) => b.durationMs - a.durationMs)[0]
  const before = dbt.takenOver > 0 ? color.dim(`${formatCount(dbt.takenOver)} of them done before  `) : ''
  const detail =
    slowest === undefined || slowest.durationMs === 0
      ? ''
      : color.dim(`slowest ${slowest.name} ${formatDuration(slowest.durationMs)}`)
  const billed = dbt.bytesBilled === null ? '' : color.dim(`  ${formatByteSize(dbt.bytesBilled)} billed`)
  const warned = dbt.nodes.filter(({ status }) => status === 'warn').map(({ name }) => color.yellow(`warn ${name}`))
  return [`${pad(countsText(dbt.counts), NAME_WIDTH)}${before}${detail}${billed}`, ...warned, ...martsAfter(dbt.marts)]
}

function martsAfter(marts: MartsAfterFailure | null): string[] {
  if (marts === null) return []
  const { unbroken, broken } = marts
  return [
    ...(unbroken.length > 0 ? [`${color.green('sound')}   ${unbroken.join(', ')}`] : []),
    ...broken.map(
      ({ mart, because }) =>
        `${color.red('broken')}  ${mart}${mart === because ? '' : color.dim(`  behind ${because}`)}`,
    ),
  ]
}

function martDetail(mart: MartReport): string {
  const verdictColor = { VALID: color.green, WARNING: color.yellow, FAILED: color.red }[mart.verdict]
  const notable = notableChecks(mart)
  const told =
    notable.length > 0
      ? notable.join(', ')
      : mart.checks
          .slice(1)
          .map(({ detail }) => detail)
          .join(', ')
  return `${pad(mart.mart, NAME_WIDTH)}${pad(`${formatCount(mart.rows)} rows`, 13)}${verdictColor(mart.verdict)}  ${color.dim(told)}`
}

function publishedDetails({ to, marts, copy }: PublishReport): string[] {
  const rows = marts.map(
    ({ mart, rows: count }) => `${pad(mart, NAME_WIDTH)}${pad(`${formatCount(count)} rows`, 13)}→ ${to}`,
  )
  return copy === null ? rows : [...rows, color.dim(`copy for readers: ${copy}`)]
}

function warmedDetail(url: WarmedUrl): string {
  const paint = isWarm(url) ? color.green : color.yellow
  return `${pad(url.path, 34)}${paint(url.answer)}  ${color.dim(formatDuration(url.durationMs))}`
}

function failureLines({ failure, outcome }: RunReport): string[] {
  if (failure === null) return []
  const [first = '', ...rest] = failure.message.split('\n')
  const paint = outcome === 'cancelled' ? color.yellow : color.red
  return [` ${paint(failure.type)}: ${first}`, ...rest.map((line) => `   ${line}`)]
}

/** Why a step that may fail did: the run went on, but somebody has to know. */
function toleratedLines({ title, state, failure }: StepReport): string[] {
  if (state !== 'warned' || failure === null) return []
  const [first = '', ...rest] = failure.message.split('\n')
  return [
    '',
    ` ${color.yellow(failure.type)}: ${first}`,
    ...rest.map((line) => `   ${line}`),
    color.dim(`   ${title} may fail with a warning (on_failure: warn), so the run went on`),
  ]
}

function rejectLines(report: RunReport): string[] {
  const loads = report.steps.flatMap(({ loads }) => loads.flatMap((load) => load.report ?? []))
  return loads
    .filter(({ rejected }) => rejected > 0)
    .flatMap(({ rejected, rejectReasons, rejectsTable }) => {
      const reasons = rejectReasons.map(
        ({ code, column, count }) => `${count} × ${code}${column === null ? '' : ` (${column})`}`,
      )
      const records = rejected === 1 ? '1 rejected record' : `${formatCount(rejected)} rejected records`
      return ['', ` ${records} in ${color.bold(rejectsTable)}`, ...reasons.map((reason) => `   ${reason}`)]
    })
}

function runningDetails(
  step: StepReport,
  progress: ReadonlyMap<string, Progress>,
  nowMs: number,
  width: number,
): string[] {
  if (step.kind === 'ingest') {
    return step.loads.map((load) => {
      const current = [...progress].find(([id]) => isActivityOf(id, step, load))?.[1]
      if (load.report !== null || load.failure !== null || current === undefined || current.phase === 'dbt') {
        return loadDetail(load, false)
      }
      const share = current.totalBytes === 0 ? 1 : current.doneBytes / current.totalBytes
      const told = [
        `${current.phase} ${megabytes(current.doneBytes)} of ${megabytes(current.totalBytes)} MB`,
        `${megabytes(current.bytesPerSecond)} MB/s`,
        ...(current.records === 0 ? [] : [`${formatCount(current.records)} records`]),
      ].join(', ')
      return `${pad(loadName(load), NAME_WIDTH)}${bar(share)}  ${cut(told, Math.max(10, width - NAME_WIDTH - BAR_CELLS - 12))}`
    })
  }
  if (step.kind !== 'dbt') return ['']
  const beat = [...progress].find(([id, { phase }]) => phase === 'dbt' && id.startsWith(`${step.id}/`))?.[1]
  const current = beat?.phase === 'dbt' ? beat : step.dbtProgress
  if (current === null || current.total === 0) return [color.dim('starting dbt')]
  return runningDbt(current, nowMs, width)
}

/** `ingest/raw.observations/2A/1`: step, entry, value where it is for one, attempt. */
function isActivityOf(id: string, step: StepReport, { into, forEach }: LoadProgress): boolean {
  const isOfTable = id.startsWith(`${step.id}/${into}/`) || id.startsWith(`${step.id}/${into}#`)
  return isOfTable && (forEach === undefined || id.includes(`/${forEach}/`))
}

/** `████░░  4/6  mart_users 1.2 s · about 2 s left`, and a line for each node that takes far longer than it usually does. */
function runningDbt(progress: DbtProgress, nowMs: number, width: number): string[] {
  const { done, failed, skipped, total, running, leftMs } = progress
  const head = `${bar((done + failed + skipped) / total)}  ${done + failed + skipped}/${total}  `
  const bad = [
    ...(failed > 0 ? [color.red(`${formatCount(failed)} failed`)] : []),
    ...(skipped > 0 ? [color.yellow(`${formatCount(skipped)} skipped`)] : []),
  ].join(', ')
  const names = running.map(({ name, startedAtMs }) => `${name} ${formatDuration(Math.max(0, nowMs - startedAtMs))}`)
  const left = leftMs === null ? '' : ` · about ${formatDuration(leftMs)} left`
  const slow = running.filter((node) => node.slow)
  return [
    head + (bad === '' ? '' : `${bad}  `) + cut(names.join(', ') + left, Math.max(10, width - BAR_CELLS - 20)),
    ...slow.map(({ name, usualMs }) => color.yellow(`slow: ${name}, usually ${formatDuration(usualMs ?? 0)}`)),
  ]
}

function megabytes(bytes: number): string {
  const value = bytes / 1e6
  return value < 100 ? value.toFixed(1) : formatCount(Math.round(value))
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_CELLS)
  return color.cyan('█'.repeat(full)) + color.dim('░'.repeat(BAR_CELLS - full))
}
