// A schedule field by field, as texts: what the pipeline file wants, what the server has, and what differs.
import type { CalendarSpecDescription, ScheduleDescription } from '@temporalio/client'
import { cronFields } from '../pipeline/cron.ts'
import { durationText } from '../pipeline/duration.ts'
import { OUR_PAUSE, pauseOf, WORKFLOW_MEMO, type DesiredSchedule } from './desired.ts'

export interface ChangedField {
  readonly field: string
  readonly before: string
  readonly after: string
}

type Fields = Readonly<Record<string, string>>

/** What applying would change on the server; nothing when it has what is wanted. */
export function changedFields(
  present: ScheduleDescription,
  desired: DesiredSchedule,
  taskQueue: string,
): ChangedField[] {
  const before = presentFields(present)
  const after = wantedFields(desired, taskQueue, nextPause(present, desired))
  return Object.entries(after)
    .map(([field, text]) => ({ field, before: before[field] ?? '', after: text }))
    .filter((change) =>
      change.field === 'cron' ? !sameTimes(change.before, change.after) : change.before !== change.after,
    )
}

/** A person's pause stays; ours follows the pipeline file and the configuration. */
export function nextPause({ state }: ScheduleDescription, desired: DesiredSchedule): { paused: boolean; note: string } {
  const wanted = pauseOf(desired)
  const byPerson = state.paused && !(state.note ?? '').startsWith(OUR_PAUSE)
  return byPerson && !wanted.paused ? { paused: true, note: state.note ?? '' } : wanted
}

/** The group of a schedule that is on the server; undefined where it has none. */
export function presentGroup({ action }: ScheduleDescription): string | undefined {
  const group = action.memo?.[WORKFLOW_MEMO.group]
  return typeof group === 'string' ? group : undefined
}

function wantedFields(desired: DesiredSchedule, taskQueue: string, pause: { paused: boolean; note: string }): Fields {
  return {
    cron: desired.cron,
    'time zone': desired.timeZone,
    pipeline: desired.pipeline,
    request: requestText(desired.request),
    'catch-up': durationText(desired.catchupMs),
    overlap: 'SKIP',
    group: desired.group ?? 'none',
    'task queue': taskQueue,
    paused: pauseText(pause.paused, pause.note),
  }
}

function presentFields(present: ScheduleDescription): Fields {
  const { spec, action, policies, state } = present
  return {
    cron: cronText(spec),
    'time zone': spec.timezone ?? 'UTC',
    pipeline: action.workflowType,
    request: requestText(action.args?.[0]),
    'catch-up': durationText(policies.catchupWindow),
    overlap: policies.overlap ?? '',
    group: presentGroup(present) ?? 'none',
    'task queue': action.taskQueue ?? '',
    paused: pauseText(state.paused, state.note ?? ''),
  }
}

/** `target prod, params {"dept":"9"}`. */
function requestText(request: unknown): string {
  if (typeof request !== 'object' || request === null) return 'none'
  return Object.entries(request)
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}

function pauseText(paused: boolean, note: string): string {
  return paused ? `yes (${note.replace(OUR_PAUSE, '')})` : 'no'
}

/** The server keeps a cron expression as a calendar: back to the expression. What no expression of ours says is shown whole. */
export function cronText(spec: ScheduleDescription['spec']): string {
  const { calendars = [], intervals = [], skip = [], startAt, endAt, jitter = 0 } = spec
  const [calendar] = calendars
  const more = calendars.length > 1 || intervals.length > 0 || skip.length > 0 || startAt || endAt || jitter > 0
  if (calendar === undefined || more || calendar.year.length > 0) {
    return JSON.stringify({ calendars, intervals, skip, startAt, endAt, jitter })
  }
  const { minute, hour, dayOfMonth, month, dayOfWeek } = calendar
  return [
    rangesText(minute, 0, 59),
    rangesText(hour, 0, 23),
    rangesText(dayOfMonth, 1, 31),
    rangesText(month, 'JANUARY', 'DECEMBER'),
    rangesText(dayOfWeek, 'SUNDAY', 'SATURDAY'),
  ].join(' ')
}

type Value = CalendarSpecDescription['minute'][number]['start'] | string

function rangesText(
  ranges: readonly { readonly start: Value; readonly end: Value; readonly step: number }[],
  first: Value,
  last: Value,
): string {
  const word = (value: Value) => (typeof value === 'string' ? value.slice(0, 3).toLowerCase() : String(value))
  return ranges
    .map(({ start, end, step }) => {
      const whole = start === first && end === last
      const range = whole ? '*' : start === end ? word(start) : `${word(start)}-${word(end)}`
      return step > 1 && start !== end ? `${range}/${step}` : range
    })
    .join(',')
}

function sameTimes(a: string, b: string): boolean {
  const times = (cron: string) =>
    cron.startsWith('{')
      ? cron
      : JSON.stringify(Object.values(cronFields(cron)).map((set) => [...set].sort((x, y) => x - y)))
  return times(a) === times(b)
}
