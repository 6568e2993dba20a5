// What `tofu output -json` wrote about infra/: read and checked, with everything that is missing named at once.
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'

export interface Infrastructure {
  readonly project: string
  readonly location: string
  readonly landingBucket: string
  /** By name, dev first and prod last. */
  readonly environments: readonly Environment[]
}

export interface Environment {
  readonly name: string
  /** Where dbt builds: the candidates. */
  readonly dataset: string
  /** Where checked marts are published. */
  readonly liveDataset: string
  /** Email of the service account that Millrace acts as. */
  readonly loaderAccount: string
}

const outputsSchema = z.record(z.string(), z.looseObject({ value: z.unknown() }))

// Narrow on purpose: these texts become YAML that dbt renders as Jinja.
const NAME = { pattern: /^[A-Za-z_]\w{0,62}$/, meaning: 'a name of letters, digits and _' }
const TEXTS = {
  project: {
    pattern: /^[a-z][a-z0-9.:-]{4,61}[a-z0-9]$/,
    meaning: 'the id of a project (lower-case letters, digits, -)',
  },
  location: { pattern: /^[A-Za-z][A-Za-z0-9-]{1,62}$/, meaning: 'a location such as EU or europe-west9' },
  landing_bucket: { pattern: /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, meaning: 'the name of a bucket' },
}
const MAPS = {
  datasets: NAME,
  live_datasets: NAME,
  loader_accounts: {
    pattern: /^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$/,
    meaning: 'the email of a service account',
  },
}

/**
 * The infrastructure that the outputs describe; `file` is how messages call the text. Fails with RequestInvalid, naming
 * each output that is missing, empty or not what it should be, and the command that writes them anew.
 */
export function readOutputs(text: string, file: string): Infrastructure {
  const outputs = parseOutputs(text, file)
  const problems: string[] = []
  const valueOf = (name: string) => outputs[name]?.value

  const texts = Object.fromEntries(
    Object.entries(TEXTS).map(([name, expected]) => [name, checkedText(name, valueOf(name), expected, problems)]),
  ) as Record<keyof typeof TEXTS, string> // the same keys
  const maps = Object.fromEntries(
    Object.keys(MAPS).map((name) => [name, checkedMap(name, valueOf(name), problems)]),
  ) as Record<keyof typeof MAPS, Readonly<Record<string, unknown>>> // the same keys

  const names = [...new Set(Object.values(maps).flatMap((map) => Object.keys(map)))].sort(devFirstProdLast)
  const environments = names.map((name) => {
    if (!NAME.pattern.test(name)) problems.push(`environment '${name}' is not ${NAME.meaning}`)
    const from = (output: keyof typeof MAPS) =>
      Object.keys(maps[output]).length === 0
        ? '' // the whole output is missing, which is said already
        : checkedText(`${output}.${name}`, maps[output][name], MAPS[output], problems)
    return {
      name,
      dataset: from('datasets'),
      liveDataset: from('live_datasets'),
      loaderAccount: from('loader_accounts'),
    }
  })

  if (problems.length > 0) {
    throw failure('RequestInvalid', `${file} does not have what profiles need:\n${problems.join('\n')}\n${howTo(file)}`)
  }
  return { project: texts.project, location: texts.location, landingBucket: texts.landing_bucket, environments }
}

/** RequestInvalid for a file that is not there. */
export function outputsMissing(file: string) {
  return failure('RequestInvalid', `there is no file ${file}; ${howTo(file)}`)
}

function howTo(file: string): string {
  // Another file that was named by mistake must not be written over.
  const name = file.endsWith('.json') ? file : 'terraform-outputs.json'
  const quoted = /^[\w./~-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`
  return `make it with: tofu -chdir=infra apply && tofu -chdir=infra output -json > ${quoted} (terraform takes the same words)`
}

function parseOutputs(text: string, file: string) {
  let content: unknown
  try {
    content = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // Without the parser's words: they quote the text, which may be somebody's other file.
    throw failure('RequestInvalid', `${file} is not JSON${text.trim() === '' ? ' (it is empty)' : ''}; ${howTo(file)}`)
  }
  const parsed = outputsSchema.safeParse(content)
  if (parsed.success) return parsed.data
  throw failure(
    'RequestInvalid',
    `${file} is JSON, but not outputs ({ "name": { "value": … }, … }); ${howTo(file)}, without -raw and without a name`,
  )
}

interface Expected {
  readonly pattern: RegExp
  readonly meaning: string
}

function checkedText(name: string, value: unknown, { pattern, meaning }: Expected, problems: string[]): string {
  if (isNothing(value)) problems.push(`${name} is missing`)
  else if (typeof value !== 'string' || !pattern.test(value)) problems.push(`${name} is not ${meaning}`)
  else return value
  return ''
}

function checkedMap(name: string, value: unknown, problems: string[]): Readonly<Record<string, unknown>> {
  if (isNothing(value)) problems.push(`${name} is missing`)
  else if (typeof value !== 'object' || Array.isArray(value)) problems.push(`${name} is not a map by environment`)
  else return value as Record<string, unknown> // an object of JSON
  return {}
}

function isNothing(value: unknown): value is undefined | null {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function devFirstProdLast(a: string, b: string): number {
  const rank = (name: string) => ({ dev: -1, prod: 1 })[name] ?? 0
  return rank(a) - rank(b) || (a < b ? -1 : 1)
}
