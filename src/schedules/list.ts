// The schedules as they are: when they run, how their last runs ended, and where they differ from the pipeline files.
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common'
import { WorkflowNotFoundError, type Client, type ScheduleDescription } from '@temporalio/client'
import { describeSchedule, ownedSchedules } from './apply.ts'
import { OUR_PAUSE, type DesiredSchedule } from './desired.ts'
import { changedFields, cronText } from './fields.ts'

export interface ListedSchedule {
  readonly id: string
  /** Undefined where no one has applied it. */
  readonly present: PresentSchedule | undefined
  /** Sentences, each ending with the command that helps; none where all is as the pipeline file says. */
  readonly drift: readonly string[]
}

export interface PresentSchedule {
  readonly cron: string
  readonly timeZone: string
  readonly target: string
  /** Why it is paused; undefined when it runs. */
  readonly paused: string | undefined
  /** ISO 8601, UTC; so are all times here. */
  readonly next: readonly string[]
  /** The newest first. */
  readonly last: readonly { readonly at: string; readonly workflowId: string; readonly outcome: string }[]
  /** Because the run before was still under way. */
  readonly skipped: number
  /** Because the server was down for longer than the catch-up window. */
  readonly missed: number
}

const RUNS_SHOWN = 3

/** Those on the server that are this task queue's, and those that the pipeline files ask for. */
export async function listSchedules(
  client: Client,
  desired: readonly DesiredSchedule[],
  taskQueue: string,
): Promise<ListedSchedule[]> {
  const ids = new Set([...(await ownedSchedules(client, taskQueue)), ...desired.map(({ id }) => id)])
  const listed: ListedSchedule[] = []
  for (const id of [...ids].sort()) {
    const present = await describeSchedule(client, id)
    const wanted = desired.find((schedule) => schedule.id === id)
    listed.push({
      id,
      present: present === undefined ? undefined : await presentSchedule(client, present),
      drift: driftOf(present, wanted, taskQueue),
    })
  }
  return listed
}

function driftOf(
  present: ScheduleDescription | undefined,
  wanted: DesiredSchedule | undefined,
  taskQueue: string,
): string[] {
  if (wanted === undefined) return ['no pipeline file asks for it; to remove it: npx millrace schedules apply']
  if (present === undefined)
    return [`the pipeline file asks for it; to make it: npx millrace schedules apply ${wanted.id}`]
  const fields = changedFields(present, wanted, taskQueue)
  if (fields.length === 0) return []
  const texts = fields.map(({ field, before, after }) => `${field} ${before} → ${after}`)
  return [`differs from the pipeline file: ${texts.join(', ')}; run: npx millrace schedules apply ${wanted.id}`]
}

async function presentSchedule(client: Client, description: ScheduleDescription): Promise<PresentSchedule> {
  const { spec, action, state, info } = description
  const request = action.args?.[0] as { target?: string } | undefined // as desired.ts writes it
  const recent = info.recentActions.toReversed().slice(0, RUNS_SHOWN)
  return {
    cron: cronText(spec),
    timeZone: spec.timezone ?? 'UTC',
    target: request?.target ?? 'default',
    paused: state.paused ? (state.note ?? 'by hand').replace(OUR_PAUSE, '') : undefined,
    next: info.nextActionTimes.slice(0, RUNS_SHOWN).map((time) => time.toISOString()),
    last: await Promise.all(
      recent.map(async ({ takenAt, action: { workflow } }) => ({
        at: takenAt.toISOString(),
        workflowId: workflow.workflowId,
        outcome: await outcomeOf(client, workflow.workflowId),
      })),
    ),
    skipped: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
  }
}

/** As the run itself says, else its status in Temporal. */
async function outcomeOf(client: Client, workflowId: string): Promise<string> {
  const key = defineSearchAttributeKey('Outcome', SearchAttributeType.KEYWORD)
  try {
    const { typedSearchAttributes, status } = await client.workflow.getHandle(workflowId).describe()
    const said = typedSearchAttributes.get(key)
    // A terminated one never said how it ended.
    return said === undefined || (said === 'running' && status.name !== 'RUNNING')
      ? status.name.toLowerCase().replaceAll('_', ' ')
      : said
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'no longer kept'
    throw error
  }
}
