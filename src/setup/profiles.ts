// profiles.yml with the targets that infra/ asks for: only their own lines change, byte by byte all others stay.
import { isDeepStrictEqual } from 'node:util'
import { isScalar, parseDocument } from 'yaml'
import { readYaml } from '../dbt/profile-yaml.ts'
import { failure } from '../pipeline/failure.ts'
import type { TargetSettings, WantedTarget } from './targets.ts'
import {
  applyPatches,
  columnOf,
  contentEnd,
  endOfLines,
  findPair,
  insertLines,
  isBlockMap,
  isEmptyValue,
  lineStart,
  scalarText,
  type ParsedMap,
  type ParsedPair,
  type Patch,
} from './yaml-text.ts'

export interface ProfilesEdit {
  /** How messages call the file. */
  readonly file: string
  readonly profile: string
  readonly targets: readonly WantedTarget[]
  /** Names of targets to write even where somebody else wrote them. */
  readonly replace: readonly string[]
}

export interface EditedTarget {
  readonly name: string
  /** kept: somebody else wrote it, and nobody asked to replace it. */
  readonly change: 'added' | 'updated' | 'replaced' | 'unchanged' | 'kept'
  /** Of a kept one. */
  readonly type?: string
}

export interface EditedProfiles {
  readonly text: string
  readonly targets: readonly EditedTarget[]
}

/** Inside the target, so that it moves and goes with it. Whoever removes it makes the target their own. */
const MARK =
  '# Written by millrace setup-profiles, which keeps it up to date; remove this line to keep the target as it is.'
const HAS_MARK = /^[ \t]*#[ \t]*written by millrace setup-profiles\b/im
const STEP = 2

/**
 * The file's text with each target added, or brought up to date where it is marked as ours; keys that a person added to
 * one of ours stay. `text` is undefined where there is no file yet. Fails with ProfileInvalid where the file is no profiles.yml, or
 * cannot be edited without touching what is not ours.
 */
export function editProfiles(text: string | undefined, edit: ProfilesEdit): EditedProfiles {
  const before = meaning(text ?? '', edit)
  let edited = text ?? ''
  const targets: EditedTarget[] = []
  for (const target of edit.targets) {
    const [change, patches] = placeTarget(edited, target, edit)
    edited = applyPatches(edited, patches)
    targets.push(change)
  }
  if (!isDeepStrictEqual(meaning(edited, edit), expected(before, targets, edit))) throw notEditable(edit)
  return { text: edited, targets }
}

function placeTarget(text: string, target: WantedTarget, edit: ProfilesEdit): [EditedTarget, readonly Patch[]] {
  const { name, settings } = target
  const place = findOutputs(text, target, edit)
  if (!('outputs' in place)) return [{ name, change: 'added' }, [place]]

  const { outputs, step } = place
  const column = columnOf(text, firstPair(outputs))
  const lines = targetLines(target, column, step)
  const found = findPair(outputs, name)
  if (found === undefined) return [{ name, change: 'added' }, [insertLines(text, endOfBlock(text, outputs), lines)]]

  const present = asMap(asMap(asMap(meaning(text, edit)[edit.profile])['outputs'])[name])
  const { type } = present
  if (isDeepStrictEqual(present, settings)) return [{ name, change: 'unchanged' }, []]
  // A kind of warehouse that we never write: somebody rewrote it and left our line.
  const isOurs = type === 'bigquery' && HAS_MARK.test(text.slice(found.key.range[0], contentEnd(found)))
  if (!isOurs && !edit.replace.includes(name)) {
    return [{ name, change: 'kept', ...(typeof type === 'string' ? { type } : {}) }, []]
  }
  const patches = isOurs && isBlockMap(found.value) ? updates(text, found.value, settings) : undefined
  if (patches !== undefined) return [{ name, change: patches.length === 0 ? 'unchanged' : 'updated' }, patches]
  const start = lineStart(text, found.key.range[0])
  const end = endOfLines(text, found, column + 1)
  return [{ name, change: 'replaced' }, [{ ...insertLines(text, start, lines), end }]]
}

