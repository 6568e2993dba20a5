// The dbt profile's target: the one description of the warehouse connection, read as dbt reads it.
import { access, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { environmentVariable } from '../platform/environment.ts'
import { redactor } from '../platform/redaction.ts'
import { failure, type FailureType } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { isSecretKey, mayHoldSecret, secretsOf } from './profile-secrets.ts'
import { renderText } from './profile-text.ts'
import { readYaml } from './profile-yaml.ts'

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

export interface ProfileLocation {
  /** Absolute. */
  readonly projectDir: string
  /** Absolute; where left out, the project's folder and then ~/.dbt are tried, as dbt does. */
  readonly profilesDir?: string
}

/** Names of the targets that the project's profile has, and which is the default. */
export async function listTargets(location: ProfileLocation): Promise<{ targets: string[]; default: string }> {
  const { outputs, defaultTarget } = await readProfile(location)
  return { targets: Object.keys(outputs), default: defaultTarget() }
}

/**
 * Reads one target (the profile's default where none is named). Fails with ProfileMissing, ProfileInvalid or
 * TargetUnknown, each naming the file and what to put into it. Only the target that is read needs its variables.
 */
export async function readProfileTarget(location: ProfileLocation, target?: string): Promise<ProfileTarget> {
  const { profile, file, outputs, defaultTarget } = await readProfile(location)
  const name = target ?? defaultTarget()
  const output = outputs[name]
  if (output === undefined) {
    const known = Object.keys(outputs)
    throw failure(
      'TargetUnknown',
      `profile '${profile}' has no target '${name}'${didYouMean(name, known)}; ${shown(file)} has: ${known.join(', ')}. ` +
        `Add an output '${name}' there, or run with --target ${known[0] ?? 'dev'}`,
    )
  }
  const { value, secrets } = render(output, `${shown(file)}, target '${name}'`)
  const settings = value as Record<string, unknown> // what an object is rendered to
  return {
    profile,
    target: name,
    type: String(settings['type']),
    profilesDir: path.dirname(file),
    settings,
    secrets: [...new Set([...secretsOf(settings), ...secrets])],
  }
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
  const content = parseYaml(await readFile(file, 'utf8'), file, 'ProfileInvalid')
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
  const { target, outputs } = parsed.data
  const defaultTarget = () => (target === undefined ? 'default' : String(render(target, shown(file), 'target').value))
  return { profile, file, outputs, defaultTarget }
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
  const project = projectFileSchema.safeParse(parseYaml(text, file, 'DbtProjectInvalid'))
  if (!project.success) {
    throw failure('DbtProjectInvalid', `${shown(file)} names no profile; add a line such as \`profile: my_profile\``)
  }
  return String(render(project.data.profile, shown(file), 'profile').value)
}

function parseYaml(text: string, file: string, type: FailureType): unknown {
  const read = readYaml(text)
  if ('problem' in read) throw failure(type, `${shown(file)} is not valid YAML: ${read.problem}`)
  return read.value
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

/** All texts in a value rendered, and the secret variables that they used. Fails with all that is wrong in them. */
function render(value: unknown, where: string, key?: string): { value: unknown; secrets: readonly string[] } {
  const missing = new Set<string>()
  const problems: string[] = []
  const secrets: string[] = []
  const within = (item: unknown, keys: readonly string[]): unknown => {
    if (Array.isArray(item)) return (item as unknown[]).map((part, index) => within(part, [...keys, String(index)]))
    if (item !== null && typeof item === 'object') {
      return Object.fromEntries(Object.entries(item).map(([name, part]) => [name, within(part, [...keys, name])]))
    }
    if (typeof item !== 'string') return item
    const rendered = renderText(item, environmentVariable)
    if ('value' in rendered) {
      secrets.push(...rendered.secrets)
      return rendered.value
    }
    if ('missing' in rendered) for (const name of rendered.missing) missing.add(name)
    // As dbt has it: a password may look like Jinja.
    else if (keys.includes('password') && rendered.unparsed && !MEANT_AS_JINJA.test(item)) return item
    else problems.push(`${where}: ${describeProblem(item, keys, rendered)}`)
    return item
  }
  const rendered = within(value, key === undefined ? [] : [key])
  if (missing.size > 0) {
    const names = [...missing].map((name) => `$${name}`).join(', ')
    problems.unshift(
      `${where} needs ${names}, which the worker's environment does not have; ` +
        `set ${missing.size === 1 ? 'it' : 'them'} and start the worker again`,
    )
  }
  if (problems.length > 0) throw failure('ProfileInvalid', problems.join('\n'))
  return { value: rendered, secrets }
}

const MEANT_AS_JINJA = /env_var|\{%.*%\}/s

/** What cannot be a secret is quoted. */
function describeProblem(
  text: string,
  keys: readonly string[],
  { problem, variables }: { readonly problem: string; readonly variables: readonly string[] },
): string {
  const setting = keys.join('.')
  const advice = variables.length === 0 ? '' : `; look at ${variables.map((name) => `$${name}`).join(', ')}`
  if (keys.some(isSecretKey) || mayHoldSecret(text))
    return `the Jinja of ${setting} cannot be read, or gives another type than its filter asks for${advice}`
  return redactor([])(`${setting} '${text}' ${problem}${advice}`)
}
