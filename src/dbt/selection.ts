// Asks dbt which nodes a selection matches: only dbt knows its selector language. Answers are cached, because dbt is slow.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import { DBT_RULES, type DbtCommand, type DbtVerb } from '../pipeline/dbt-command.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { readJsonFile, readTail, writeFileAtomically } from '../platform/files.ts'
import { bringPartialParse, DBT_ENVIRONMENT, discardEvents, type DbtPlace } from './command.ts'
import { eventsFile, stderrFile } from './launch.ts'
import type { Manifest, ManifestNode } from './manifest.ts'

const SCRIPT = fileURLToPath(new URL('check_selection.py', import.meta.url))
const STDERR_TAIL_BYTES = 16_384
const answerSchema = z.union([z.object({ nodes: z.array(z.array(z.string())) }), z.object({ error: z.string() })])

export interface SelectionPlace extends DbtPlace {
  /** For what dbt writes while it lists. */
  readonly outputDir: string
  /** Ours to fill. */
  readonly cacheDir: string
  readonly abort: AbortSignal
}

/**
 * The unique ids that each command would work on, in order; of commands that have no nodes, none. One dbt process for
 * all of them, none when they were asked for before on the same project. Fails with DbtProjectInvalid when dbt cannot list.
 */
export async function selectedNodes(
  place: SelectionPlace,
  manifest: Manifest,
  commands: readonly DbtCommand[],
): Promise<string[][]> {
  const questions = commands.map((command) => {
    const words = listWords(command, manifest)
    const digest = createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 16)
    return { command, words, file: path.join(place.cacheDir, `${manifest.digest}-${digest}.json`) }
  })
  const answers = await Promise.all(
    questions.map(
      async ({ command, file }) => withoutSelection(command, manifest) ?? (await readJsonFile<string[]>(file)),
    ),
  )
  // The same question may be asked of two commands.
  const open = new Map(
    questions.flatMap(({ file, words }, index) => (answers[index] === undefined ? [[file, words]] : [])),
  )
  const listed = open.size === 0 ? [] : await ask(place, [...open.values()])
  const found = new Map([...open.keys()].map((file, index) => [file, listed[index] ?? []]))
  await Promise.all([...found].map(([file, ids]) => writeFileAtomically(file, JSON.stringify(ids))))
  const ephemeral = new Set(manifest.nodes.filter(isNeverBuilt).map(({ uniqueId }) => uniqueId))
  return questions.map(({ file }, index) =>
    // dbt compiles an ephemeral model into those that use it; nothing is ever said of it.
    (answers[index] ?? found.get(file) ?? []).filter((id) => !ephemeral.has(id)),
  )
}

/** Without a selection a command takes all there is of its types, which the manifest knows as well as dbt. */
function withoutSelection({ command, select, exclude, options }: DbtCommand, manifest: Manifest): string[] | undefined {
  const types = typesOf(command, manifest)
  if (types.length === 0) return []
  const selecting = select.length > 0 || exclude.length > 0 || options.selector !== undefined
  if (selecting || manifest.hasDefaultSelector) return undefined
  return [
    ...manifest.nodes.filter(({ resourceType }) => types.includes(resourceType)),
    ...(types.includes('source') ? manifest.sources : []),
  ].map(({ uniqueId }) => uniqueId)
}

function isNeverBuilt({ materialized }: ManifestNode): boolean {
  return materialized === 'ephemeral'
}

/** A build makes functions, too; an older dbt does not know the word. */
function typesOf(command: DbtVerb, { nodes }: Manifest): readonly string[] {
  const { types } = DBT_RULES[command]
  const hasFunctions = command === 'build' && nodes.some(({ resourceType }) => resourceType === 'function')
  return hasFunctions ? [...types, 'function'] : types
}

/** The words of a `dbt ls` that lists what the command acts on. */
function listWords({ command, select, exclude, options }: DbtCommand, manifest: Manifest): string[] {
  const { selector, indirectSelection } = options
  return [
    ...(select.length > 0 ? ['--select', ...select] : []),
    ...(exclude.length > 0 ? ['--exclude', ...exclude] : []),
    ...(selector === undefined ? [] : ['--selector', selector]),
    ...(indirectSelection === undefined ? [] : ['--indirect-selection', indirectSelection]),
    ...typesOf(command, manifest).flatMap((type) => ['--resource-type', type]),
  ]
}

async function ask(place: SelectionPlace, selections: readonly string[][]): Promise<string[][]> {
  const { python, executable, projectDir, profilesDir, target, outputDir } = place
  await bringPartialParse(place)
  const where = ['--project-dir', projectDir, '--profiles-dir', profilesDir, '--target', target]
  const writing = ['--target-path', outputDir, '--log-path', outputDir, '--log-level-file', 'none']
  const request = path.join(outputDir, 'selections.json')
  await writeFileAtomically(request, JSON.stringify({ arguments: [...where, ...writing], selections }))
  await discardEvents(outputDir)
  const { ended } = await place.launch(
    {
      python,
      executable,
      script: SCRIPT,
      args: [request],
      projectDir,
      // As that of commands: a manifest that is kept warm holds for one environment.
      env: { ...DBT_ENVIRONMENT, ...place.env },
      outputDir,
    },
    place.abort,
  )
  await ended
  place.abort.throwIfAborted()
  const stdout = await readFile(eventsFile(outputDir), 'utf8')
  const stderr = await readTail(stderrFile(outputDir), STDERR_TAIL_BYTES)
  const answer = answerSchema.safeParse(parseLastLine(stdout)).data
  if (answer !== undefined && 'nodes' in answer) return answer.nodes
  const reason = place.redact(answer?.error ?? (stderr.trim().split('\n').at(-1) || 'dbt gave no answer'))
  throw failure(
    'DbtProjectInvalid',
    `dbt ls failed: ${reason}; run it by hand in ${path.relative(process.cwd(), projectDir) || '.'}`,
  )
}

