// Environment variables that a pipeline gives its dbt: which names it may set, and what all of its steps set together.
import { z } from 'zod'
import { scalarValue } from './fields.ts'

/** What decides which programs are loaded, how dbt runs and logs in, or what Millrace itself sets. */
const RESERVED =
  /^(?:PATH|HOME|SHELL|ENV|IFS|BASH.*|TMPDIR|TEMP|TMP|VIRTUAL_ENV|PYTHON.*|LD_.*|DYLD_.*|DBT_.*|MILLRACE_.*|TEMPORAL_.*|GOOGLE_.*|GCLOUD_.*|CLOUDSDK_.*|PG[A-Z]+|SSL_.*|OPENSSL_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?:HTTPS?|ALL|NO)_PROXY)$/

const variableName = z
  .string()
  .regex(/^[A-Z_][A-Z0-9_]*$/, 'expected a name of upper-case letters, digits and _')
  .refine((name) => !RESERVED.test(name), 'is set by the system, dbt or Millrace; choose another name')

export const dbtEnv = z
  .record(variableName, scalarValue)
  .describe('For env_var() in the project, with {params}; seen by all dbt commands of the run. Never secrets')

interface EnvStep {
  readonly env: Readonly<Record<string, unknown>>
}

/** A project is parsed once for all steps of a run, so they cannot give one variable two values. */
export function envConflicts(steps: readonly EnvStep[]): { path: PropertyKey[]; message: string }[] {
  const first = new Map<string, { readonly text: string; readonly step: number }>()
  return steps.flatMap(({ env }, step) =>
    Object.entries(env).flatMap(([name, value]) => {
      const text = String(value)
      const known = first.get(name)
      if (known === undefined) first.set(name, { text, step })
      if (known === undefined || known.text === text) return []
      const message = `${name} is '${known.text}' in step ${known.step + 1}: all dbt steps of a run read one project, so give it one value`
      return [{ path: ['steps', step, 'dbt', 'env', name], message }]
    }),
  )
}

/** What all dbt steps set, with params filled in, in the order of the names. */
export function mergedEnv(
  steps: readonly { readonly env?: Readonly<Record<string, string | number | boolean>> | undefined }[],
  fill: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    steps
      .flatMap(({ env }) => Object.entries(env ?? {}))
      .map(([name, value]): [string, string] => [name, fill(String(value))])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}
