// The `alerts` branch of a pipeline file: whom to tell, and of what.
import { z } from 'zod'
import { ALERT_KINDS, type PlannedAlerts } from './alert-state.ts'
import { DURATION_PATTERN, durationMs } from './duration.ts'
import { duration } from './fields.ts'

const channel = z
  .string()
  .regex(/^(#[\p{Ll}\p{N}_-]{1,80}|[CGD][A-Z0-9]{8,20})$/u, 'expected a channel such as "#data-alerts", or its ID')

export const alerts = z
  .strictObject({
    on: z
      .array(z.enum(ALERT_KINDS))
      .min(1)
      .describe(
        'failed, warned: when runs begin to; recovered: when they stop; slow: while one runs longer than slow_after; ' +
          'stale: no success for two intervals of the schedule, or for stale_after',
      ),
    email: z.array(z.email('expected an e-mail address')).min(1).max(20).optional(),
    slack: channel.optional().describe('A webhook writes into its own channel, whatever stands here'),
    slow_after: duration.optional().describe('How long a run may take before it is called slow'),
    stale_after: duration.optional().describe('How long without a success, instead of two intervals of the schedule'),
    remind: duration.default('1d').describe('How often one is told that it is still so'),
  })
  .describe('Who is told when runs fail, recover, take long or do not come')

export type AlertsDefinition = z.output<typeof alerts>

/** How long a message is tried, and the first pause; doubled each time, at most ten minutes. */
const GIVE_UP_MS = 6 * 3_600_000
const RETRY_MS = 5_000

/** As runs, their alert workflow and the watch carry it. */
export function planAlerts(written: AlertsDefinition | undefined): PlannedAlerts | undefined {
  if (written === undefined) return undefined
  const ms = (text: string | undefined) => (text === undefined ? null : durationMs(text))
  return {
    on: written.on,
    email: written.email ?? [],
    slack: written.slack ?? null,
    slowAfterMs: ms(written.slow_after),
    staleAfterMs: ms(written.stale_after),
    remindMs: durationMs(written.remind),
    giveUpMs: GIVE_UP_MS,
    retryMs: RETRY_MS,
  }
}

const parts = z
  .object({
    alerts: z.object({
      on: z.array(z.string()).catch([]),
      email: z.unknown().optional(),
      slack: z.unknown().optional(),
      slow_after: z.unknown().optional(),
      stale_after: z.unknown().optional(),
      remind: z.unknown().optional(),
    }),
    schedules: z.record(z.string(), z.unknown()).catch({}),
  })
  .nullable()
  .catch(null)

/** What does not agree with each other, each with the path of the node to blame. Takes the file as YAML reads it. */
export function alertProblems(content: unknown): { path: PropertyKey[]; message: string }[] {
  const read = parts.parse(content)
  if (read === null) return []
  const { on, email, slack, slow_after, stale_after, remind } = read.alerts
  const found: { path: PropertyKey[]; message: string }[] = []
  const say = (path: PropertyKey[], message: string) => found.push({ path: ['alerts', ...path], message })
  const item = (kind: string) => ['on', on.indexOf(kind)]
  const has = (kind: string) => on.includes(kind)

  if (email === undefined && slack === undefined)
    say([], 'tell whom: add `email: [name@example.org]` or `slack: "#channel"`')
  on.forEach((kind, index) => {
    if (on.indexOf(kind) !== index) say(['on', index], `'${kind}' stands there twice`)
  })
  if (has('slow') && slow_after === undefined) say(item('slow'), '`slow` needs `slow_after: 12m`')
  if (!has('slow') && slow_after !== undefined)
    say(['slow_after'], 'only `on: [slow]` looks at it; add that or leave it out')
  if (has('stale') && stale_after === undefined && Object.keys(read.schedules).length === 0) {
    say(item('stale'), '`stale` needs `schedules`, or `stale_after: 26h`')
  }
  if (!has('stale') && stale_after !== undefined)
    say(['stale_after'], 'only `on: [stale]` looks at it; add that or leave it out')
  if (has('recovered') && on.every((kind) => kind === 'recovered')) {
    say(item('recovered'), 'nobody is told of what it would recover from; add `failed`, `warned`, `slow` or `stale`')
  }
  for (const [key, text] of Object.entries({ slow_after, stale_after, remind })) {
    if (
      typeof text === 'string' &&
      DURATION_PATTERN.test(text) &&
      durationMs(text) < LEAST_MS[key as keyof typeof LEAST_MS]
    ) {
      // the keys are the same
      say([key], `'${text}' is too short; at least ${LEAST_MS[key as keyof typeof LEAST_MS] / 1000} s`)
    }
  }
  return found
}

/** A reminder each second would be a storm; staleness is looked at every ten minutes. */
const LEAST_MS = { slow_after: 1_000, stale_after: 600_000, remind: 3_600_000 } as const
