// The alert workflow, one per pipeline and target while there is something to tell or to watch: keeps the state, decides, delivers.
import {
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import {
  ALERT_SIGNAL,
  ALERT_STATE_QUERY,
  CALM,
  decide,
  isCalm,
  remind,
  reminderAtMs,
  type AlertEvent,
  type AlertMessage,
  type AlertState,
  type Decided,
  type PlannedAlerts,
} from '../pipeline/alert-state.ts'
import { openDeliveries, type Delivery } from './deliveries.ts'

export interface AlertStart {
  readonly pipeline: string
  readonly target: string
  readonly settings: PlannedAlerts
  readonly events: readonly AlertEvent[]
  /** Sends one message on each channel and ends; nothing else is kept of it. */
  readonly test?: boolean
  /** From the workflow's history before this one. */
  readonly state?: AlertState
  readonly deliveries?: readonly Delivery[]
}

/** Each event brings the settings of its time: what stands in the pipeline file now counts. */
export interface AlertNews {
  readonly settings: PlannedAlerts
  readonly event: AlertEvent
}

export const alertSignal = defineSignal<[AlertNews]>(ALERT_SIGNAL)

export const alertStateQuery = defineQuery<AlertState>(ALERT_STATE_QUERY)

export interface AlertResult {
  readonly state: AlertState
  /** The last ones of each message and channel, newest first. */
  readonly deliveries: readonly Delivery[]
}

const MOST_EVENTS = 2_000

/** Ends once nothing is wrong, nothing is watched and everything is delivered or given up. */
export async function alert(start: AlertStart): Promise<AlertResult> {
  const { pipeline, target } = start
  const news: AlertNews[] = start.events.map((event) => ({ settings: start.settings, event }))
  let { settings } = start
  let state = start.state ?? CALM
  setHandler(alertSignal, (told) => {
    // Anyone can signal: what has another form must not wedge the workflow.
    if (typeof told?.event?.kind === 'string' && Array.isArray(told.settings?.on)) news.push(told)
  })
  setHandler(alertStateQuery, () => state)
  const deliveries = openDeliveries(start.deliveries ?? [], () => show(state, deliveries.done))

  const send = (decided: Decided) => deliveries.send(messageOf(start, decided, settings), settings)
  if (start.test === true) send({ kind: 'test', run: null, was: [], sinceMs: null, runs: 0, lastSuccessMs: null })

  for (;;) {
    for (let told = news.shift(); told !== undefined; told = news.shift()) {
      settings = told.settings
      const decision = decide(state, told.event, settings.on, Date.now())
      state = decision.state
      if (decision.message !== null) send(decision.message)
    }
    show(state, deliveries.done)
    if (deliveries.pending() === 0) {
      if (isCalm(state, settings.on) || start.test === true) return { state, deliveries: deliveries.done }
      if (workflowInfo().historyLength > MOST_EVENTS || workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof alert>({
          pipeline,
          target,
          settings,
          events: [],
          state,
          deliveries: deliveries.done,
        })
      }
    }
    const pending = deliveries.pending()
    const changed = () => news.length > 0 || deliveries.pending() < pending
    const remindAtMs = reminderAtMs(state, settings.remindMs)
    if (remindAtMs === null) await condition(changed)
    else if (!(await condition(changed, Math.max(1, remindAtMs - Date.now())))) {
      const now = await settingsNow(start, settings)
      // The pipeline is gone, or wants no alerts any more.
      if (now === null) return { state: CALM, deliveries: deliveries.done }
      settings = now
      const decision = remind(state, Date.now())
      // It may have recovered while the file was read.
      if (news.length === 0) {
        state = decision.state
        if (decision.message !== null) send(decision.message)
      }
    }
  }
}

/** A pipeline file that is wrong just now does not end its alerts. */
async function settingsNow({ pipeline, target }: AlertStart, before: PlannedAlerts): Promise<PlannedAlerts | null> {
  const { readAlerts } = proxyActivities<Activities>({
    startToCloseTimeout: '1m',
    scheduleToCloseTimeout: '1d',
    summary: 'whom to tell',
  })
  try {
    const { alerts } = await readAlerts({ pipeline, target })
    // Delays of an attempt are not the file's.
    return alerts === null ? null : { ...alerts, giveUpMs: before.giveUpMs, retryMs: before.retryMs }
  } catch (error) {
    log.warn('whom to tell could not be read anew', { error: String(error) })
    return before
  }
}

function messageOf({ pipeline, target }: AlertStart, decided: Decided, settings: PlannedAlerts): AlertMessage {
  const { workflowId, runId } = workflowInfo()
  const { kind, run } = decided
  const atMs = Date.now()
  // What is told of a run is told once; the others have no run that they would belong to.
  const ofRun = run !== null && kind !== 'reminder' && kind !== 'stale'
  const id = ofRun ? `${run.workflowId}/${run.runId}/${kind}` : `${workflowId}/${runId}/${kind}/${atMs}`
  return { ...decided, id, pipeline, target, atMs, slowAfterMs: settings.slowAfterMs, note: null }
}

/** In Temporal's UI: what is known, and what became of the last messages. */
function show(state: AlertState, done: readonly Delivery[]): void {
  const since = state.sinceMs === 0 ? '' : ` since ${new Date(state.sinceMs).toISOString()}`
  const marks = [state.slowRun === null ? [] : 'slow', state.stale ? 'stale' : []].flat()
  const rows = done.map(({ kind, channel, outcome, detail, atMs }) =>
    ['', new Date(atMs).toISOString(), kind, channel, outcome, detail.replaceAll('|', '/').replaceAll('\n', ' '), '']
      .join(' | ')
      .trim(),
  )
  setCurrentDetails(
    [
      `**${[state.outcome, ...marks].join(', ')}**${since}`,
      ...(rows.length === 0 ? [] : ['', '| when | message | channel | delivery | |', '|---|---|---|---|---|', ...rows]),
    ].join('\n'),
  )
}
