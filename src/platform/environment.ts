// The one place that reads the process environment.

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
    faultPoint: env['MILLRACE_FAULT'],
  }
}

/** One variable by its name, for what a user's own files refer to (env_var in a dbt profile). */
export function environmentVariable(name: string): string | undefined {
  return process.env[name]
}

/** What a child process inherits, with additions on top. */
export function childEnvironment(additions: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { ...Object.fromEntries(inherited), ...additions }
}
