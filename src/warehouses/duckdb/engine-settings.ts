// DuckDB's own settings in a profile that Millrace's connection to the same file takes over.

interface EngineSetting {
  /** DuckDB's other name for it. */
  readonly alias?: string
  readonly wanted: string
  /** As SET takes it; undefined where it is not of that kind. */
  readonly read: (value: unknown) => string | undefined
}

/** DuckDB knows the units; percentages it refuses. */
const size = (value: unknown) =>
  typeof value === 'string' && /^(?:\d+(?:\.\d+)?\s*[a-z]+|none|-1)$/i.test(value.trim()) ? value.trim() : undefined

const truth = (value: unknown) => (/^(?:true|false)$/i.test(String(value)) ? String(value).toLowerCase() : undefined)

const A_SIZE = 'a size such as 2GB'

/**
 * What memory, cores and disk the profile's owner grants (else memory is MILLRACE_MEMORY_LIMIT), and when the file's log is
 * folded into it. What changes the meaning of a query (time zone, order of nulls) or where things are (temp_directory) is
 * ours to say; extensions, secrets and remote file systems are dbt's.
 */
const ENGINE_SETTINGS: Readonly<Record<string, EngineSetting>> = {
  memory_limit: { alias: 'max_memory', wanted: A_SIZE, read: size },
  threads: { alias: 'worker_threads', wanted: 'a whole number from 1', read: wholeNumber },
  preserve_insertion_order: { wanted: 'true or false', read: truth },
  checkpoint_threshold: { alias: 'wal_autocheckpoint', wanted: A_SIZE, read: size },
  max_temp_directory_size: { wanted: A_SIZE, read: size },
}

/** Of `config_options` and `settings`, as dbt applies them: the latter come last. Adds to `problems` what is wrong. */
export function readEngineSettings(
  target: Readonly<Record<string, unknown>>,
  problems: string[],
): Readonly<Record<string, string>> {
  const read: Record<string, string> = {}
  for (const group of ['config_options', 'settings']) {
    const given = target[group] ?? {}
    if (typeof given !== 'object' || Array.isArray(given)) problems.push(`${group} must be a mapping of name to value`)
    else {
      for (const [key, value] of Object.entries(given)) {
        const found = Object.entries(ENGINE_SETTINGS).find(([name, { alias }]) =>
          [name, alias].includes(key.toLowerCase()),
        )
        if (found === undefined) continue
        const [name, setting] = found
        const text = setting.read(value)
        if (text === undefined) problems.push(`${group}.${key} must be ${setting.wanted}`)
        else read[name] = text
      }
    }
  }
  return read
}

/** As text, given as a number or a text; undefined for anything but a whole number from 1. */
export function wholeNumber(value: unknown): string | undefined {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : ''
  return /^[1-9]\d{0,8}$/.test(text) ? text : undefined
}
