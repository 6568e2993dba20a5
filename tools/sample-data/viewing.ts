// The viewings of one day: people sit down for a session, mostly in the evening of their own clock, and watch one thing after another.
import { nextEpisode, popularContent, type Content } from './catalogue.ts'
import { people, type Device, type Person } from './people.ts'
import { between, chance, createRandom, hexId, pick, weightedPicker, type Random } from './random.ts'
import { dayMs, minuteMs, secondMs, startOf } from './time.ts'

export type Viewing = {
  readonly eventId: string
  readonly sessionId: string
  readonly person: Person
  readonly content: Content
  readonly startedAt: number
  readonly watchedSeconds: number
  readonly completed: boolean | null // null: a live stream has no end to reach
  readonly bitrateMbps: number | null // null: watched offline, from a download
  readonly device: Device
  readonly campaign: string | null // '' means: no campaign; null: not reported
  readonly arrivedAt: number // when the platform heard of it; its day names the export that holds it
}

type Session = Pick<Viewing, 'sessionId' | 'person' | 'device' | 'campaign'> & {
  readonly offlineMs: number // until the device is online again and the platform hears of the viewing; 0: it is online
}

// One weight per hour of the person's own clock: quiet nights, a bump at noon, a peak at nine in the evening.
const hourWeights = [5, 3, 2, 1, 1, 1, 2, 4, 5, 5, 6, 8, 12, 11, 8, 8, 9, 12, 18, 26, 36, 40, 30, 14]
const pickLocalHour = weightedPicker(
  hourWeights.map((weight, hour) => ({ weight, hour })),
  ({ weight }) => weight,
)
const campaigns = ['autumn-2026', 'newsletter', 'partner/télé', 'win-back, wave 2']
const longestLiveSeconds = 2 * 60 * 60

export function viewingsOn(date: string): Viewing[] {
  const random = createRandom(`viewings ${date}`)
  return people
    .filter(({ activeShare }) => chance(random, activeShare))
    .flatMap((person) =>
      sessionStarts(random, date, person).flatMap((start) => watchSession(random, date, person, start)),
    )
}

function sessionStarts(random: Random, date: string, person: Person): number[] {
  const count = 1 + (chance(random, 0.35) ? 1 : 0) + (chance(random, 0.1) ? 1 : 0)
  return Array.from({ length: count }, () => sessionStart(random, date, person))
}

/** A moment of the UTC day, at an hour that is likely on the person's own clock. */
function sessionStart(random: Random, date: string, person: Person): number {
  const localMinutes = pickLocalHour(random).hour * 60 + between(random, 0, 59)
  const utcMinutes = (localMinutes - person.utcOffsetMinutes + 24 * 60) % (24 * 60)
  return startOf(date) + utcMinutes * minuteMs + between(random, 0, 59) * secondMs
}

function watchSession(random: Random, date: string, person: Person, start: number): Viewing[] {
  const session = openSession(random, person)
  const endOfDay = startOf(date) + dayMs
  const viewings: Viewing[] = []
  let content: Content | undefined = choose(random, session)
  let startedAt = start
  while (content !== undefined && startedAt < endOfDay) {
    const viewing = watch(random, session, content, startedAt)
    viewings.push(viewing)
    startedAt += (viewing.watchedSeconds + between(random, 4, 240)) * secondMs
    content = whatNext(random, session, viewing)
  }
  return viewings
}

/** Whatever is popular; without a connection it cannot be a live stream. */
function choose(random: Random, session: Session): Content {
  const content = popularContent(random)
  return session.offlineMs > 0 && content.type === 'live' ? choose(random, session) : content
}

function openSession(random: Random, person: Person): Session {
  const device = pick(random, person.devices)
  const portable = device === 'mobile' || device === 'tablet'
  return {
    sessionId: hexId(random, 10),
    person,
    device,
    campaign: person.reportsCampaigns ? (chance(random, 0.15) ? pick(random, campaigns) : '') : null,
    offlineMs: portable && chance(random, 0.06) ? between(random, 60, 36 * 60) * minuteMs : 0,
  }
}

function watch(random: Random, session: Session, content: Content, startedAt: number): Viewing {
  return {
    eventId: hexId(random, 12),
    sessionId: session.sessionId,
    person: session.person,
    content,
    startedAt,
    ...watchedPart(random, content),
    bitrateMbps: session.offlineMs > 0 ? null : between(random, 900, 18_000) / 1_000,
    device: session.device,
    campaign: session.campaign,
    arrivedAt: startedAt + session.offlineMs,
  }
}

/** To the end (from 92 %: nobody watches the credits), a glance, or somewhere between. */
function watchedPart(random: Random, content: Content): Pick<Viewing, 'watchedSeconds' | 'completed'> {
  const { durationSeconds } = content
  if (durationSeconds === null) return { watchedSeconds: between(random, 60, longestLiveSeconds), completed: null }
  const fate = random()
  const from = Math.ceil(durationSeconds * 0.92)
  if (fate < 0.58) return { watchedSeconds: between(random, from, durationSeconds), completed: true }
  if (fate < 0.72) return { watchedSeconds: between(random, 0, 60), completed: false }
  return { watchedSeconds: between(random, 60, from - 1), completed: false }
}

function whatNext(random: Random, session: Session, last: Viewing): Content | undefined {
  const next = last.completed === true ? nextEpisode(last.content) : undefined
  if (next !== undefined && chance(random, 0.75)) return next
  return chance(random, last.completed === true ? 0.25 : 0.55) ? choose(random, session) : undefined
}
