// The one place that reads the process environment.
import { failure } from '../pipeline/failure.ts'
import type { RunLimits } from './run-folders.ts'

/** Settings that Millrace takes from the environment, each with the default that applies without it. */
export interface Environment {
  /** Folder that holds pipelines/; found by walking up from the current folder when not set. */
  readonly workspace: string | undefined
  /** Somebody configured a Temporal server (the SDK's envconfig reads how): ours is not started then. */
  readonly temporalConfigured: boolean
  /** Address of that server's web UI, for links. */
  readonly uiUrl: string | undefined
  readonly taskQueue: string
  /** What DuckDB may use in this process before it goes to disk, as DuckDB writes it: `300MiB`. */
  readonly memoryLimit: string
  readonly logLevel: string
  /** How many runs leave their folder, and for how many days, as they were given: see runLimits. */
  readonly keepRuns: string
  readonly keepDays: string
  /** A named point at which a test kills this process; never set otherwise. */
  readonly faultPoint: string | undefined
}

export function readEnvironment(): Environment {
  const env = process.env
  return {
    workspace: env['MILLRACE_WORKSPACE'],
    temporalConfigured: ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'].some((name) =>
      Boolean(env[name]),
    ),
    uiUrl: env['MILLRACE_UI_URL'],
    memoryLimit: env['MILLRACE_MEMORY_LIMIT'] ?? '256MiB',
    taskQueue: env['MILLRACE_TASK_QUEUE'] ?? 'millrace',
    logLevel: env['MILLRACE_LOG_LEVEL'] ?? 'info',
    keepRuns: env['MILLRACE_KEEP_RUNS'] || '200',
    keepDays: env['MILLRACE_KEEP_DAYS'] || '30',
    faultPoint: env['MILLRACE_FAULT'],
  }
}

/** Which run folders a worker keeps. Fails with RequestInvalid, naming each variable that is no positive whole number. */
export function runLimits({ keepRuns, keepDays }: Environment): RunLimits {
  const problems = Object.entries({ MILLRACE_KEEP_RUNS: keepRuns, MILLRACE_KEEP_DAYS: keepDays })
    .filter(([, given]) => !/^[1-9]\d{0,8}$/.test(given))
    .map(([name, given]) => `${name} is '${given}': set it to a positive whole number, or leave it out`)
  if (problems.length > 0) throw failure('RequestInvalid', problems.join('\n'))
  return { runs: Number(keepRuns), days: Number(keepDays) }
}

/** One variable by its name, for what a user's own files refer to (env_var in a dbt profile). */
export function environmentVariable(name: string): string | undefined {
  return process.env[name]
}

/** How alerts leave: as given, nothing checked. It holds secrets; read it in activities only, and hand it no further. */
export interface AlertEnvironment {
  readonly smtpUrl: string | undefined
  readonly smtpHost: string | undefined
  readonly smtpPort: string | undefined
  readonly smtpUser: string | undefined
  readonly smtpPassword: string | undefined
  readonly smtpFrom: string | undefined
  /** `required` (the default) or `optional`. */
  readonly smtpTls: string | undefined
  readonly slackWebhookUrl: string | undefined
  readonly slackToken: string | undefined
  readonly slackApiUrl: string | undefined
}

export function readAlertEnvironment(): AlertEnvironment {
  const read = (name: string) => process.env[`MILLRACE_${name}`] || undefined
  return {
    smtpUrl: read('SMTP_URL'),
    smtpHost: read('SMTP_HOST'),
    smtpPort: read('SMTP_PORT'),
    smtpUser: read('SMTP_USER'),
    smtpPassword: read('SMTP_PASSWORD'),
    smtpFrom: read('SMTP_FROM'),
    smtpTls: read('SMTP_TLS'),
    slackWebhookUrl: read('SLACK_WEBHOOK_URL'),
    slackToken: read('SLACK_TOKEN'),
    slackApiUrl: read('SLACK_API_URL'),
  }
}

/** A text with its `${NAME}` and `${NAME:-default}` filled in; an empty variable counts as not set, as in a shell. */
export function fillVariables(text: string): {
  readonly text: string
  /** Not set, and without a default. */
  readonly missing: readonly string[]
  /** What variables were put in. */
  readonly values: readonly string[]
} {
  const missing: string[] = []
  const values: string[] = []
  const filled = text.replaceAll(/\$\{(\w+)(?::-([^}]*))?\}/g, (_whole, name: string, fallback: string | undefined) => {
    const value = process.env[name] || undefined
    if (value !== undefined) values.push(value)
    else if (fallback === undefined) missing.push(name)
    return value ?? fallback ?? ''
  })
  return { text: filled, missing, values }
}

/** Values of the variables that dbt treats as secrets, by their name. */
export function secretVariables(): string[] {
  return Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined && /^DBT_(?:ENGINE_)?ENV_SECRET_/.test(name) ? [value] : [],
  )
}

/** What a child process inherits, with additions on top. */
export function childEnvironment(additions: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { ...Object.fromEntries(inherited), ...additions }
}

/** For all that this process does from now on, its children included. */
export function setVariables(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables)
}
