// A schedule of a pipeline file (zod).
import { z } from 'zod'
import { cronProblem } from './cron.ts'
import { duration, identifier, name, nonEmptyText } from './fields.ts'
import { clockChangeProblem, isTimeZone } from './time-zone.ts'

export const schedule = z
  .strictObject({
    cron: z
      .string()
      .superRefine((text, context) => {
        const message = cronProblem(text)
        if (message !== undefined) context.addIssue({ code: 'custom', message })
      })
      .describe("Five fields, in the schedule's time zone"),
    target: nonEmptyText,
    catchup: duration.default('1h').describe('How late a missed run may still start'),
    params: z.record(identifier, z.string()).optional(),
    paused: z.boolean().default(false),
    time_zone: z.string().refine(isTimeZone, 'expected a time zone such as UTC or Europe/Paris').default('UTC'),
    clock_change: z
      .literal('meant')
      .optional()
      .describe('A time of day that a clock change skips or doubles is refused unless this says that it is meant'),
    group: name.optional().describe('What `schedules apply` can name beside pipelines: main, phase2, …'),
  })
  .superRefine(({ cron, time_zone, clock_change }, context) => {
    if (clock_change === 'meant') return
    const problem = clockChangeProblem(cron, time_zone, Date.now())
    if (problem === undefined) return
    context.addIssue({
      code: 'custom',
      path: ['cron'],
      message: `${problem}: the run would ${problem.includes('twice') ? 'come twice' : 'be left out'} that day; choose another time, UTC, or say \`clock_change: meant\``,
    })
  })
