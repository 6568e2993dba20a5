// The activity's side of the bars in Temporal's timeline: tells the workflow which nodes began, and ends their bars.
import { activityInfo, CompleteAsyncError, Context } from '@temporalio/activity'
import { ActivityNotFoundError, ApplicationFailure, type Client, type FullActivityId } from '@temporalio/client'
import { setTimeout as pause } from 'node:timers/promises'
import { isGood, type LedgerChange, type LedgerNode } from '../dbt/ledger.ts'
import {
  BAR_TYPES,
  BARS_FOR_FAILURES,
  MAX_BARS,
  type BarNode,
  type BarType,
  type NodesSignal,
} from '../pipeline/node-bars.ts'
import type { DbtProgress } from '../pipeline/report.ts'
import { formatDuration } from '../pipeline/duration.ts'

/** Bars as activities: what they stand for is done elsewhere. */
export const BAR_ACTIVITIES = Object.fromEntries(
  BAR_TYPES.map((type) => [
    type,
    async () => {
      throw new CompleteAsyncError()
    },
  ]),
) as unknown as Record<BarType, () => Promise<void>> // Object.fromEntries forgets the names of its keys

export interface NodeBars {
  /** To be told each change of the ledger. */
  change(change: NonNullable<LedgerChange>): void
  /** Sends what is left and ends every bar; takes at most some seconds and never throws. */
  finish(): Promise<void>
}

/** One signal a second at first, then fewer: a command of hours must not fill the history. */
const FIRST_PAUSE_MS = 1_000
const PAUSES_PER_DURATION = 60
const PAUSES_WITHOUT_NEWS = 10

const FINISH_WITHIN_MS = 5_000
/** A worker that has just started begins them within some seconds. */
const CLOSE_WITHIN_MS = 10_000
/** The same where its step is over: then it has begun, or never will. */
const LAST_CLOSE_WITHIN_MS = 2_000
const LOOK_EVERY_MS = 100
/** Begins a few moments after the workflow was told of it. */
const FIRST_RETRY_MS = 20
const RETRY_EVERY_MS = 100
const MAX_MESSAGE_CHARS = 500

/** For the dbt command whose activity this is; `attempt` numbers its attempts in the run, `progress` is asked when sent. */
export function openNodeBars(step: string, attempt: string, shown: boolean, progress: () => DbtProgress): NodeBars {
  const { client } = Context.current()
  const execution = workflowOf()
  const began: BarNode[] = []
  const ended: { readonly bar: BarNode; readonly node: LedgerNode }[] = []
  const open = new Map<string, { readonly bar: BarNode; readonly node: LedgerNode }>()
  const startedAtMs = performance.now()
  let count = 0
  const over = new AbortController()
  let news = true
  let lastSentMs = Number.NEGATIVE_INFINITY

  const openBar = (node: LedgerNode, limit: number): BarNode | undefined => {
    const type = barType(node)
    if (!shown || type === undefined || count >= limit) return undefined
    count++
    const bar = { activityId: `${step}/${attempt}/${node.uniqueId}`, type, name: node.name }
    began.push(bar)
    return bar
  }

  const send = async () => {
    lastSentMs = performance.now()
    news = false
    const signal: NodesSignal = { step, attempt, began: began.splice(0), progress: progress() }
    const closing = ended.splice(0)
    // Neither may harm the command: the bars are for people to look at.
    await client.workflow
      .getHandle(execution.workflowId, execution.runId)
      .signal('nodes', signal)
      .catch(() => undefined)
    await Promise.all(
      closing.map(({ bar, node }) => closeBar(client, { ...execution, activityId: bar.activityId }, node)),
    )
  }

  const sending = (async () => {
    while (!over.signal.aborted) {
      await pause(LOOK_EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined)
      if (over.signal.aborted) return
      const nowMs = performance.now()
      const pauseMs = Math.max(FIRST_PAUSE_MS, (nowMs - startedAtMs) / PAUSES_PER_DURATION)
      // Bars are never late; without any news only the clock has gone on. The last ones end while dbt still writes its files.
      const dueMs = began.length + ended.length > 0 ? FIRST_PAUSE_MS : news ? pauseMs : pauseMs * PAUSES_WITHOUT_NEWS
      if (nowMs - lastSentMs >= dueMs || (ended.length > 0 && open.size === 0 && isOver(progress()))) await send()
    }
  })()

  return {
    change({ kind, node }) {
      news = true
      if (kind === 'started') {
        const isTest = barType(node) === 'test'
        const bar = isTest ? undefined : openBar(node, MAX_BARS - BARS_FOR_FAILURES)
        if (bar !== undefined) open.set(node.uniqueId, { bar, node })
        return
      }
      const isSkipped = node.result?.status === 'skipped'
      const known = open.get(node.uniqueId)?.bar
      open.delete(node.uniqueId)
      const unsent = known === undefined ? -1 : began.indexOf(known)
      // dbt lets a skipped node begin, too; red, its bar would look like one that failed.
      if (isSkipped && unsent !== -1) {
        began.splice(unsent, 1)
        count--
        return
      }
      const bar = known ?? (isGood(node) || isSkipped ? undefined : openBar(node, MAX_BARS))
      if (bar !== undefined) ended.push({ bar, node })
    },
    async finish() {
      over.abort()
      news ||= open.size > 0
      ended.push(...open.values())
      open.clear()
      const finishing = sending.then(async () => (news ? await send() : undefined))
      await Promise.race([finishing, pause(FINISH_WITHIN_MS, undefined, { ref: false })])
    },
  }
}

