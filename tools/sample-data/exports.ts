// The two exports of the sample platform: their columns, in the file's order, how each is written, and which few records are damaged.
import type { Field } from './csv.ts'
import type { Damage } from './damage.ts'
import type { Interaction } from './social.ts'
import { dateOf, localSeconds, utcMilliseconds, utcSeconds } from './time.ts'
import type { Viewing } from './viewing.ts'

/** Of the committed files. */
export const exportDates = ['2026-11-17', '2026-11-18', '2026-11-19'] as const

export type Export<Item> = {
  readonly name: string
  readonly columns: Readonly<Record<string, (item: Item, position: number) => Field>>
  readonly happenedAt: (item: Item) => number
  /** By date; the files of other days are whole. */
  readonly damage: Readonly<Record<string, readonly Damage[]>>
}

export const viewingLogs: Export<Viewing> = {
  name: 'viewing_logs',
  columns: {
    event_id: ({ eventId }) => eventId,
    user_id: ({ person }) => person.userId,
    session_id: ({ sessionId }) => sessionId,
    content_id: ({ content }) => content.contentId,
    content_title: ({ content }) => content.title,
    series_title: ({ content }) => content.seriesTitle,
    content_type: ({ content }) => content.type,
    started_at: startedAt,
    viewed_on: ({ startedAt, person }) => dateOf(startedAt, person.utcOffsetMinutes),
    watched_seconds: ({ watchedSeconds }) => String(watchedSeconds),
    content_duration_seconds: ({ content }) => content.durationSeconds?.toString() ?? null,
    average_bitrate_mbps: ({ bitrateMbps }) => bitrateMbps?.toFixed(3) ?? null,
    device: ({ device }) => device,
    country: ({ person }) => person.country,
    campaign: ({ campaign }) => campaign,
    completed: ({ completed }) => completed?.toString() ?? null,
  },
  happenedAt: ({ startedAt }) => startedAt,
  damage: {
    '2026-11-17': [
      { kind: 'too-few-fields', keep: 9 },
      { kind: 'not-an-integer', column: 'watched_seconds', text: '12.5' },
      { kind: 'bare-quote', column: 'content_title', text: 'Vinyl: the 12" Years' },
    ],
    '2026-11-18': [
      { kind: 'too-many-fields', column: 'content_title', text: 'Midnight, or Thereabouts' },
      { kind: 'impossible-timestamp', column: 'started_at', text: '2026-02-30T20:15:00Z' },
      { kind: 'not-an-integer', column: 'content_duration_seconds', text: 'n/a' },
    ],
    '2026-11-19': [
      { kind: 'too-few-fields', keep: 2 },
      { kind: 'impossible-timestamp', column: 'started_at', text: '2026-11-18T24:61:00+01:00' },
      { kind: 'not-an-integer', column: 'watched_seconds', text: '1 204' },
      { kind: 'bare-quote', column: 'campaign', text: 'autumn "2026"' },
    ],
  },
}

/** Television sets and consoles report their wall clock with its offset, the others report UTC. */
function startedAt({ startedAt, device, person }: Viewing): string {
  const reportsWallClock = device === 'tv' || device === 'console'
  return reportsWallClock ? localSeconds(startedAt, person.utcOffsetMinutes) : utcSeconds(startedAt)
}

// Positions in the platform's event log start beyond 2^53: a reader that holds them as doubles makes some of them equal.
const firstLogPosition = 2n ** 53n + 1n

export const socialInteractions: Export<Interaction> = {
  name: 'social_interactions',
  columns: {
    interaction_id: ({ interactionId }) => interactionId,
    log_position: (_, position) => String(firstLogPosition + BigInt(position)),
    user_id: ({ person }) => person.userId,
    content_id: ({ content }) => content.contentId,
    interaction_type: ({ type }) => type,
    occurred_at: ({ occurredAt }) => utcMilliseconds(occurredAt),
    rating: ({ rating }) => rating?.toFixed(1) ?? null,
    comment_text: ({ comment }) => comment,
    reply_to_id: ({ replyToId }) => replyToId,
    share_channel: ({ shareChannel }) => shareChannel,
  },
  happenedAt: ({ occurredAt }) => occurredAt,
  damage: {
    '2026-11-17': [
      { kind: 'too-few-fields', keep: 6 },
      { kind: 'bare-quote', column: 'comment_text', text: 'bought a 55" TV for this' },
    ],
    '2026-11-18': [],
    '2026-11-19': [
      { kind: 'not-a-number', column: 'rating', text: '"4,5"' },
      { kind: 'impossible-timestamp', column: 'occurred_at', text: '2026-13-01T10:00:00.000Z' },
    ],
  },
}
