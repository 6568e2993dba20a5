// Which environment variables profiles.yml reads: a pipeline may not give dbt others than Millrace itself connects with.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'

/** Fails with PipelineInvalid when the profile reads one of the variables that the pipeline sets. */
export async function refuseProfileVariables(profilesDir: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const file = path.join(profilesDir, 'profiles.yml')
  const text = await readFile(file, 'utf8')
  const used = new Set([...text.matchAll(/env_var\(\s*['"](\w+)/g)].map(([, name]) => name))
  const wrong = names.filter((name) => used.has(name))
  if (wrong.length === 0) return
  throw failure(
    'PipelineInvalid',
    `env of the dbt steps sets ${wrong.join(', ')}, which ${path.relative(process.cwd(), file)} reads for the connection; ` +
      "set it in the worker's environment instead, or give the project's variable another name",
  )
}
