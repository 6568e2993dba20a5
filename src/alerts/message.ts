// What an alert says, for every channel the same: a headline, facts by name, and what to do.
import { formatDuration } from '../pipeline/duration.ts'
import type { AlertMessage } from '../pipeline/alert-state.ts'
import { formatCount } from '../pipeline/report.ts'

export interface AlertText {
  readonly headline: string
  readonly mood: 'bad' | 'warning' | 'good' | 'neutral'
  /** Name and value; values may have several lines. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  /** What to do next, or null where nothing is to be done. */
  readonly advice: string | null
  /** To the run in Temporal's UI; null where nobody said where that is. */
  readonly link: string | null
}

/** What a worker knows of its surroundings. */
export interface AlertPlace {
  /** A run's page in Temporal's UI. */
  readonly runLink: (workflowId: string, runId: string) => string | undefined
  /** Where a run's report.json is, relative to the workspace. */
  readonly reportPath: (workflowId: string, runId: string) => string
}

export function alertText(message: AlertMessage, place: AlertPlace): AlertText {
  const { run, kind } = message
  return {
    headline: headline(message),
    mood: MOODS[kind],
    facts: [...factsOfState(message), ...factsOfRun(message, place)],
    advice: advice(message),
    link: run === null ? null : (place.runLink(run.workflowId, run.runId) ?? null),
  }
}

const MOODS = {
  failed: 'bad',
  stale: 'bad',
  reminder: 'bad',
  undelivered: 'warning',
  warned: 'warning',
  slow: 'warning',
  recovered: 'good',
  test: 'neutral',
} as const satisfies Record<AlertMessage['kind'], AlertText['mood']>

/** `daily · prod · 2026-11-18 failed`: what one reads in a list of messages. */
function headline({ kind, pipeline, target, run, was, slowAfterMs }: AlertMessage): string {
  const what = `${pipeline} · ${target}`
  const ofRun = run === null ? what : `${what} · ${run.logicalDate || 'no date'}`
  switch (kind) {
    case 'failed':
      return `${ofRun} failed`
    case 'warned':
      return `${ofRun} ended with warnings`
    case 'recovered':
      return `${ofRun} recovered${run?.outcome === 'warned' ? ', with warnings' : ''} (was ${was.join(', ')})`
    case 'slow':
      return `${ofRun} runs longer than ${formatDuration(slowAfterMs ?? 0)}`
    case 'stale':
      return `${what} is stale: no success when one was due`
    case 'reminder':
      return `${what} is still ${was.join(' and ')}`
    case 'undelivered':
      return `${what}: an alert could not be delivered`
    case 'test':
      return `${what}: a test message of Millrace`
  }
}

function factsOfState({ kind, pipeline, target, note, sinceMs, runs, was, lastSuccessMs }: AlertMessage) {
  const facts: [string, string][] = []
  if (note !== null) facts.push(['Not delivered', note])
  facts.push(['Pipeline', pipeline], ['Target', target])
  if (
    (kind === 'recovered' || kind === 'reminder') &&
    sinceMs !== null &&
    (was.includes('failed') || was.includes('warned'))
  ) {
    facts.push([
      kind === 'recovered' ? 'It was so' : 'Since',
      `${time(sinceMs)}, ${formatCount(runs)} ${runs === 1 ? 'run' : 'runs'}`,
    ])
  }
  if (kind === 'stale' || kind === 'reminder' || kind === 'failed') {
    facts.push(['Last success', lastSuccessMs === null ? 'not known' : time(lastSuccessMs)])
  }
  return facts
}

function factsOfRun({ kind, run }: AlertMessage, { reportPath }: AlertPlace): [string, string][] {
  if (run === null) return []
  const facts: [string, string][] = [
    [kind === 'stale' || kind === 'reminder' ? 'Last run' : 'Run', `${run.workflowId} (${run.outcome})`],
    ['Logical date', run.logicalDate || 'not known: the run could not be planned'],
    ['Began', time(run.startedAtMs)],
    ['Took', `${formatDuration(run.durationMs)}${run.outcome === 'running' ? ' so far' : ''}`],
  ]
  if (run.step !== null) facts.push([run.outcome === 'failed' ? 'Failed step' : 'Step', run.step])
  if (run.failure !== null) facts.push(['Error', `${run.failure.type}: ${run.failure.message}`])
  if (run.warnings.length > 0) facts.push(['Warnings', run.warnings.join('\n')])
  if (run.counts !== null) {
    const { models, rows, marts } = run.counts
    facts.push(['Refresh', `${formatCount(models)} models updated, ${formatCount(rows)} rows inserted, ${marts}`])
  }
  if (run.outcome !== 'running') facts.push(['Report', reportPath(run.workflowId, run.runId)])
  return facts
}

function advice({ kind, run, pipeline }: AlertMessage): string | null {
  switch (kind) {
    case 'failed':
      return retryAdvice(run?.workflowId ?? '')
    case 'reminder':
      return run?.outcome === 'failed' ? retryAdvice(run.workflowId) : staleAdvice(pipeline)
    case 'warned':
      return `See what it warns of: npx millrace logs ${run?.workflowId ?? pipeline}`
    case 'slow':
      return `See what it is at: npx millrace follow ${run?.workflowId ?? ''}; end it: npx millrace cancel ${run?.workflowId ?? ''}`
    case 'stale':
      return staleAdvice(pipeline)
    case 'undelivered':
      return `Correct it, then try it: npx millrace alerts test ${pipeline}`
    case 'recovered':
    case 'test':
      return null
  }
}

function retryAdvice(workflowId: string): string {
  return `Correct what the error names, then: npx millrace retry ${workflowId} (npx millrace logs ${workflowId} tells what it did)`
}

function staleAdvice(pipeline: string): string {
  return `Look whether its runs begin and how they end: npx millrace schedules list, npx millrace history ${pipeline} --last 7d`
}

function time(ms: number): string {
  return `${new Date(ms).toISOString().replace('T', ' ').slice(0, 16)} UTC`
}

/** As plain text: for mail, and what a Slack notification shows. */
export function plainText({ headline, facts, advice, link }: AlertText): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}${value.replaceAll('\n', `\n${' '.repeat(width)}`)}`)
  return [
    headline,
    '',
    ...lines,
    ...(advice === null ? [] : ['', advice]),
    ...(link === null ? [] : ['', link]),
    '',
  ].join('\n')
}
