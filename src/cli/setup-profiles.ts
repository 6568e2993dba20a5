// `millrace setup-profiles`: the dbt profile's targets for the warehouse that infra/ made, shown before they are written.
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline/promises'
import { z } from 'zod'
import { renderText } from '../dbt/profile-text.ts'
import { readYaml } from '../dbt/profile-yaml.ts'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { environmentVariable } from '../platform/environment.ts'
import { errorCode } from '../platform/files.ts'
import { hideSecrets } from '../setup/hide-secrets.ts'
import { outputsMissing, readOutputs, type Infrastructure } from '../setup/outputs.ts'
import { editProfiles, type EditedTarget } from '../setup/profiles.ts'
import { wantedTargets } from '../setup/targets.ts'
import { unifiedDiff } from '../setup/unified-diff.ts'
import type { Cli } from './cli.ts'
import { color, isTerminal, pad, say, sayError } from './terminal.ts'

export interface SetupProfilesFlags {
  readonly outputs: string
  readonly projectDir?: string
  readonly profilesDir?: string
  readonly replace?: readonly string[]
  readonly yes: boolean
}

const NAME_WIDTH = 12
const EXIT_CODE_OF_UNWRITTEN = 1

/** Exit code 0 when the file is as it should be, 1 when changes were shown but not written. */
export async function setupProfilesCommand(open: () => Cli, flags: SetupProfilesFlags): Promise<number> {
  const infrastructure = readOutputs(await readOutputsFile(flags.outputs), flags.outputs)
  const replace = flags.replace ?? []
  refuseUnknown(replace, infrastructure)

  const projectDir = path.resolve(flags.projectDir ?? path.join(open().workspace.root, 'dbt'))
  const profile = await profileName(projectDir)
  const file = path.join(path.resolve(flags.profilesDir ?? projectDir), 'profiles.yml')
  const before = await readIfThere(file)
  const edited = editProfiles(before, {
    file: shown(file),
    profile,
    targets: wantedTargets(infrastructure),
    replace,
  })

  const lines = edited.targets.map((target) => targetLine(target, infrastructure))
  const diff = unifiedDiff(hideSecrets(before ?? ''), hideSecrets(edited.text), shown(file))
  say(...diff.map(colored), ...(diff.length > 0 ? [''] : []), ...lines, color.dim(pipelineLine(infrastructure)))
  if (edited.text === before) {
    say(`${shown(file)}: nothing to change`)
    return 0
  }
  if (before === undefined) warnOfShadowing(file, flags)
  if (!flags.yes && !(await isConfirmed(file))) return EXIT_CODE_OF_UNWRITTEN
  if ((await readIfThere(file)) !== before) {
    throw failure('RequestInvalid', `${shown(file)} was changed by somebody else meanwhile; run it again`)
  }
  await writeKeepingMode(file, edited.text)
  const written = edited.targets.find(({ change }) => change !== 'kept' && change !== 'unchanged')
  say(`${shown(file)} is written; check it with: npx millrace check --target ${written?.name}`)
  return 0
}

async function readOutputsFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw outputsMissing(file)
    if (errorCode(error) === 'EISDIR') throw failure('RequestInvalid', `${file} is a folder; name the file in it`)
    throw error
  }
}

function refuseUnknown(replace: readonly string[], { environments }: Infrastructure): void {
  const known = environments.map(({ name }) => name)
  for (const name of replace.filter((given) => !known.includes(given))) {
    throw failure(
      'RequestInvalid',
      `--replace ${name}: the outputs have no environment of that name${didYouMean(name, known)}; they have: ${known.join(', ')}`,
    )
  }
}

async function profileName(projectDir: string): Promise<string> {
  const file = path.join(projectDir, 'dbt_project.yml')
  const text = await readIfThere(file)
  if (text === undefined) {
    throw failure(
      'DbtProjectInvalid',
      `there is no dbt project at ${shown(projectDir)} (no dbt_project.yml); name its folder: --project-dir PATH`,
    )
  }
  const read = readYaml(text)
  if ('problem' in read) throw failure('DbtProjectInvalid', `${shown(file)} is not valid YAML: ${read.problem}`)
  const named = z.looseObject({ profile: z.string().min(1) }).safeParse(read.value)
  if (!named.success) {
    throw failure('DbtProjectInvalid', `${shown(file)} names no profile; add a line such as \`profile: my_profile\``)
  }
  const rendered = renderText(named.data.profile, environmentVariable)
  if ('value' in rendered) return String(rendered.value)
  throw failure(
    'DbtProjectInvalid',
    `${shown(file)}: profile '${named.data.profile}' cannot be read; write the profile's name there, or set its variable`,
  )
}

function targetLine({ name, change, type }: EditedTarget, { project, environments }: Infrastructure): string {
  if (change === 'kept') {
    const what = type === undefined ? 'kept as it is' : `kept as it is (type ${type})`
    return `${pad(name, NAME_WIDTH)}${color.yellow(what)}: not written by this command; --replace ${name} writes it anew`
  }
  const environment = environments.find((known) => known.name === name)
  const way = `builds in ${project}.${environment?.dataset}, publishes to ${project}.${environment?.liveDataset}`
  return `${pad(name, NAME_WIDTH)}${change}: ${way}`
}

/** What the outputs say that no profile can hold. */
function pipelineLine({ landingBucket, environments }: Infrastructure): string {
  const to = environments.map(({ name, liveDataset }) => `${name}: ${liveDataset}`).join(', ')
  return `in pipeline files: publish: { to: { ${to} } } and bigquery: { staging_bucket: ${landingBucket} }`
}

/** dbt looks into the project's folder first: a file made there hides the one in the home folder. */
function warnOfShadowing(file: string, flags: SetupProfilesFlags): void {
  const home = path.join(homedir(), '.dbt', 'profiles.yml')
  if (flags.profilesDir === undefined && existsSync(home)) {
    sayError(
      `${color.yellow('note')}: with ${shown(file)}, dbt reads ${home} no more for this project; ` +
        `to write there instead: --profiles-dir ${path.dirname(home)}`,
    )
  }
}

async function isConfirmed(file: string): Promise<boolean> {
  if (!process.stdin.isTTY || !isTerminal()) {
    sayError(`nothing was written; to write ${shown(file)}, run the same command with --yes`)
    return false
  }
  const questions = createInterface({ input: process.stdin, output: process.stderr })
  const left = Promise.withResolvers<string>()
  questions.once('close', () => left.resolve('')) // Ctrl+C, Ctrl+D
  const answer = await Promise.race([questions.question(`Write ${shown(file)}? [y/N] `).catch(() => ''), left.promise])
  questions.close()
  const isYes = /^y(?:es)?$/i.test(answer.trim())
  if (!isYes) sayError('nothing was written')
  return isYes
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Never half a file; a link stays one, and a file that only its owner may read stays so: others' passwords may be in it. */
async function writeKeepingMode(given: string, text: string): Promise<void> {
  await mkdir(path.dirname(given), { recursive: true })
  const file = await realpath(given).catch(() => given)
  const mode = (await stat(file).catch(() => undefined))?.mode
  const temporary = `${file}.${process.pid}.tmp`
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
    await chmod(temporary, (mode ?? 0o644) & 0o777)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function colored(line: string): string {
  if (/^(?:---|\+\+\+) /.test(line)) return color.bold(line)
  if (line.startsWith('@@')) return color.cyan(line)
  if (line.startsWith('+')) return color.green(line)
  return line.startsWith('-') ? color.red(line) : line
}

/** A path as a person in the current folder would write it. */
function shown(file: string): string {
  return path.relative(process.cwd(), file) || '.'
}
