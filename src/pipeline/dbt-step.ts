// A `dbt:` step as a pipeline file writes it, and the command that it means.
import { z } from 'zod'
import { dbtEnv } from './dbt-env.ts'
import { DBT_VERBS, foreignOptions, type DbtCommand, type DbtOptionName } from './dbt-command.ts'
import { count, duration, nonEmptyText, scalarValue } from './fields.ts'

/** How the file calls dbt's options. */
const KEYS: Readonly<Record<DbtOptionName, string>> = {
  select: 'select',
  selector: 'selector',
  indirectSelection: 'indirect_selection',
  fullRefresh: 'full_refresh',
  failFast: 'fail_fast',
  storeFailures: 'store_failures',
  threads: 'threads',
  eventTime: 'event_time',
  vars: 'vars',
  operation: 'macro',
}

const selectors = z
  .array(nonEmptyText.regex(/^[^-]/, 'expected a dbt selector; options such as --exclude have keys of their own'))
  .min(1)

export const dbtStep = z
  .strictObject({
    command: z.enum(DBT_VERBS),
    select: selectors.optional().describe('dbt selectors; several mean their union'),
    exclude: selectors.optional(),
    selector: nonEmptyText.regex(/^[^-]/).optional().describe("One of the project's selectors.yml"),
    indirect_selection: z.enum(['eager', 'cautious', 'buildable', 'empty']).optional(),
    full_refresh: z.boolean().default(false),
    fail_fast: z.boolean().default(false),
    store_failures: z.boolean().default(false),
    threads: z.int().min(1).max(64).optional().describe("Instead of the target's"),
    event_time: z
      .strictObject({ start: nonEmptyText, end: nonEmptyText })
      .optional()
      .describe('Window of microbatch models, with {params}: from start, up to but without end'),
    vars: z
      .record(z.string(), scalarValue)
      .optional()
      .describe('With {params}. Makes dbt parse the whole project for every other value: seconds to minutes'),
    env: dbtEnv.optional(),
    macro: nonEmptyText
      .regex(/^[\w.]+$/)
      .optional()
      .describe('Of run-operation'),
    args: z.record(z.string(), z.unknown()).optional().describe('Of the macro'),
    retries: count.max(20).default(2).describe('How often a failure that a retry can help is tried again'),
    retry_delay: duration
      .optional()
      .describe('Else what the kind of failure asks for: 5 s and more, doubled each time'),
    retry_tests: z.boolean().default(false).describe('Try failing tests again, too; they are a verdict otherwise'),
    timeout: duration.default('30m').describe('Of one attempt'),
  })
  .superRefine((step, context) => {
    const say = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    for (const name of foreignOptions(dbtCommandOf(step))) say(KEYS[name], `dbt ${step.command} does not take it`)
    if (step.selector !== undefined && (step.select ?? step.exclude) !== undefined) {
      say('selector', 'dbt ignores select and exclude beside it; write one of them')
    }
    if (step.command === 'run-operation' && step.macro === undefined) say('command', 'run-operation needs a `macro`')
    if (step.args !== undefined && step.macro === undefined) say('args', 'needs a `macro`')
  })
  .describe('One dbt command')

type DbtStepDefinition = z.output<typeof dbtStep>

/** The command; `fill` puts params into the texts that may hold them. */
export function dbtCommandOf(
  step: Omit<DbtStepDefinition, 'retries' | 'retry_tests' | 'timeout'>,
  fill = (text: string) => text,
): DbtCommand {
  const { command, select = [], exclude = [], selector, indirect_selection, threads, event_time, vars, macro } = step
  return {
    command,
    select,
    exclude,
    options: {
      ...(selector === undefined ? {} : { selector }),
      ...(indirect_selection === undefined ? {} : { indirectSelection: indirect_selection }),
      ...(step.full_refresh ? { fullRefresh: true } : {}),
      ...(step.fail_fast ? { failFast: true } : {}),
      ...(step.store_failures ? { storeFailures: true } : {}),
      ...(threads === undefined ? {} : { threads }),
      ...(event_time === undefined ? {} : { eventTime: { start: fill(event_time.start), end: fill(event_time.end) } }),
      ...(vars === undefined ? {} : { vars: filled(vars, fill) }),
      ...(macro === undefined ? {} : { operation: { macro, args: step.args ?? {} } }),
    },
  }
}

function filled(vars: Readonly<Record<string, string | number | boolean>>, fill: (text: string) => string) {
  return Object.fromEntries(
    Object.entries(vars).map(([key, value]) => [key, typeof value === 'string' ? fill(value) : value]),
  )
}
