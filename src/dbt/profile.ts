// The dbt profile's target: the one description of the warehouse connection, read as dbt reads it.
import { access, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { Template } from '@huggingface/jinja'
import { parse } from 'yaml'
import { z } from 'zod'
import { environmentVariable } from '../platform/environment.ts'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'

/** A target of a profile with its env_var calls resolved. May hold secrets: never leaves the activity that read it. */
export interface ProfileTarget {
  readonly profile: string
  readonly target: string
  readonly type: string
  readonly profilesDir: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Values that must not appear in logs or messages. */
  readonly secrets: readonly string[]
}

const projectFileSchema = z.looseObject({ profile: z.string().min(1) })
const profileSchema = z.looseObject({
  target: z.string().optional(),
  outputs: z.record(z.string(), z.looseObject({ type: z.string() })),
})

/** A path as a person in the current folder would write it. */
function shown(file: string): string {
  return path.relative(process.cwd(), file) || '.'
}

const SECRET_KEYS = /pass|token|secret|private_key|keyfile_json/i

export interface ProfileLocation {
  /** Absolute. */
  readonly projectDir: string
  /** Absolute; where left out, the project's folder and then ~/.dbt are tried, as dbt does. */
  readonly profilesDir?: string
}

/** Names of the targets that the project's profile has, and which is the default. */
export async function listTargets(location: ProfileLocation): Promise<{ targets: string[]; default: string }> {
  const { outputs, defaultTarget } = await readProfile(location)
  return { targets: Object.keys(outputs), default: defaultTarget }
}

/**
 * Reads one target (the profile's default where none is named). Fails with ProfileMissing, ProfileInvalid or
 * TargetUnknown, each naming the file and what to put into it.
 */
export async function readProfileTarget(location: ProfileLocation, target?: string): Promise<ProfileTarget> {
  const { profile, file, outputs, defaultTarget } = await readProfile(location)
  const name = target ?? defaultTarget
  const output = outputs[name]
  if (output === undefined) {
    const known = Object.keys(outputs)
    throw failure(
      'TargetUnknown',
      `profile '${profile}' has no target '${name}'${didYouMean(name, known)}; ${shown(file)} has: ${known.join(', ')}. ` +
        `Add an output '${name}' there, or run with --target ${known[0] ?? 'dev'}`,
    )
  }
  const settings = renderValue(output, (text) => renderText(text, `${shown(file)}, target '${name}'`)) as Record<
    string,
    unknown
  >
  return {
    profile,
    target: name,
    type: String(settings['type']),
    profilesDir: path.dirname(file),
    settings,
    secrets: secretsOf(settings),
  }
}

/** The texts behind keys that name a secret, however deep (`keyfile_json`, dbt-duckdb's `secrets` and `settings`). */
function secretsOf(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const values = Array.isArray(value) ? (value as unknown[]) : [value]
    return values.flatMap((item) => {
      if (typeof item === 'string') return SECRET_KEYS.test(key) ? [item] : []
      return item !== null && typeof item === 'object' ? secretsOf(item as Record<string, unknown>) : []
    })
  })
}

async function readProfile(location: ProfileLocation) {
  const profile = await projectProfileName(location.projectDir)
  const candidates = location.profilesDir ? [location.profilesDir] : [location.projectDir, path.join(homedir(), '.dbt')]
  const file = await firstExisting(candidates.map((folder) => path.join(folder, 'profiles.yml')))
  if (file === undefined) {
    throw failure(
      'ProfileMissing',
      `there is no profiles.yml in ${candidates.map(shown).join(' or ')}; create ${shown(path.join(candidates[0] ?? '', 'profiles.yml'))} ` +
        `with a profile '${profile}' (docs.getdbt.com: "About profiles.yml")`,
    )
  }
  const content = parseYaml(await readFile(file, 'utf8'), file)
  const all = z.record(z.string(), z.unknown()).safeParse(content)
  const names = all.success ? Object.keys(all.data) : []
  if (!all.success || all.data[profile] === undefined) {
    throw failure(
      'ProfileMissing',
      `${shown(file)} has no profile '${profile}'${didYouMean(profile, names)}; it has: ${names.join(', ') || 'none'}. ` +
        `dbt_project.yml asks for it by its line \`profile: ${profile}\``,
    )
  }
  const parsed = profileSchema.safeParse(all.data[profile])
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${[profile, ...issue.path].join('.')}: ${issue.message}`)
    throw failure('ProfileInvalid', `${shown(file)} is not a dbt profile: ${problems.join('; ')}`)
  }
  const declared = parsed.data.target
  const defaultTarget = declared === undefined ? 'default' : renderText(declared, shown(file))
  return { profile, file, outputs: parsed.data.outputs, defaultTarget }
}

async function projectProfileName(projectDir: string): Promise<string> {
  const file = path.join(projectDir, 'dbt_project.yml')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) {
    throw failure(
      'DbtProjectInvalid',
      `there is no dbt project at ${shown(projectDir)} (no dbt_project.yml); check \`dbt: { project_dir: … }\` in the pipeline file`,
    )
  }
  const project = projectFileSchema.safeParse(parseYaml(text, file))
  if (!project.success) {
    throw failure('DbtProjectInvalid', `${shown(file)} names no profile; add a line such as \`profile: my_profile\``)
  }
  return project.data.profile
}

function parseYaml(text: string, file: string): unknown {
  try {
    // Without the excerpt that the library would add: the line may hold a password.
    return parse(text, { prettyErrors: false })
  } catch (error) {
    throw failure(
      'ProfileInvalid',
      `${shown(file)} is not valid YAML: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

async function firstExisting(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const found = await access(file).then(
      () => true,
      () => false,
    )
    if (found) return file
  }
  return undefined
}

function renderValue(value: unknown, render: (text: string) => unknown): unknown {
  if (typeof value === 'string') return render(value)
  if (Array.isArray(value)) return value.map((item) => renderValue(item, render))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renderValue(item, render)]))
  }
  return value
}

/** dbt's own filters only set a type, which the readers of the settings do themselves. */
const TYPE_FILTERS = /\|\s*as_(?:number|bool|native|text)\b/g

function renderText(text: string, where: string): string {
  if (!text.includes('{{') && !text.includes('{%')) return text
  const missing: string[] = []
  const lookUp = (name: string, fallback?: string): string => {
    const value = environmentVariable(name) ?? fallback
    if (value === undefined) missing.push(name)
    return value ?? ''
  }
  let rendered: string
  try {
    rendered = new Template(text.replaceAll(TYPE_FILTERS, '')).render({ env_var: lookUp })
  } catch (error) {
    throw failure(
      'ProfileInvalid',
      `${where}: '${text}' cannot be read (${error instanceof Error ? error.message : String(error)}); ` +
        `a profile may use env_var and Jinja's own filters`,
    )
  }
  if (missing.length > 0) {
    throw failure(
      'ProfileInvalid',
      `${where} needs ${missing.map((name) => `$${name}`).join(', ')}, which the worker's environment does not have; ` +
        `set it and start the worker again`,
    )
  }
  return rendered
}