function isOver({ done, failed, skipped, total }: DbtProgress): boolean {
  return done + failed + skipped === total
}

/**
 * Ends the bars that attempts of the step before this one left open, because their worker died, stopped or was taken for
 * dead: as its node ended, where that is known. Never throws; takes seconds where no worker has begun them yet.
 */
export async function endLeftBars(
  step: string,
  attempt: string,
  nodeOf: (uniqueId: string) => LedgerNode | undefined,
): Promise<void> {
  const { client } = Context.current()
  const execution = workflowOf()
  // They are for people to look at: where the server does not tell of them, they stay.
  const description = await client.workflow
    .getHandle(execution.workflowId, execution.runId)
    .describe()
    .catch(() => undefined)
  await Promise.all(
    (description?.raw.pendingActivities ?? []).map(async ({ activityId, activityType }) => {
      if (!activityId || !BAR_TYPES.some((type) => type === activityType?.name)) return
      const [, number, uniqueId = ''] = new RegExp(`^${step}/(\\d+\\.\\d+)/(.+)$`).exec(activityId) ?? []
      if (number === undefined || number === attempt) return
      await closeBar(client, { ...execution, activityId }, nodeOf(uniqueId))
    }),
  )
}

/** Ends bars whose step is over, by their ids; those that are ended or taken back already are no matter. Never throws. */
export async function endBars({ activityIds }: { readonly activityIds: readonly string[] }): Promise<void> {
  const { client } = Context.current()
  const execution = workflowOf()
  await Promise.all(
    activityIds.map((activityId) => closeBar(client, { ...execution, activityId }, undefined, LAST_CLOSE_WITHIN_MS)),
  )
}

/** A bar that has not begun yet is not found: it is asked for again for a while. */
async function closeBar(
  client: Client,
  bar: FullActivityId,
  node: LedgerNode | undefined,
  withinMs = CLOSE_WITHIN_MS,
): Promise<void> {
  const until = performance.now() + withinMs
  for (let waitMs = FIRST_RETRY_MS; performance.now() < until; waitMs = Math.min(2 * waitMs, RETRY_EVERY_MS)) {
    try {
      if (node !== undefined && isGood(node)) await client.activity.complete(bar, nodeResult(node))
      else await client.activity.fail(bar, badResult(node))
      return
    } catch (error) {
      if (!(error instanceof ActivityNotFoundError)) return
    }
    await pause(waitMs)
  }
}

/** What the timeline shows when a bar is clicked. */
function nodeResult({ result, attempt }: LedgerNode): Record<string, unknown> {
  if (result === undefined) return {}
  const { status, durationMs, rows, bytes, message } = result
  return {
    status,
    took: formatDuration(durationMs),
    ...(rows === null ? {} : { rows }),
    ...(bytes === null ? {} : { bytes }),
    ...(attempt > 1 ? { attempt } : {}),
    ...(message === '' ? {} : { message: message.slice(0, MAX_MESSAGE_CHARS) }),
  }
}

function badResult(node: LedgerNode | undefined): ApplicationFailure {
  const result = node?.result
  if (node === undefined) return nodeFailure('Interrupted', 'its worker was lost; it goes on in the next attempt')
  if (result === undefined) return nodeFailure('Interrupted', 'dbt ended before it did')
  return nodeFailure(result.status, result.message || result.status)
}

function nodeFailure(type: string, message: string): ApplicationFailure {
  const failure = ApplicationFailure.create({ type, message: message.slice(0, MAX_MESSAGE_CHARS), nonRetryable: true })
  failure.stack = ''
  return failure
}

function barType({ resourceType }: LedgerNode): BarType | undefined {
  if (resourceType === 'unit_test') return 'test'
  return BAR_TYPES.find((type) => type === resourceType)
}

function workflowOf(): { readonly workflowId: string; readonly runId: string } {
  const { workflowExecution } = activityInfo()
  if (workflowExecution === undefined) throw new Error('dbt runs as part of a workflow')
  return workflowExecution
}
