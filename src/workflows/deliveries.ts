// Brings messages to their channels: one after the other on each, for as long as it takes, and tells the other channel what could not be.
import { log, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import type { AlertMessage, MessageKind, PlannedAlerts } from '../pipeline/alert-state.ts'
import { describeFailure } from '../pipeline/failure.ts'

export type Channel = 'email' | 'slack'

/** What became of a message on a channel. */
export interface Delivery {
  readonly kind: MessageKind
  readonly channel: Channel
  readonly outcome: 'delivered' | 'refused' | 'given up'
  /** Where it went, or why it did not. */
  readonly detail: string
  readonly atMs: number
}

export interface Deliveries {
  /** Newest first. */
  readonly done: readonly Delivery[]
  pending(): number
  send(message: AlertMessage, settings: PlannedAlerts): void
}

const MOST_DONE = 20

export function openDeliveries(before: readonly Delivery[], onDone: () => void): Deliveries {
  const done = [...before]
  const queues = new Map<Channel, Promise<void>>()
  let pending = 0

  const enqueue = (channel: Channel, message: AlertMessage, settings: PlannedAlerts) => {
    pending++
    const deliver = async () => {
      const delivery = await deliverTo(channel, message, settings)
      const wasBroken = (done.find((earlier) => earlier.channel === channel)?.outcome ?? 'delivered') !== 'delivered'
      done.unshift(delivery)
      done.splice(MOST_DONE)
      // Once for each time that a channel breaks; what tells of it is not told of.
      if (delivery.outcome !== 'delivered' && !wasBroken && message.kind !== 'undelivered' && message.kind !== 'test') {
        tellOthers(channel, message, delivery, settings)
      }
      pending--
      onDone()
    }
    queues.set(channel, (queues.get(channel) ?? Promise.resolve()).then(deliver))
  }

  const tellOthers = (failed: Channel, message: AlertMessage, { detail }: Delivery, settings: PlannedAlerts) => {
    log.warn('an alert was not delivered', { channel: failed, kind: message.kind, detail })
    const note = `the message '${message.kind}' could not be delivered by ${NAMES[failed]}: ${detail}`
    for (const channel of channelsOf(settings)) {
      if (channel === failed) continue
      enqueue(
        channel,
        { ...message, id: `${message.id}/not-by-${failed}`, kind: 'undelivered', atMs: Date.now(), note },
        settings,
      )
    }
  }

  return {
    done,
    pending: () => pending,
    send(message, settings) {
      for (const channel of channelsOf(settings)) enqueue(channel, message, settings)
    },
  }
}

const NAMES: Record<Channel, string> = { email: 'e-mail', slack: 'Slack' }

function channelsOf({ email, slack }: PlannedAlerts): Channel[] {
  return [...(email.length > 0 ? ['email' as const] : []), ...(slack === null ? [] : ['slack' as const])]
}

/** Never rejects. Temporal tries it again: a try leaves nothing in the history, whether there are two or two hundred. */
async function deliverTo(channel: Channel, message: AlertMessage, settings: PlannedAlerts): Promise<Delivery> {
  const { kind, atMs } = message
  const leftMs = atMs + settings.giveUpMs - Date.now()
  const ended = (outcome: Delivery['outcome'], detail: string): Delivery => ({
    kind,
    channel,
    outcome,
    detail,
    atMs: Date.now(),
  })
  if (leftMs <= 0) return ended('given up', `those before it took ${settings.giveUpMs / 1000} s`)
  const { sendEmail, sendSlack } = proxyActivities<Activities>({
    startToCloseTimeout: '2m',
    scheduleToCloseTimeout: leftMs,
    retry: { initialInterval: settings.retryMs, backoffCoefficient: 2, maximumInterval: '10m' },
    summary: `${kind} → ${channel}`,
  })
  try {
    switch (channel) {
      case 'email': {
        const { delivered, refused } = await sendEmail({ message, to: settings.email })
        if (refused.length > 0)
          return ended('refused', `the mail server refused ${refused.join(', ')}; ${delivered.join(', ')} got it`)
        return ended('delivered', delivered.join(', '))
      }
      case 'slack': {
        const { to } = await sendSlack({ message, channel: settings.slack ?? '' })
        return ended('delivered', to)
      }
    }
  } catch (error) {
    const { type, message: why } = describeFailure(error)
    return ended(type === 'AlertRefused' ? 'refused' : 'given up', why)
  }
}
