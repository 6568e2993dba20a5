// What a run's history says of the bars of its dbt nodes.
import type { WorkflowHandle } from '@temporalio/client'
import { BAR_TYPES } from '../../src/pipeline/node-bars.ts'

export interface Bar {
  readonly activityId: string
  readonly type: string
  /** Undefined: neither ended nor failed. */
  readonly end: 'completed' | 'failed' | 'timed out' | undefined
  /** Type of its failure: dbt's word for the node's state. */
  readonly failure?: string
}

/** The bars in the order in which they began, and why the server or a worker refused a task of the workflow. */
export async function barsOf(handle: WorkflowHandle): Promise<{ bars: Bar[]; refusedTasks: string[] }> {
  const { events } = await handle.fetchHistory()
  const bars = new Map<string, Bar>()
  const refusedTasks: string[] = []
  const end = (scheduledEventId: unknown, change: Omit<Bar, 'activityId' | 'type'>) => {
    const bar = bars.get(String(scheduledEventId))
    if (bar !== undefined) bars.set(String(scheduledEventId), { ...bar, ...change })
  }
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes
    const completed = event.activityTaskCompletedEventAttributes
    const failed = event.activityTaskFailedEventAttributes
    const timedOut = event.activityTaskTimedOutEventAttributes
    const type = scheduled?.activityType?.name ?? ''
    if (scheduled && BAR_TYPES.some((bar) => bar === type)) {
      bars.set(String(event.eventId), { activityId: scheduled.activityId ?? '', type, end: undefined })
    }
    if (completed) end(completed.scheduledEventId, { end: 'completed' })
    if (failed) {
      end(failed.scheduledEventId, { end: 'failed', failure: failed.failure?.applicationFailureInfo?.type ?? '' })
    }
    if (timedOut) end(timedOut.scheduledEventId, { end: 'timed out' })
    const refused = event.workflowTaskFailedEventAttributes
    if (refused) refusedTasks.push(`${String(refused.cause)}: ${refused.failure?.message ?? ''}`)
  }
  return { bars: [...bars.values()], refusedTasks }
}

/** All that a history holds, payloads decoded: to look for what must not stand there. */
export async function historyText(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<string> {
  const text = JSON.stringify(await handle.fetchHistory())
  return text.replaceAll(/"data":"([\w+/=]*)"/g, (_all, data: string) => Buffer.from(data, 'base64').toString('utf8'))
}
