// Reads pipeline files: YAML with positions → checked definition, every problem of a file reported at once.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { isMap, isPair, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml'
import { pipelineJsonSchema, pipelineSchema, type PipelineDefinition } from './definition.ts'
import { failure } from './failure.ts'
import { resolveDate } from './logical-date.ts'
import { didYouMean } from './near-match.ts'

/** One thing that is wrong in a file: where, and what was expected. Lines and columns count from 1. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Workflow types that Millrace itself exports; a pipeline of that name would never be run as one. */
const RESERVED_NAMES = new Set(['lease', 'alert'])

/** Names (file names without ending) of all pipelines of a folder, sorted. */
export async function listPipelines(pipelinesDir: string): Promise<string[]> {
  const names = await readdir(pipelinesDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => name.replace(/\.ya?ml$/, ''))
    .sort()
}

/**
 * The definition of one pipeline. Fails with PipelineUnknown (and a near match) when there is no such file, and with
 * PipelineInvalid naming every problem as `file:line:column: message` when it is wrong.
 */
export async function loadPipeline(pipelinesDir: string, name: string): Promise<PipelineDefinition> {
  const known = await listPipelines(pipelinesDir)
  if (!known.includes(name)) {
    const have = known.length === 0 ? `there are none in ${pipelinesDir}/` : `known: ${known.join(', ')}`
    throw failure('PipelineUnknown', `there is no pipeline '${name}'${didYouMean(name, known)}; ${have}`)
  }
  const file = await pipelineFile(pipelinesDir, name)
  const result = parsePipeline(await readFile(file, 'utf8'), path.relative(process.cwd(), file) || file, name)
  if ('problems' in result) {
    throw failure('PipelineInvalid', result.problems.map(problemText).join('\n'))
  }
  return result.definition
}

export function problemText(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`
}

/** Parses one file's text. Pure; `expectedName` is the file's name without ending. */
export function parsePipeline(
  text: string,
  file: string,
  expectedName: string,
): { definition: PipelineDefinition } | { problems: Problem[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset)
    return { file, line, column: col, message }
  }
  if (document.errors.length > 0) {
    return { problems: document.errors.map((error) => at(error.pos[0], error.message)) }
  }
  let content: unknown
  try {
    content = document.toJS()
  } catch (error) {
    return { problems: [at(brokenAliasOffset(document), error instanceof Error ? error.message : String(error))] }
  }
  const parsed = pipelineSchema.safeParse(content)
  const located = (path: readonly PropertyKey[], message: string, key?: string) =>
    at(offsetOf(document, path, key), message)
  const issues = parsed.error?.issues ?? []
  const problems = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) =>
          located(issue.path, `unknown key '${key}'${didYouMean(key, keysAllowedAt(issue.path))}`, key),
        )
      : [located(issue.path, `${issue.path.join('.') || 'the file'}: ${explain(issue, document)}`)],
  )
  const named = new Set(issues.map((issue) => issue.path.join('.')))
  for (const { path, message } of crossChecks(partsSchema.parse(content), expectedName)) {
    if (!named.has(path.join('.'))) problems.push(located(path, message))
  }
  return parsed.success && problems.length === 0 ? { definition: parsed.data } : { problems: problems.sort(byPosition) }
}

const scalar = z.union([z.string(), z.number()])
const paramParts = z
  .object({ type: z.string().catch(''), default: scalar.optional().catch(undefined) })
  .catch({ type: '' })
const ingestParts = z
  .object({ files: z.string().catch(''), columns: z.array(z.object({ name: z.unknown() })).catch([]) })
  .catch({ files: '', columns: [] })
const stepParts = z.object({ ingest: z.array(ingestParts).catch([]) }).catch({ ingest: [] })
const scheduleParts = z.object({ params: z.record(z.string(), scalar.catch('')).catch({}) }).catch({ params: {} })

/** What the cross checks look at, as far as it can be read: a mistake of form must not hide one of meaning. */
const partsSchema = z
  .object({
    name: z.string().nullable().catch(null),
    params: z.record(z.string(), paramParts).catch({}),
    steps: z.array(stepParts).catch([]),
    schedules: z.record(z.string(), scheduleParts).catch({}),
  })
  .catch({ name: null, params: {}, steps: [], schedules: {} })

/** What the schema alone cannot say: names that must agree with each other. */
function crossChecks(
  { name, params: declared, steps, schedules }: z.output<typeof partsSchema>,
  expectedName: string,
): { path: PropertyKey[]; message: string }[] {
  const found: { path: PropertyKey[]; message: string }[] = []
  if (name !== null && name !== expectedName) {
    found.push({ path: ['name'], message: `name '${name}' must be the file's own, '${expectedName}'` })
  }
  if (name !== null && RESERVED_NAMES.has(name)) {
    found.push({ path: ['name'], message: `'${name}' is a workflow of Millrace itself; choose another name` })
  }
  const params = Object.keys(declared)
  for (const [param, { type, default: value }] of Object.entries(declared)) {
    if (value === undefined) continue
    const text = String(value)
    if (type === 'date' && resolveDate(text, 0) === undefined) {
      found.push({ path: ['params', param, 'default'], message: `'${text}' is not yesterday, today or YYYY-MM-DD` })
    }
    if (type === 'int' && !/^-?\d+$/.test(text)) {
      found.push({ path: ['params', param, 'default'], message: `'${text}' is not a whole number` })
    }
  }
  steps.forEach((step, stepIndex) => {
    step.ingest.forEach(({ files, columns }, entryIndex) => {
      const entry = ['steps', stepIndex, 'ingest', entryIndex]
      for (const used of placeholders(files)) {
        if (params.includes(used)) continue
        found.push({
          path: [...entry, 'files'],
          message: `{${used}} is not a param of this pipeline${didYouMean(used, params)}`,
        })
      }
      columns.forEach(({ name: column }, index) => {
        if (typeof column !== 'string' || columns.findIndex((other) => other.name === column) === index) return
        found.push({ path: [...entry, 'columns', index, 'name'], message: `column '${column}' stands there twice` })
      })
    })
  })
  for (const [schedule, { params: given }] of Object.entries(schedules)) {
    for (const [param, value] of Object.entries(given)) {
      const type = Object.hasOwn(declared, param) ? declared[param]?.type : undefined
      if (type === undefined) {
        found.push({
          path: ['schedules', schedule, 'params', param],
          message: `'${param}' is not a param of this pipeline${didYouMean(param, params)}`,
        })
      } else if (type === 'date' && resolveDate(String(value), 0) === undefined) {
        found.push({ path: ['schedules', schedule, 'params', param], message: `'${String(value)}' is not a date` })
      }
    }
  }
  return found
}