function parseLastLine(stdout: string): unknown {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } catch {
    return undefined
  }
}

/** What a command asks for in vain. */
export interface EmptySelection {
  /** Index of the command. */
  readonly index: number
  /** A sentence that names the item and the nearest names that exist. */
  readonly message: string
}

/**
 * Every item of each command's select and exclude must match something of its own, and so must the whole. `compile`, `ls`
 * and commands without a selection are asked for the whole only.
 */
export async function emptySelections(
  place: SelectionPlace,
  manifest: Manifest,
  commands: readonly DbtCommand[],
): Promise<EmptySelection[]> {
  const asked = commands.flatMap((command, index) => questions(command).map((question) => ({ index, ...question })))
  const answers = await selectedNodes(
    place,
    manifest,
    asked.map(({ command }) => command),
  )
  const empty = asked.filter((_, at) => answers[at]?.length === 0)
  return empty
    .filter(({ index, item }) => item !== undefined || !empty.some((other) => other.index === index && other.item))
    .map(({ index, item, command }) => ({
      index,
      message:
        item === undefined
          ? `dbt ${command.command} ${selectionText(command)} selects nothing that it could work on${commaHint(command.select.find((each) => each.includes(',')) ?? '')}`
          : `'${item}' matches nothing${nearest(item, manifest)}`,
    }))
}

/** One question for the whole and one for each item. Items are asked for in general: `tag:x` may have models, but no test. */
function questions(command: DbtCommand): { readonly command: DbtCommand; readonly item?: string }[] {
  const { select, exclude, options } = command
  // Other vars can make other nodes: only dbt with these vars knows.
  if (DBT_RULES[command.command].types.length === 0 || options.vars !== undefined) return []
  const items = [...select, ...exclude].map((item) => ({
    item,
    command: { command: 'ls', select: [item], exclude: [], options: {} } as const,
  }))
  const whole = { command: { ...command, options: pickSelection(options) } }
  return [...items, ...(select.length + exclude.length > 0 || options.selector !== undefined ? [whole] : [])]
}

function pickSelection({ selector, indirectSelection }: DbtCommand['options']): DbtCommand['options'] {
  return {
    ...(selector === undefined ? {} : { selector }),
    ...(indirectSelection === undefined ? {} : { indirectSelection }),
  }
}

function selectionText({ select, exclude, options }: DbtCommand): string {
  if (options.selector !== undefined) return `--selector ${options.selector}`
  return [
    ...(select.length > 0 ? [`--select ${select.join(' ')}`] : []),
    ...exclude.map((item) => `--exclude ${item}`),
  ].join(' ')
}

function commaHint(item: string): string {
  if (!item.includes(',')) return ''
  const union = item.split(',').map((part) => part.trim())
  return `: a comma means what both sides have in common; for a union write [${union.join(', ')}]`
}

/** ` (did you mean 'x'?)`, by the kind of thing that the item names; a comma gets a word of its own. */
export function nearest(item: string, manifest: Manifest): string {
  const hint = commaHint(item)
  if (hint !== '') return hint
  const bare = item.replace(/^(?:@|\d*\+)/, '').replace(/\+\d*$/, '')
  const [, method, value = ''] = /^([\w.]+):(.*)$/.exec(bare) ?? []
  const { nodes, sources } = manifest
  const names = nodes.map(({ name }) => name)
  const tags = [...new Set([...nodes, ...sources].flatMap(({ tags: own }) => own))]
  switch (method) {
    case undefined: {
      const tagged = tags.includes(bare) ? ` (did you mean 'tag:${bare}'?)` : ''
      return tagged || didYouMean(bare, [...names, ...nodes.map(({ fqn }) => fqn)])
    }
    case 'tag':
      return (
        didYouMean(value, tags) ||
        (tags.length > 0 ? `; tags there are: ${tags.slice(0, 10).join(', ')}` : '; no node has a tag')
      )
    case 'path':
    case 'file':
      return didYouMean(value, [
        ...new Set(nodes.flatMap(({ file }) => [file, file.split('/').at(-1) ?? '', ...folders(file)])),
      ])
    case 'source':
      return didYouMean(
        value,
        sources.flatMap(({ sourceName, table }) => [sourceName, `${sourceName}.${table}`]),
      )
    case 'fqn':
      return didYouMean(value, [...names, ...nodes.map(({ fqn }) => fqn)])
    default:
      return ''
  }
}

function folders(file: string): string[] {
  const parts = file.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}
