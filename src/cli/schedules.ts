// `millrace schedules …`: what runs by itself, and when.
import { ScheduleOverlapPolicy } from '@temporalio/client'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { cronFields } from '../pipeline/cron.ts'
import { firesAt, localTime } from '../pipeline/time-zone.ts'
import { makeChanges, ownedSchedules, planChanges, type ScheduleChange } from '../schedules/apply.ts'
import { desiredSchedules, OUR_PAUSE } from '../schedules/desired.ts'
import type { ChangedField } from '../schedules/fields.ts'
import { listSchedules, type ListedSchedule } from '../schedules/list.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { parseTime } from './start-run.ts'
import { color, pad, say, sayError } from './terminal.ts'

const ID_WIDTH = 22

export interface ApplyFlags {
  readonly dryRun: boolean
  readonly json: boolean
}

/** Of the schedules that the names mean: what changes, field by field, and then the changes themselves. */
export async function applyCommand(cli: Cli, names: readonly string[], { dryRun, json }: ApplyFlags): Promise<number> {
  return await connectedTo(cli, async ({ client }) => {
    const { taskQueue } = cli.environment
    const desired = await desiredSchedules(cli.workspace, taskQueue)
    const changes = await planChanges(client, desired, taskQueue, names)
    if (json) say(...changes.map(({ desired: _desired, ...change }) => JSON.stringify(change)))
    else say(...(changes.length === 0 ? ['no pipeline has schedules'] : appliedLines(changes)))
    if (!dryRun) await makeChanges(client, changes, taskQueue)
    else if (!json) say(color.dim('nothing was changed'))
  })
}

/** One line per schedule: what changes, and why it is paused if it is; below it, each field that differs. */
export function appliedLines(changes: readonly ScheduleChange[]): string[] {
  return changes.flatMap(({ id, change, fields, paused, desired }) => {
    const what =
      change === 'created' && desired !== undefined
        ? `created  ${desired.cron} ${desired.timeZone}, target ${desired.target}`
        : change
    const why = paused === undefined ? '' : color.yellow(`  paused: ${paused.replace(OUR_PAUSE, '')}`)
    return [
      `schedule     ${pad(id, ID_WIDTH)}${what}${why}`,
      ...fields.map((field) => `               ${fieldText(field)}`),
    ]
  })
}

function fieldText({ field, before, after }: ChangedField): string {
  return `${field}: ${color.red(before)} → ${color.green(after)}`
}

export async function listCommand(cli: Cli, { json }: { readonly json: boolean }): Promise<number> {
  return await connectedTo(cli, async ({ client }) => {
    const listed = await listSchedules(
      client,
      await desiredSchedules(cli.workspace, cli.environment.taskQueue),
      cli.environment.taskQueue,
    )
    if (json) say(...listed.map((schedule) => JSON.stringify(schedule)))
    else if (listed.length > 0) say(...listed.flatMap(listedLines))
    else say('no schedules; `npx millrace schedules apply` makes those of the pipeline files')
  })
}

function listedLines({ id, present, drift }: ListedSchedule): string[] {
  const differs = drift.map((text) => `  ${color.yellow(text)}`)
  if (present === undefined) return [pad(id, ID_WIDTH) + color.yellow('not on the server'), ...differs]
  const { paused, next, last, skipped, missed, cron, timeZone, target } = present
  const when =
    paused === undefined ? `next ${next.map(minuteText).join(', ') || 'never'} UTC` : color.yellow(`paused: ${paused}`)
  const runs = last.map(({ at, outcome }) => `${minuteText(at)} ${outcome}`).join(', ')
  return [
    `${pad(id, ID_WIDTH)}${when}`,
    color.dim(
      `  ${cron} ${timeZone}, target ${target}; ${skipped} skipped, ${missed} missed${runs === '' ? '' : `; last ${runs}`}`,
    ),
    ...differs,
  ]
}

/** `2026-11-18 02:00`. */
function minuteText(iso: string): string {
  return iso.replace('T', ' ').slice(0, 16)
}

export async function pauseCommand(cli: Cli, id: string): Promise<number> {
  return await withSchedule(cli, id, async (handle) => {
    await handle.pause('paused by hand')
    say(`${id} is paused; npx millrace schedules unpause ${id} lets it run again`)
  })
}

export async function unpauseCommand(cli: Cli, id: string): Promise<number> {
  return await withSchedule(cli, id, async (handle) => {
    await handle.unpause('unpaused by hand')
    say(`${id} runs again`)
  })
}

/**
 * One run now, or the one of a time at which it fires, unless one of this schedule is under way. Like every scheduled run it
 * is skipped where another run holds the lease.
 */
export async function triggerCommand(cli: Cli, id: string, { at }: { readonly at?: string }): Promise<number> {
  const time = at === undefined ? undefined : Date.parse(parseTime('--at', at))
  const wanted = time === undefined ? undefined : await requireFiring(cli, id, time)
  return await withSchedule(cli, id, async (handle) => {
    const { state } = await handle.describe()
    if (wanted === undefined) await handle.trigger(ScheduleOverlapPolicy.SKIP)
    // The interval is (start, end]: just this one time is in it.
    else await handle.backfill({ start: new Date(wanted - 1_000), end: new Date(wanted), overlap: 'SKIP' })
    say(`${id} was triggered${at === undefined ? '' : ` for ${at}`}; its run stands in the Temporal UI`)
    if (state.paused)
      sayError(
        `${id} is paused${state.note === undefined ? '' : ` (${state.note})`}: this one run is tried all the same`,
      )
  })
}

/** Refuses (RequestInvalid) a time at which the schedule would not start a run. */
async function requireFiring(cli: Cli, id: string, timeMs: number): Promise<number> {
  const desired = (await desiredSchedules(cli.workspace, cli.environment.taskQueue)).find(
    (schedule) => schedule.id === id,
  )
  if (desired === undefined || firesAt(cronFields(desired.cron), localTime(desired.timeZone, timeMs))) return timeMs
  throw failure(
    'RequestInvalid',
    `${id} (${desired.cron} ${desired.timeZone}) does not fire at ${new Date(timeMs).toISOString()}; ` +
      `for any other time: npx millrace run ${desired.pipeline} --target ${desired.target} --at TIME`,
  )
}

export async function deleteCommand(cli: Cli, id: string): Promise<number> {
  return await withSchedule(cli, id, async (handle) => {
    await handle.delete()
    say(`${id} is deleted; \`npx millrace schedules apply\` would make it again while a pipeline file asks for it`)
  })
}

type Handle = ReturnType<ConnectedClient['client']['schedule']['getHandle']>

async function withSchedule(cli: Cli, id: string, work: (handle: Handle) => Promise<void>): Promise<number> {
  return await connectedTo(cli, async ({ client }) => {
    const known = await ownedSchedules(client, cli.environment.taskQueue)
    if (!known.includes(id)) {
      throw failure(
        'RequestInvalid',
        `there is no schedule '${id}'${didYouMean(id, known)}; there are: ${known.join(', ') || 'none'}`,
      )
    }
    await work(client.schedule.getHandle(id))
  })
}

async function connectedTo(cli: Cli, work: (connected: ConnectedClient) => Promise<void>): Promise<number> {
  const connected = await cli.connect()
  try {
    await work(connected)
    return 0
  } finally {
    await connected.connection.close()
  }
}
