// `refresh_log:` of a pipeline file: the table that gets one row per run, and what its notes call the pipeline.
import { z } from 'zod'
import { identifier, nonEmptyText } from './fields.ts'
import type { Plan } from './plan.ts'

export const refreshLog = z
  .union(
    [
      identifier,
      z.strictObject({
        table: identifier,
        title: nonEmptyText
          .max(60)
          .optional()
          .describe("What the notes call the pipeline: `Phase 2 refresh - …`; else it is the pipeline's name"),
      }),
    ],
    'expected the name of a table, or { table: …, title: … }',
  )
  .describe("Table in the target's schema that gets one row per run")

/** Table and title as the plan has them. */
export function plannedRefreshLog(
  written: z.output<typeof refreshLog> | undefined,
): Pick<Plan, 'refreshLog' | 'refreshTitle'> {
  if (written === undefined) return {}
  if (typeof written === 'string') return { refreshLog: written }
  const { table, title } = written
  return { refreshLog: table, ...(title === undefined ? {} : { refreshTitle: title }) }
}
