// What a pipeline file may say (zod), as written. load.ts turns a file into this; schema/pipeline.schema.json is made from it.
import { z } from 'zod'
import { alerts } from './alerts.ts'
import { DEFAULT_DIALECT, dialectProblems, ENCODINGS, MEBIBYTE, type Dialect } from './dialect.ts'
import { dbtStep } from './dbt-step.ts'
import { httpSource } from './http-source.ts'
import { byteSize, count, duration, identifier, name, nonEmptyText, scalarValue, share } from './fields.ts'
import { isIdentifier, parseTableName } from './identifier.ts'
import { refreshLog } from './refresh-log.ts'
import { warmStep } from './warm-step.ts'
import { schedule } from './schedule.ts'
import { isTimeZone } from './time-zone.ts'
import { martCheck } from './mart-check.ts'

/** A record must fit into the engine's read buffer. */
const MAX_BYTES = 64 * MEBIBYTE

const param = z
  .strictObject({
    type: z.enum(['date', 'string', 'int']),
    default: z
      .union([z.string(), z.int()], 'expected a text or a whole number')
      .optional()
      .describe('date: yesterday, today or YYYY-MM-DD'),
    list: z.boolean().optional().describe('May be several values, 9,31,2A: for entries with for_each'),
  })
  .describe('A value that a run is started with, used as {name}')

const column = z
  .strictObject({
    name: nonEmptyText.describe("As the file's header says it"),
    rename: identifier.optional().describe('What the raw table calls it'),
    type: nonEmptyText
      .default('string')
      .describe('string, int, float, numeric(p,s), boolean, date, timestamp, time or json'),
    optional: z.boolean().default(false).describe('A file may do without it; its rows have NULL there'),
  })
  .refine(({ name, rename }) => rename !== undefined || isIdentifier(name), {
    message: 'expected lower-case letters, digits and _, or a `rename` of that kind beside it',
    path: ['name'],
  })

const extraColumns = z
  .enum(['strict', 'ignore_extra', 'evolve'])
  .describe('What becomes of columns that only the file has: refused, left out, or added to the raw table as text')
const columnList = z.array(column).min(1)

/** `match` alone, a list alone, or both. */
const columns = z.union(
  [
    extraColumns,
    columnList,
    z.strictObject({
      match: extraColumns.default('strict'),
      list: columnList.optional(),
      optional: z.array(nonEmptyText).default([]).describe('Columns of the dbt source that a file may do without'),
    }),
  ],
  'expected a list of columns such as { name: id, type: int }, one of strict, ignore_extra, evolve, or { match: …, list: … }',
)

const dialect = z
  .strictObject({
    delimiter: z.string().default(',').describe('One character; "\\t" for a tab'),
    quote: z
      .union([z.string(), z.literal(false)], 'expected one character, or false')
      .default('"')
      .describe('false: no field is ever quoted'),
    escape: z.enum(['doubled', 'backslash']).default('doubled'),
    encoding: z.enum(ENCODINGS).default('utf-8'),
    line_end: z.enum(['lf', 'cr']).default('lf').describe('lf takes CRLF as well'),
    header: z.boolean().default(true).describe('false: the columns come in the order of the contract'),
    null: z
      .union([z.string(), z.array(z.string())], 'expected a text or a list of texts; the word NULL needs quotes, too')
      .default('')
      .describe('Unquoted texts that mean NULL'),
    comment: z.string().optional().describe('Lines that begin with it are no records'),
    decimal: z.enum(['.', ',']).default('.'),
    skip: count.default(0).describe('Lines before the header that do not belong to the table'),
    max_field: z.int().min(1).max(MAX_BYTES).default(DEFAULT_DIALECT.maxFieldBytes).describe('In bytes'),
    max_record: z.int().min(1).max(MAX_BYTES).default(DEFAULT_DIALECT.maxRecordBytes).describe('In bytes'),
  })
  .superRefine((written, context) => {
    for (const { key, message } of dialectProblems(dialectOf(written))) {
      context.addIssue({ code: 'custom', path: [key], message })
    }
  })
  .describe('How the files are written; never guessed')

const rule = z
  .strictObject({
    not_null: z.boolean().default(false),
    accepted: z.array(scalarValue).min(1).optional(),
    min: scalarValue.optional(),
    max: scalarValue.optional(),
  })
  .describe('A record that breaks it is rejected')

