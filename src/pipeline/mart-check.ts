// What a pipeline file may ask of a mart (zod).
import { z } from 'zod'
import { durationMs } from './duration.ts'
import { count, duration, identifier, share } from './fields.ts'

const NEEDS_ONE = 'expected `warn`, `fail` or both'

const maxAge = z
  .strictObject({
    column: identifier.describe('A date or timestamp; times without an offset are UTC, a date is its midnight'),
    warn: duration.optional(),
    fail: duration.optional(),
  })
  .superRefine(({ warn, fail }, context) => {
    if (warn === undefined && fail === undefined) context.addIssue({ code: 'custom', message: NEEDS_ONE })
    if (warn !== undefined && fail !== undefined && durationMs(warn) >= durationMs(fail)) {
      context.addIssue({ code: 'custom', path: ['warn'], message: `${warn} is not below \`fail\`, ${fail}` })
    }
  })
  .describe("How old the column's newest value may be at the run's time")

const maxDrop = z
  .strictObject({ warn: share.optional(), fail: share.optional() })
  .superRefine(({ warn, fail }, context) => {
    if (warn === undefined && fail === undefined) context.addIssue({ code: 'custom', message: NEEDS_ONE })
    if (warn !== undefined && fail !== undefined && warn >= fail) {
      context.addIssue({ code: 'custom', path: ['warn'], message: `${warn} is not below \`fail\`, ${fail}` })
    }
  })
  .describe('The share of rows that may be missing against the last good run of this pipeline and target')

export const martCheck = z
  .strictObject({
    mart: identifier.describe('Name of a dbt model, seed or snapshot'),
    key: z.array(identifier).min(1).describe('Columns that identify a row'),
    unique: z.boolean().default(false).describe('No two rows may share a key'),
    max_null_share: share.default(0).describe('Largest share of NULLs in each key column'),
    rows: z
      .strictObject({ min: count.optional(), max: count.optional() })
      .refine(({ min, max }) => min === undefined || max === undefined || min <= max, '`min` is above `max`')
      .default({ min: 1 })
      .describe('Bounds of the row count'),
    max_age: maxAge.optional(),
    max_drop: maxDrop.optional(),
    on_empty: z
      .enum(['fail', 'warn'])
      .optional()
      .describe('What a mart without rows is, whatever its other checks say; without it `rows` decides'),
  })
  .describe('What a mart must fulfil')
