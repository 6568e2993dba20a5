// `millrace schedules …`: what runs by itself, and when.
import { ScheduleOverlapPolicy, type ScheduleSummary } from '@temporalio/client'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { applySchedules, ownedSchedules, type AppliedSchedule } from '../schedules/apply.ts'
import { desiredSchedules, OWNER_KEY } from '../schedules/desired.ts'
import type { ConnectedClient } from '../temporal/connect.ts'
import type { Cli } from './cli.ts'
import { color, pad, say, sayError } from './terminal.ts'

const ID_WIDTH = 22

export async function applyCommand(cli: Cli): Promise<number> {
  return await connectedTo(cli, async ({ client }) => {
    const desired = await desiredSchedules(cli.workspace, cli.environment.taskQueue)
    const applied = await applySchedules(client, desired, cli.environment.taskQueue)
    say(...(applied.length === 0 ? ['no pipeline has schedules'] : appliedLines(applied)))
  })
}

/** One line per schedule: what changed, and why it is paused if it is. */
export function appliedLines(applied: readonly AppliedSchedule[]): string[] {
  return applied.map(({ id, change, fields, paused }) => {
    const what = fields.length === 0 ? change : `${change} (${fields.join(', ')})`
    const why = paused === undefined ? '' : color.yellow(`  paused: ${paused.replace(/^millrace: /, '')}`)
    return `schedule     ${pad(id, ID_WIDTH)}${what}${why}`
  })
}

export async function listCommand(cli: Cli): Promise<number> {
  return await connectedTo(cli, async ({ client }) => {
    const lines: string[] = []
    for await (const schedule of client.schedule.list()) {
      if (schedule.memo?.[OWNER_KEY] === cli.environment.taskQueue) lines.push(scheduleLine(schedule))
    }
    say(
      ...(lines.length === 0
        ? ['no schedules; `npx millrace schedules apply` makes those of the pipeline files']
        : lines),
    )
  })
}

function scheduleLine({ scheduleId, state, info }: ScheduleSummary): string {
  const next = info.nextActionTimes[0]?.toISOString().replace('T', ' ').slice(0, 16)
  const last = info.recentActions.at(-1)?.takenAt.toISOString().replace('T', ' ').slice(0, 16)
  const when = state.paused
    ? color.yellow(`paused${state.note ? `: ${state.note.replace(/^millrace: /, '')}` : ''}`)
    : `next ${next ?? 'never'} UTC`
  return `${pad(scheduleId, ID_WIDTH)}${when}${last === undefined ? '' : color.dim(`  last ${last} UTC`)}`
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

/** One run now, unless one of this schedule is under way. */
export async function triggerCommand(cli: Cli, id: string): Promise<number> {
  return await withSchedule(cli, id, async (handle) => {
    const { state } = await handle.describe()
    await handle.trigger(ScheduleOverlapPolicy.SKIP)
    say(`${id} was triggered; its run stands in the Temporal UI`)
    if (state.paused)
      sayError(
        `${id} is paused${state.note === undefined ? '' : ` (${state.note})`}: this one run is tried all the same`,
      )
  })
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
