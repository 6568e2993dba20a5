// Which of a profile's settings are secret, by their names.

const SECRET_KEYS =
  /pass|token|secret|private_key|keyfile_json|api_?key|access_key|account_key|connection_string|authorization/i
/** Where a secret is, or what kind it has, is none. */
const NO_SECRETS = /_(?:uri|url|endpoint|path|file|provider|type|lifetime)$/i

export function isSecretKey(key: string): boolean {
  return SECRET_KEYS.test(key) && !NO_SECRETS.test(key)
}

/** Whether a text in a profile may hold a secret, like the `?motherduck_token=` of a path. */
export function mayHoldSecret(text: string): boolean {
  return SECRET_KEYS.test(text)
}

/** The texts behind keys that name a secret, however deep (`keyfile_json`, dbt-duckdb's `secrets` and `settings`). */
export function secretsOf(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => secretsBehind(key, value))
}

function secretsBehind(key: string, value: unknown): string[] {
  if (Array.isArray(value)) return (value as unknown[]).flatMap((item) => secretsBehind(key, item))
  if (value !== null && typeof value === 'object') return secretsOf(value as Record<string, unknown>) // a mapping of YAML
  if ((typeof value !== 'string' && typeof value !== 'number') || value === '' || !isSecretKey(key)) return []
  return [String(value), ...secretsInJson(String(value))]
}

/** A key file given as one text: others may show its parts. */
function secretsInJson(text: string): string[] {
  if (!text.trimStart().startsWith('{')) return []
  try {
    return secretsOf(JSON.parse(text) as Record<string, unknown>) // an object, by its first sign
  } catch {
    return []
  }
}
