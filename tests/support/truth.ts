// What the sample files hold, from the generator's own knowledge: no parser of ours is involved.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const truthSchema = z.object({
  files: z.record(z.string(), z.looseObject({ records: z.int(), broken: z.array(z.object({ record: z.int() })) })),
})

const truth = truthSchema.parse(
  JSON.parse(readFileSync(new URL('../fixtures/sample-truth.json', import.meta.url), 'utf8')),
)

export interface FileTruth {
  readonly records: number
  readonly good: number
  /** Record numbers, the first behind the header is 1. */
  readonly brokenRecords: readonly number[]
}

export function truthOf(table: 'viewing_logs' | 'social_interactions', date: string): FileTruth {
  const file = truth.files[`data/inbox/${table}-${date}.csv`]
  if (file === undefined) throw new Error(`no truth about ${table} of ${date}`)
  const brokenRecords = file.broken.map(({ record }) => record)
  return { records: file.records, good: file.records - brokenRecords.length, brokenRecords }
}
