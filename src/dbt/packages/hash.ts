// The packages that a dbt project asks for, with the hash that dbt makes of them; YAML is read as PyYAML does.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { parse, type Tags } from 'yaml'
import { z } from 'zod'
import { failure } from '../../pipeline/failure.ts'
import { errorCode } from '../../platform/files.ts'

export type Entry = Readonly<Record<string, unknown>>

export interface AskedFor {
  readonly entries: readonly Entry[]
  /** What dbt would write into the lock as sha1_hash; undefined where only dbt itself could say. */
  readonly hash: string | undefined
  readonly file: 'packages.yml' | 'dependencies.yml'
}

/**
 * As dbt's package_and_project_data_from_root: dependencies.yml where it names packages, else packages.yml. Fails with
 * DbtProjectInvalid, as all here, where dbt could not read a file.
 */
export async function packagesAskedFor(projectDir: string): Promise<AskedFor> {
  const at = (name: string) => path.join(projectDir, name)
  const packages = (await readYaml(at('packages.yml'))) ?? {}
  const dependencies = (await readYaml(at('dependencies.yml'))) ?? {}
  if ('packages' in packages && 'packages' in dependencies) {
    throw projectInvalid(at('packages.yml'), 'asks for packages, and so does dependencies.yml: dbt takes one of them')
  }
  const file = 'packages' in dependencies ? 'dependencies.yml' : 'packages.yml'
  const entries = packagesIn(file === 'packages.yml' ? packages : dependencies, at(file))
  return { entries, hash: packagesHash(entries, file), file }
}

const mapping = z.record(z.string(), z.unknown())

/** What stands under `packages` in the content of a file. */
export function packagesIn(content: Entry, file: string): readonly Entry[] {
  const packages = z.array(mapping).nullish().safeParse(content['packages'])
  if (!packages.success) throw projectInvalid(file, 'is not a list of packages')
  return packages.data ?? []
}

export function projectInvalid(file: string, problem: string) {
  const shown = path.relative(process.cwd(), file)
  return failure('DbtProjectInvalid', `${shown} ${problem}; correct it, \`dbt deps\` shows how dbt reads it`)
}

/** dbt's RawVersion: integers become texts, floating point numbers stay; Python writes others with exponents. */
const rawVersion = z.union([
  z.string(),
  z.bigint().transform(String),
  z.number().refine((number) => Math.abs(number) >= 1e-4 && Math.abs(number) < 1e16),
])
const optionalText = z.string().nullish()
const textOrNull = z.string().nullable().default(null)
const checkout = {
  revision: rawVersion.nullable().default(null),
  subdirectory: textOrNull,
  'warn-unpinned': z.boolean().nullable().default(null),
  name: optionalText,
}

/** dbt's PackageSpec with the defaults that it serialises (dbt/contracts/project.py). */
const packageSpec = z.union([
  z.strictObject({ local: z.string(), name: optionalText }),
  z.strictObject({ tarball: z.string(), name: z.string() }),
  z.strictObject({ git: z.string(), ...checkout }),
  z.strictObject({ private: z.string(), provider: textOrNull, ...checkout }),
  z.strictObject({
    package: z.string(),
    version: z.union([rawVersion, z.array(rawVersion)]),
    install_prerelease: z.boolean().nullable().default(false),
    name: optionalText,
  }),
])

/** _create_sha1_hash of dbt/task/deps.py; undefined also for entries that dbt would refuse. */
function packagesHash(entries: readonly Entry[], file: AskedFor['file']): string | undefined {
  const specs = z.array(packageSpec).safeParse(entries)
  if (!specs.success) return undefined
  const lines = specs.data.map(({ name, ...spec }, index) =>
    pythonJson({ ...spec, ...(typeof name === 'string' ? { name } : {}), unrendered: entries[index] }),
  )
  // dbt renders packages.yml, and only that, before it hashes. Jinja changes line ends, too.
  if (file === 'packages.yml' && lines.some((line) => /\{[{%#]|\\[nr]/.test(line))) return undefined
  return createHash('sha1').update(lines.sort().join('\n')).digest('hex')
}

/** Python's json.dumps(value, sort_keys=True) of what packageSpec lets through. */
function pythonJson(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value).replaceAll(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  }
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value)
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`).join(', ')}}`
}

/** A YAML file whose top is a mapping, integers as bigint; undefined when there is none. */
export async function readYaml(file: string): Promise<Entry | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  let content: unknown
  try {
    content = parse(text, {
      version: '1.1',
      intAsBigInt: true,
      customTags: asPyYaml,
      uniqueKeys: false,
      prettyErrors: false,
    })
  } catch (error) {
    throw projectInvalid(file, `is not valid YAML (${error instanceof Error ? error.message : String(error)})`)
  }
  const checked = mapping.safeParse(content ?? {})
  if (!checked.success) throw projectInvalid(file, 'is not a mapping')
  return checked.data
}

/** PyYAML takes fewer texts for numbers: `1e10` and `0912345`, commits both, stay texts, and so does `.`. */
function asPyYaml(tags: Tags): Tags {
  return tags.map((tag) => {
    if (typeof tag === 'string' || tag.collection !== undefined) return tag
    if (tag.tag === 'tag:yaml.org,2002:int' && tag.format === undefined) {
      return { ...tag, test: /^[-+]?(?:0|[1-9][0-9_]*)$/ }
    }
    if (tag.tag !== 'tag:yaml.org,2002:float') return tag
    if (tag.format === 'EXP') return { ...tag, test: /^[-+]?[0-9][0-9_]*\.[0-9_]*[eE][-+][0-9]+$/ }
    return tag.test?.test('1.5') ? { ...tag, test: /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)$/ } : tag
  })
}