/** Names used as {name} in a text. */
export function placeholders(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
}

/** Where in the text the node at a path stands; for an unknown key, where that key stands. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], key?: string): number {
  const exact = document.getIn([...path], true) as Node | undefined
  if (key !== undefined && isMap(exact)) {
    const pair = exact.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
    const range = isScalar(pair?.key) ? pair.key.range : undefined
    if (range) return range[0]
  }
  if (exact?.range) return exact.range[0]
  return path.length === 0 ? 0 : offsetOf(document, path.slice(0, -1))
}

/** Where an alias without its anchor stands; the file's start where each has one (then there are too many). */
function brokenAliasOffset(document: Document.Parsed): number {
  let offset = 0
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return undefined
      offset = alias.range?.[0] ?? 0
      return visit.BREAK
    },
  })
  return offset
}

interface JsonSchemaNode {
  readonly properties?: Record<string, JsonSchemaNode>
  readonly items?: JsonSchemaNode
  readonly additionalProperties?: JsonSchemaNode | boolean
}

/** The keys that the schema knows at a path, for near matches. */
function keysAllowedAt(path: readonly PropertyKey[]): string[] {
  let node = pipelineJsonSchema() as JsonSchemaNode | undefined
  for (const part of path) {
    if (typeof part === 'number') node = node?.items
    else {
      const extra = node?.additionalProperties
      node = node?.properties?.[String(part)] ?? (typeof extra === 'object' ? extra : undefined)
    }
  }
  return Object.keys(node?.properties ?? {})
}

async function pipelineFile(pipelinesDir: string, name: string): Promise<string> {
  const entries = await readdir(pipelinesDir)
  return path.join(pipelinesDir, entries.includes(`${name}.yml`) ? `${name}.yml` : `${name}.yaml`)
}

function byPosition(a: Problem, b: Problem): number {
  return a.line - b.line || a.column - b.column
}

/** zod's message, with what was written and a near match where a word of a fixed list was expected. */
function explain(issue: z.core.$ZodIssue, document: Document.Parsed): string {
  const missing = issue.path.length > 0 && !document.hasIn(issue.path)
  if (issue.code === 'invalid_value') {
    const known = issue.values.map(String)
    const given = String(document.getIn(issue.path))
    return missing
      ? `is missing; one of ${known.join(', ')}`
      : `'${given}' is none of ${known.join(', ')}${didYouMean(given, known)}`
  }
  if (issue.code === 'invalid_type' && missing) return 'is missing'
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  return lowerFirst(issue.message)
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
