// What people do around a viewing: like it and change their mind, rate, comment, answer, share, and note things for later.
import { popularContent, type Content } from './catalogue.ts'
import { people, type Person } from './people.ts'
import { between, chance, createRandom, hexId, pick, weightedPicker, type Random } from './random.ts'
import { dayMs, minuteMs, secondMs, startOf } from './time.ts'
import type { Viewing } from './viewing.ts'

type InteractionType = 'like' | 'unlike' | 'rate' | 'comment' | 'share' | 'watchlist'

export type Interaction = {
  readonly interactionId: string
  readonly person: Person
  readonly content: Content
  readonly type: InteractionType
  readonly occurredAt: number
  readonly rating: number | null // half stars, 0.5 to 5.0, on a rate
  readonly comment: string | null // '' means: a moderator removed the text; null: not a comment
  readonly replyToId: string | null
  readonly shareChannel: string | null
  readonly arrivedAt: number
}

const comments: readonly string[] = [
  'Loved it.',
  'Better than the first part, honestly',
  'The ending, though…',
  'Superbe, du début à la fin !',
  'Who else is here after the "Mayday" episode?',
  'Line one\nline two, and a comma',
  '最高でした',
  '정말 좋았어요',
  'Très beau, un peu long, "contemplatif" comme on dit',
  '😭😭😭',
  'No subtitles in Norwegian?\n\nPlease add them.',
  'meh',
  'N/A',
  'Ich habe geweint, und zwar zweimal',
  'Ótimo! Assisti duas vezes; chorei nas duas',
  'The sound is off by a second on my TV, is it just me?',
  '10/10, would watch again',
  '"Quiet" is the right word',
  'Прекрасно',
  ' (spoilers) ',
  '¿Alguien sabe cuándo sale la próxima?',
  '👏🏽👏🏽',
]
const replies: readonly string[] = ['Same here!', 'Not at all, sorry', 'haha, "twice"', 'Moi aussi', '+1', '同感です']
const shareChannels = ['link', 'message', 'mail', 'story'] as const
const halfStars = weightedPicker([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (half) => half * half)

/** All interactions that belong to the day's viewings, and some that belong to none. */
export function interactionsOn(date: string, viewings: readonly Viewing[]): Interaction[] {
  const random = createRandom(`interactions ${date}`)
  const afterViewings = viewings.flatMap((viewing) => reactionsTo(random, viewing))
  const browsing = people.filter(() => chance(random, 0.08)).map((person) => addToWatchlist(random, date, person))
  const first = [...afterViewings, ...browsing]
  return [...first, ...repliesTo(random, first)]
}

function reactionsTo(random: Random, viewing: Viewing): Interaction[] {
  const engaged = viewing.completed === true ? 1 : 0.35
  const likes = chance(random, 0.25 * engaged) ? likeAndPerhapsNot(random, viewing) : []
  const rates = chance(random, 0.1 * engaged) ? rateAndPerhapsAgain(random, viewing) : []
  return [
    ...likes,
    ...rates,
    ...(chance(random, 0.12 * engaged) ? [comment(random, viewing)] : []),
    ...(chance(random, 0.07 * engaged) ? [share(random, viewing)] : []),
  ]
}

function likeAndPerhapsNot(random: Random, viewing: Viewing): Interaction[] {
  const like = react(random, viewing, { type: 'like' })
  if (!chance(random, 0.07)) return [like]
  const unlike = after(random, like, { type: 'unlike' })
  return chance(random, 0.3) ? [like, unlike, after(random, unlike, { type: 'like' })] : [like, unlike]
}

function rateAndPerhapsAgain(random: Random, viewing: Viewing): Interaction[] {
  const rate = react(random, viewing, { type: 'rate', rating: halfStars(random) / 2 })
  return chance(random, 0.1) ? [rate, after(random, rate, { type: 'rate', rating: halfStars(random) / 2 })] : [rate]
}

function comment(random: Random, viewing: Viewing): Interaction {
  return react(random, viewing, { type: 'comment', comment: chance(random, 0.04) ? '' : pick(random, comments) })
}

function share(random: Random, viewing: Viewing): Interaction {
  const shareChannel = chance(random, 0.1) ? null : pick(random, shareChannels)
  return react(random, viewing, { type: 'share', shareChannel })
}

function addToWatchlist(random: Random, date: string, person: Person): Interaction {
  const occurredAt = startOf(date) + between(random, 0, dayMs - 1)
  return interaction(random, person, popularContent(random), occurredAt, { type: 'watchlist' })
}

function repliesTo(random: Random, interactions: readonly Interaction[]): Interaction[] {
  return interactions
    .filter(({ comment }) => comment !== null && comment !== '' && chance(random, 0.25))
    .map((parent) => {
      const occurredAt = parent.occurredAt + between(random, 1, 180) * minuteMs
      const answer = { type: 'comment', comment: pick(random, replies), replyToId: parent.interactionId } as const
      return interaction(random, pick(random, people), parent.content, occurredAt, answer)
    })
}

type What = Pick<Interaction, 'type'> & Partial<Pick<Interaction, 'rating' | 'comment' | 'replyToId' | 'shareChannel'>>

/** A few minutes after the viewing, and heard of no earlier than the viewing itself. */
function react(random: Random, viewing: Viewing, what: What): Interaction {
  const occurredAt = viewing.startedAt + viewing.watchedSeconds * secondMs + between(random, 1_000, 15 * minuteMs)
  const created = interaction(random, viewing.person, viewing.content, occurredAt, what)
  return { ...created, arrivedAt: Math.max(occurredAt, viewing.arrivedAt) }
}

/** The same person once more on the same content, one second to twenty minutes later. */
function after(random: Random, earlier: Interaction, what: What): Interaction {
  const laterMs = between(random, secondMs, 20 * minuteMs)
  const created = interaction(random, earlier.person, earlier.content, earlier.occurredAt + laterMs, what)
  return { ...created, arrivedAt: earlier.arrivedAt + laterMs }
}

function interaction(random: Random, person: Person, content: Content, occurredAt: number, what: What): Interaction {
  return {
    interactionId: hexId(random, 12),
    person,
    content,
    occurredAt,
    rating: null,
    comment: null,
    replyToId: null,
    shareChannel: null,
    arrivedAt: occurredAt,
    ...what,
  }
}