const ingestEntry = z
  .strictObject({
    name: name.optional().describe('Needed where several entries load into one table: part of what a load replaces'),
    into: z
      .string()
      .refine((text) => parseTableName(text) !== undefined, 'expected schema.table in lower-case letters, digits and _')
      .describe('The raw table, a source of the dbt project'),
    files: nonEmptyText.optional().describe('Path below the workspace, with {params}; * and ? match several files'),
    http: httpSource.optional(),
    for_each: identifier.optional().describe('A param with `list: true`: one load for each of its values'),
    missing: z.enum(['fail', 'skip', 'wait']).default('fail').describe('When there is no such file'),
    wait_for: duration.default('6h').describe('How long `missing: wait` waits'),
    mode: z
      .enum(['replace', 'append', 'upsert', 'snapshot'])
      .default('replace')
      .describe(
        "replace: takes the place of its batch's earlier load; append: adds what was never loaded; " +
          'upsert: one row per key; snapshot: takes the place of all earlier loads of this entry',
      ),
    key: z.array(identifier).min(1).optional().describe('Columns that identify a row'),
    duplicates: z
      .enum(['reject', 'keep_first', 'keep_last'])
      .default('reject')
      .describe('What becomes of records with the same key in one load'),
    newest_by: identifier.optional().describe('The column that says which of two rows with the same key is newer'),
    rejects: z
      .strictObject({
        max_share: share.default(0).describe('Largest share of records that may be rejected'),
        max_rows: count.optional().describe('Largest number of records that may be rejected'),
      })
      .default({ max_share: 0 }),
    columns: columns.optional().describe("The contract, where the dbt source's columns are not it"),
    raw: z.enum(['typed', 'text']).default('typed').describe('text: types are checked, the raw table keeps the texts'),
    add: z
      .record(identifier, scalarValue)
      .default({})
      .describe('Columns that no file has: a text with {params}, $loaded_at, $logical_date or $source_file'),
    rules: z.record(identifier, rule).default({}),
    time_zone: z
      .string()
      .refine(isTimeZone, 'expected a time zone such as UTC or Europe/Paris')
      .default('UTC')
      .describe('Of timestamps that name no offset'),
    dialect: dialect.prefault({}),
  })
  .superRefine((entry, context) => {
    const say = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    if (entry.files === undefined && entry.http === undefined) say('files', 'is missing (or `http`)')
    if (entry.files !== undefined && entry.http !== undefined) say('http', 'stands beside `files`; write one of them')
    if (entry.http !== undefined && entry.missing !== 'fail')
      say('missing', 'is about files; leave it out beside `http`')
    if (entry.mode === 'upsert' && entry.key === undefined) say('mode', 'upsert needs a `key`')
    if (entry.key === undefined && entry.newest_by !== undefined) say('newest_by', 'needs a `key`')
    if (entry.key === undefined && entry.duplicates !== 'reject') say('duplicates', 'needs a `key`')
    if (entry.mode === 'upsert' && entry.duplicates !== 'reject') {
      say('duplicates', 'upsert always keeps the newest record of a key; leave it out')
    }
    if (
      entry.key !== undefined &&
      entry.newest_by !== undefined &&
      entry.mode !== 'upsert' &&
      entry.duplicates !== 'keep_last'
    ) {
      say('newest_by', 'only `mode: upsert` and `duplicates: keep_last` look at it; leave it out')
    }
    const { columns } = entry
    const list = Array.isArray(columns) ? columns : typeof columns === 'object' ? (columns.list ?? []) : []
    const mayLack = typeof columns === 'object' && !Array.isArray(columns) ? columns.optional : []
    const match = typeof columns === 'string' ? columns : Array.isArray(columns) ? undefined : columns?.match
    if (
      !entry.dialect.header &&
      (list.some(({ optional }) => optional) || mayLack.length > 0 || (match ?? 'strict') !== 'strict')
    ) {
      say('columns', 'a file without a header has all columns in their order: none optional, none more')
    }
  })
  .describe('What one load puts into one raw table')

