// Brings the server's schedules to what the pipeline files ask for, and says what changed.
import type { Client, ScheduleDescription, ScheduleUpdateOptions } from '@temporalio/client'
import { OUR_PAUSE, OWNER_KEY, pauseOf, scheduleOptions, type DesiredSchedule } from './desired.ts'

export interface AppliedSchedule {
  readonly id: string
  readonly change: 'created' | 'updated' | 'unchanged' | 'removed' | 'left alone, it belongs to somebody else'
  /** What differs now, by field. */
  readonly fields: readonly string[]
  /** Why it is paused; undefined when it runs. */
  readonly paused: string | undefined
}

/**
 * Writes the whole wanted state of each schedule (so a hand-made change is undone, except a pause), and removes those
 * of this task queue that no pipeline file asks for. Doing it twice changes nothing the second time.
 */
export async function applySchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
  taskQueue: string,
): Promise<AppliedSchedule[]> {
  const applied: AppliedSchedule[] = []
  for (const schedule of desired) applied.push(await applySchedule(client, schedule, taskQueue))
  const wanted = new Set(desired.map(({ id }) => id))
  for (const id of await ownedSchedules(client, taskQueue)) {
    if (wanted.has(id)) continue
    await client.schedule.getHandle(id).delete()
    applied.push({ id, change: 'removed', fields: [], paused: undefined })
  }
  return applied
}

/** Ids of the schedules that belong to a task queue's workers. */
export async function ownedSchedules(client: Client, taskQueue: string): Promise<string[]> {
  const ids: string[] = []
  for await (const { scheduleId, memo } of client.schedule.list()) {
    if (memo?.[OWNER_KEY] === taskQueue) ids.push(scheduleId)
  }
  return ids.sort()
}

/** The same for one of them; the others stay as they are. */
export async function applySchedule(
  client: Client,
  desired: DesiredSchedule,
  taskQueue: string,
): Promise<AppliedSchedule> {
  const options = scheduleOptions(desired, taskQueue)
  const handle = client.schedule.getHandle(desired.id)
  const before = await describe(handle)
  if (before === undefined) {
    await client.schedule.create(options)
    const { paused, note } = pauseOf(desired)
    return { id: desired.id, change: 'created', fields: [], paused: paused ? note : undefined }
  }
  if (before.memo?.[OWNER_KEY] !== taskQueue) {
    return { id: desired.id, change: 'left alone, it belongs to somebody else', fields: [], paused: undefined }
  }
  const { spec, action, policies } = options
  const state = nextPause(before, desired)
  await handle.update((): ScheduleUpdateOptions => ({ spec, action, ...(policies && { policies }), state }))
  const after = await handle.describe()
  const fields = changedFields(before, after)
  return {
    id: desired.id,
    change: fields.length === 0 ? 'unchanged' : 'updated',
    fields,
    paused: state.paused ? state.note : undefined,
  }
}

/** A person's pause stays; ours follows the pipeline file and the configuration. */
function nextPause({ state }: ScheduleDescription, desired: DesiredSchedule) {
  const wanted = pauseOf(desired)
  const byPerson = state.paused && !(state.note ?? '').startsWith(OUR_PAUSE)
  return byPerson && !wanted.paused ? { paused: true, note: state.note ?? '' } : wanted
}

async function describe(handle: { describe(): Promise<ScheduleDescription> }) {
  try {
    return await handle.describe()
  } catch (error) {
    if (error instanceof Error && error.name === 'ScheduleNotFoundError') return undefined
    throw error
  }
}

/** Compared in the server's own form: it keeps a cron line as a calendar. */
function changedFields(before: ScheduleDescription, after: ScheduleDescription): string[] {
  const parts = (description: ScheduleDescription) => ({
    spec: description.spec,
    action: description.action,
    policies: description.policies,
    paused: description.state.paused,
    note: description.state.note ?? '',
  })
  const [old, now] = [parts(before), parts(after)]
  return (Object.keys(now) as (keyof typeof now)[]).filter(
    (key) => JSON.stringify(old[key]) !== JSON.stringify(now[key]),
  )
}