/** The profile's block of targets; where it has none, what puts one in with this target. */
function findOutputs(
  text: string,
  target: WantedTarget,
  edit: ProfilesEdit,
): { readonly outputs: ParsedMap; readonly step: number } | Patch {
  // Where things stand; what they say, as dbt reads it, is asked of readYaml.
  const root = parseDocument(text, { prettyErrors: false, uniqueKeys: false }).contents
  const newOutputs = (column: number) => [`${blanks(column)}outputs:`, ...targetLines(target, column + STEP, STEP)]
  const inProfile = [`${blanks(STEP)}target: ${scalarText(defaultTarget(edit))}`, ...newOutputs(STEP)]
  const newProfile = [`${scalarText(edit.profile)}:`, ...inProfile]
  if (root === null) return insertLines(text, text.length, newProfile)
  if (!isBlockMap(root)) throw notEditable(edit)

  const profile = findPair(root, edit.profile)
  if (profile === undefined) return insertLines(text, endOfBlock(text, root), ['', ...newProfile])
  if (isEmptyValue(profile.value)) return insertLines(text, endOfLines(text, profile, Infinity), inProfile)
  if (!isBlockMap(profile.value)) throw notEditable(edit)

  const outputs = findPair(profile.value, 'outputs')
  const column = columnOf(text, outputs ?? firstPair(profile.value))
  if (outputs === undefined) return insertLines(text, endOfBlock(text, profile.value), newOutputs(column))
  const step = Math.max(1, column - columnOf(text, profile))
  if (isEmptyValue(outputs.value)) {
    return insertLines(text, endOfLines(text, outputs, Infinity), targetLines(target, column + step, step))
  }
  if (!isBlockMap(outputs.value)) throw notEditable(edit)
  return { outputs: outputs.value, step }
}

/** What brings a target of ours up to date; undefined where a setting is not a plain value any more. */
function updates(text: string, map: ParsedMap, settings: TargetSettings): readonly Patch[] | undefined {
  const patches: Patch[] = []
  const missing: string[] = []
  const column = columnOf(text, firstPair(map))
  for (const [key, wanted] of Object.entries(settings)) {
    const pair = findPair(map, key)
    if (pair === undefined) missing.push(`${blanks(column)}${key}: ${scalarText(wanted)}`)
    else if (isEmptyValue(pair.value)) {
      const end = contentEnd(pair)
      patches.push({ start: end, end, text: ` ${scalarText(wanted)}` })
    } else if (!isScalar(pair.value)) return undefined
    else if (pair.value.value !== wanted) {
      patches.push({ start: pair.value.range[0], end: pair.value.range[1], text: scalarText(wanted) })
    }
  }
  if (missing.length > 0) patches.push(insertLines(text, endOfBlock(text, map), missing))
  return patches
}

function firstPair(map: ParsedMap): ParsedPair {
  return map.items[0] as ParsedPair // a block map has items
}

/** Where a line can be added to a block map: behind its last pair and the comments that belong there. */
function endOfBlock(text: string, map: ParsedMap): number {
  const last = map.items.at(-1) as ParsedPair // a block map has items
  return endOfLines(text, last, columnOf(text, last))
}

function targetLines({ name, settings }: WantedTarget, column: number, step: number): readonly string[] {
  const inner = blanks(column + step)
  return [
    `${blanks(column)}${scalarText(name)}:`,
    inner + MARK,
    ...Object.entries(settings).map(([key, value]) => `${inner}${key}: ${scalarText(value)}`),
  ]
}

function blanks(count: number): string {
  return ' '.repeat(count)
}

function defaultTarget({ targets }: ProfilesEdit): string {
  return (targets.find(({ name }) => name === 'dev') ?? targets[0])?.name ?? 'dev'
}

/** What the edited file must say: what it said, and our targets. The texts are compared by their meaning, so no edit can damage. */
function expected(
  before: Readonly<Record<string, unknown>>,
  changes: readonly EditedTarget[],
  edit: ProfilesEdit,
): unknown {
  const profile = asMap(before[edit.profile] ?? { target: defaultTarget(edit) })
  const outputs = { ...asMap(profile['outputs']) }
  for (const { name, change } of changes) {
    const settings = edit.targets.find((target) => target.name === name)?.settings
    if (change === 'added' || change === 'replaced') outputs[name] = settings
    if (change === 'updated') outputs[name] = { ...asMap(outputs[name]), ...settings }
  }
  return { ...before, [edit.profile]: { ...profile, outputs } }
}

/** The file's content as dbt reads it. */
function meaning(text: string, { file }: ProfilesEdit): Record<string, unknown> {
  const read = readYaml(text)
  if ('problem' in read) throw failure('ProfileInvalid', `${file} is not valid YAML: ${read.problem}`)
  if (read.value === null || read.value === undefined) return {}
  if (typeof read.value === 'object' && !Array.isArray(read.value)) return read.value as Record<string, unknown> // a map
  throw failure('ProfileInvalid', `${file} is not a dbt profiles.yml: it is no map of profiles`)
}

function asMap(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {} // what YAML makes of a map
}

function notEditable({ file, profile }: ProfilesEdit) {
  return failure(
    'ProfileInvalid',
    `${file} writes profile '${profile}' in a way that cannot be edited without touching the rest (braces, anchors, or no map); ` +
      `write it as \`${profile}:\`, \`outputs:\` and the targets on lines of their own, then run it again`,
  )
}