const publishStep = z
  .strictObject({
    to: z
      .union(
        [identifier, z.record(nonEmptyText, identifier)],
        'expected a schema, or one for each target: { dev: analytics_dev_live, prod: analytics }',
      )
      .describe("The live schema that people read; the profile's own schema is where dbt builds the candidates"),
    marts: z.array(identifier).min(1).optional().describe('All that the steps before it validate, when left out'),
    publish_copy: nonEmptyText
      .optional()
      .describe('DuckDB only: a file below the workspace that gets a copy, because a writer keeps readers out'),
  })
  .describe('Puts checked marts before their readers, all at once')

export const STEP_KINDS = ['ingest', 'dbt', 'validate', 'publish', 'warm'] as const

const step = z
  .strictObject({
    name: name.optional().describe('How the step is called in reports and by --only and --from'),
    ingest: z.array(ingestEntry).min(1).optional(),
    dbt: dbtStep.optional(),
    validate: z.array(martCheck).min(1).optional(),
    publish: publishStep.optional(),
    warm: warmStep.optional(),
    on_failure: z.enum(['fail', 'warn']).default('fail'),
  })
  .refine((value) => STEP_KINDS.filter((kind) => value[kind] !== undefined).length === 1, {
    message: `expected exactly one of ${STEP_KINDS.join(', ')}`,
  })
  .meta({ oneOf: STEP_KINDS.map((kind) => ({ required: [kind] })) })

export const pipelineSchema = z
  .strictObject({
    name: name.describe("The workflow type in Temporal's UI"),
    description: z.string().max(200).default(''),
    lock: name
      .optional()
      .describe("Pipelines with the same lock never run at once on a target (default: the pipeline's own name)"),
    dbt: z.strictObject({
      project_dir: nonEmptyText.describe('Folder of the dbt project; its profiles.yml target is the warehouse'),
      profiles_dir: nonEmptyText.optional().describe('Where profiles.yml is (default: the project, then ~/.dbt)'),
      executable: nonEmptyText
        .optional()
        .describe("The project's own dbt, of a Python environment: .venv/bin/dbt (default: the one Millrace brings)"),
      node_bars: z
        .boolean()
        .default(true)
        .describe("A bar per model, seed, snapshot and failing test in Temporal's timeline, at most 200 an attempt"),
      launcher: z
        .enum(['auto', 'cli', 'warm'])
        .default('auto')
        .describe(
          'How commands are started: in forks of a warm dbt process where that is possible (auto), or each by itself (cli)',
        ),
    }),
    params: z.record(identifier, param).default({}),
    steps: z.array(step).min(1),
    refresh_log: refreshLog.optional(),
    bigquery: z
      .strictObject({
        staging_bucket: nonEmptyText
          .regex(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, 'expected the name of a bucket')
          .optional()
          .describe('Loads go by this bucket (and are deleted from it) instead of straight to BigQuery'),
        max_bytes_billed: byteSize.optional().describe('Of a whole run; past it, or when it would be, the run fails'),
      })
      .prefault({})
      .describe('Where the target is a BigQuery one'),
    timeout: duration.default('1h').describe('Of the whole run, from when it holds its lease'),
    alerts: alerts.optional(),
    schedules: z.record(name, schedule).default({}),
  })
  .meta({ title: 'Millrace pipeline', description: 'One pipeline: files → warehouse → dbt → checked marts' })

export type PipelineDefinition = z.output<typeof pipelineSchema>
export type StepDefinition = PipelineDefinition['steps'][number]
export type IngestDefinition = NonNullable<StepDefinition['ingest']>[number]

/** As the scanner takes it. */
export function dialectOf(written: IngestDefinition['dialect']): Dialect {
  const { delimiter, quote, escape, encoding, line_end, header, comment, decimal, skip, max_field, max_record } =
    written
  return {
    delimiter,
    quote: quote === false ? null : quote,
    escape,
    encoding,
    lineEnd: line_end,
    header,
    nulls: typeof written.null === 'string' ? [written.null] : written.null,
    comment: comment ?? null,
    decimal,
    skip,
    maxFieldBytes: max_field,
    maxRecordBytes: max_record,
  }
}

/** The published JSON Schema, for editors; schema/pipeline.schema.json must equal it. */
export function pipelineJsonSchema(): unknown {
  return z.toJSONSchema(pipelineSchema, { io: 'input', target: 'draft-7' })
}
