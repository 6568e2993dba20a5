// What a pipeline file may say (zod), as written. load.ts turns a file into this; schema/pipeline.schema.json is made from it.
import { z } from 'zod'
import { DURATION_PATTERN } from './duration.ts'
import { isIdentifier, parseTableName } from './identifier.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and dashes, starting with a letter')
const identifier = z.string().refine(isIdentifier, 'expected a name of lower-case letters, digits and _')
const duration = z.string().regex(DURATION_PATTERN, 'expected a duration such as 30s, 10m, 6h or 1d')
const share = z.number().min(0).max(1)
const count = z.int().min(0)
const nonEmptyText = z.string().min(1)

const param = z
  .strictObject({
    type: z.enum(['date', 'string', 'int']),
    default: z
      .union([z.string(), z.int()], 'expected a text or a whole number')
      .optional()
      .describe('date: yesterday, today or YYYY-MM-DD'),
  })
  .describe('A value that a run is started with, used as {name}')

const column = z.strictObject({
  name: identifier,
  type: nonEmptyText.describe('string, int, float, numeric(p,s), boolean, date, timestamp, time or json'),
})

const ingestEntry = z
  .strictObject({
    name: name.optional().describe('Needed where several entries load into one table: part of what a load replaces'),
    into: z
      .string()
      .refine((text) => parseTableName(text) !== undefined, 'expected schema.table in lower-case letters, digits and _')
      .describe('The raw table, a source of the dbt project'),
    files: nonEmptyText.describe('Path of the file below the workspace, with {params}'),
    mode: z
      .enum(['replace'])
      .default('replace')
      .describe("replace: this load takes the place of its batch's earlier one"),
    rejects: z
      .strictObject({ max_share: share.default(0).describe('Largest share of records that may be rejected') })
      .default({ max_share: 0 }),
    columns: z.array(column).min(1).optional().describe("The contract, where the dbt source's columns are not it"),
  })
  .describe('What one load puts into one raw table')

const dbtStep = z
  .strictObject({
    command: z.enum(['run', 'test']),
    select: z.array(nonEmptyText).min(1).optional().describe('dbt selectors; several mean their union'),
    exclude: z.array(nonEmptyText).min(1).optional(),
    retries: z.int().min(0).max(20).default(0).describe('How often a failure that a retry can help is tried again'),
    retry_delay: duration.default('30s'),
    timeout: duration.default('30m').describe('Of one attempt'),
  })
  .describe('One dbt command')

const martCheck = z
  .strictObject({
    mart: identifier.describe('Name of a dbt model, seed or snapshot'),
    key: z.array(identifier).min(1).describe('Columns that identify a row'),
    unique: z.boolean().default(false).describe('No two rows may share a key'),
    max_null_share: share.default(0).describe('Largest share of NULLs in each key column'),
    rows: z
      .strictObject({ min: count.optional(), max: count.optional() })
      .default({ min: 1 })
      .describe('Bounds of the row count'),
  })
  .describe('What a mart must fulfil')

const STEP_KINDS = ['ingest', 'dbt', 'validate'] as const

const step = z
  .strictObject({
    name: name.optional().describe('How the step is called in reports and by --only and --from'),
    ingest: z.array(ingestEntry).min(1).optional(),
    dbt: dbtStep.optional(),
    validate: z.array(martCheck).min(1).optional(),
    on_failure: z.enum(['fail', 'warn']).default('fail'),
  })
  .refine((value) => STEP_KINDS.filter((kind) => value[kind] !== undefined).length === 1, {
    message: `expected exactly one of ${STEP_KINDS.join(', ')}`,
  })
  .meta({ oneOf: STEP_KINDS.map((kind) => ({ required: [kind] })) })

const schedule = z.strictObject({
  cron: z
    .string()
    .regex(/^\S+( \S+){4}$/, 'expected a cron expression of five fields')
    .describe('In UTC'),
  target: nonEmptyText,
  catchup: duration.default('1h').describe('How late a missed run may still start'),
  params: z.record(identifier, z.string()).optional(),
  paused: z.boolean().default(false),
})

export const pipelineSchema = z
  .strictObject({
    name: name.describe("The workflow type in Temporal's UI"),
    description: z.string().max(200).default(''),
    dbt: z.strictObject({
      project_dir: nonEmptyText.describe('Folder of the dbt project; its profiles.yml target is the warehouse'),
      profiles_dir: nonEmptyText.optional().describe('Where profiles.yml is (default: the project, then ~/.dbt)'),
    }),
    params: z.record(identifier, param).default({}),
    steps: z.array(step).min(1),
    refresh_log: identifier.optional().describe("Table in the target's schema that gets one row per run"),
    timeout: duration.default('1h').describe('Of the whole run'),
    schedules: z.record(name, schedule).default({}),
  })
  .meta({ title: 'Millrace pipeline', description: 'One pipeline: files → warehouse → dbt → checked marts' })

export type PipelineDefinition = z.output<typeof pipelineSchema>
export type StepDefinition = PipelineDefinition['steps'][number]
export type IngestDefinition = NonNullable<StepDefinition['ingest']>[number]

/** The published JSON Schema, for editors; schema/pipeline.schema.json must equal it. */
export function pipelineJsonSchema(): unknown {
  return z.toJSONSchema(pipelineSchema, { io: 'input', target: 'draft-7' })
}
