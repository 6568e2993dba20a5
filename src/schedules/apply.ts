// Brings the server's schedules to what the pipeline files ask for, and says what changes before it does.
import type { Client, ScheduleDescription, ScheduleUpdateOptions } from '@temporalio/client'
import { OWNER_KEY, pauseOf, scheduleOptions, type DesiredSchedule } from './desired.ts'
import { changedFields, nextPause, presentGroup, type ChangedField } from './fields.ts'
import { selectSchedules, type NamedSchedule } from './select.ts'

export interface ScheduleChange {
  readonly id: string
  readonly change: 'created' | 'updated' | 'unchanged' | 'removed' | 'left alone, it belongs to somebody else'
  /** Of an updated one, field by field. */
  readonly fields: readonly ChangedField[]
  /** Why it is paused then; undefined when it runs. */
  readonly paused: string | undefined
  readonly desired: DesiredSchedule | undefined
}

/**
 * Writes the whole wanted state of each schedule (so a hand-made change is undone, except a pause), and removes those
 * of this task queue that no pipeline file asks for. Doing it twice changes nothing the second time.
 */
export async function applySchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
  taskQueue: string,
): Promise<ScheduleChange[]> {
  const changes = await planChanges(client, desired, taskQueue, [])
  await makeChanges(client, changes, taskQueue)
  return changes
}

/** What applying would do to the schedules that the names mean (all where there is none). Fails with RequestInvalid for a name that means none. */
export async function planChanges(
  client: Client,
  desired: readonly DesiredSchedule[],
  taskQueue: string,
  names: readonly string[],
): Promise<ScheduleChange[]> {
  const wanted = new Map(desired.map((schedule) => [schedule.id, schedule]))
  const unwanted: NamedSchedule[] = []
  for (const id of await ownedSchedules(client, taskQueue)) {
    if (wanted.has(id)) continue
    const present = await describeSchedule(client, id)
    if (present !== undefined) unwanted.push({ id, pipeline: pipelineOf(id), group: presentGroup(present) })
  }
  const changes: ScheduleChange[] = []
  for (const { id } of selectSchedules([...desired, ...unwanted], names)) {
    const schedule = wanted.get(id)
    changes.push(
      schedule === undefined
        ? { id, change: 'removed', fields: [], paused: undefined, desired: undefined }
        : await planChange(schedule, await describeSchedule(client, id), taskQueue),
    )
  }
  return changes
}

/** Makes planned changes true. */
export async function makeChanges(
  client: Client,
  changes: readonly ScheduleChange[],
  taskQueue: string,
): Promise<void> {
  for (const { id, change, desired } of changes) {
    const handle = client.schedule.getHandle(id)
    if (change === 'removed') await handle.delete()
    if (desired === undefined) continue
    const { spec, action, policies, ...options } = scheduleOptions(desired, taskQueue)
    if (change === 'created') await client.schedule.create({ ...options, spec, action, ...(policies && { policies }) })
    if (change === 'updated') {
      await handle.update((present): ScheduleUpdateOptions => ({
        spec,
        action,
        ...(policies && { policies }),
        state: nextPause(present, desired),
      }))
    }
  }
}

/** Ids of the schedules that belong to a task queue's workers. */
export async function ownedSchedules(client: Client, taskQueue: string): Promise<string[]> {
  const ids: string[] = []
  for await (const { scheduleId, memo } of client.schedule.list()) {
    if (memo?.[OWNER_KEY] === taskQueue) ids.push(scheduleId)
  }
  return ids.sort()
}

/** Undefined where there is none of that id. */
export async function describeSchedule(client: Client, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe()
  } catch (error) {
    if (error instanceof Error && error.name === 'ScheduleNotFoundError') return undefined
    throw error
  }
}

/** `daily.nightly` → `daily`. */
function pipelineOf(id: string): string {
  return id.split('.')[0] ?? id
}

async function planChange(
  desired: DesiredSchedule,
  present: ScheduleDescription | undefined,
  taskQueue: string,
): Promise<ScheduleChange> {
  const { id } = desired
  if (present === undefined) {
    const { paused, note } = pauseOf(desired)
    return { id, change: 'created', fields: [], paused: paused ? note : undefined, desired }
  }
  if (present.memo?.[OWNER_KEY] !== taskQueue) {
    return { id, change: 'left alone, it belongs to somebody else', fields: [], paused: undefined, desired }
  }
  const fields = changedFields(present, desired, taskQueue)
  const { paused, note } = nextPause(present, desired)
  const change = fields.length === 0 ? 'unchanged' : 'updated'
  return { id, change, fields, paused: paused ? note : undefined, desired }
}
