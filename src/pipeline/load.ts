// Reads pipeline files: YAML with positions → checked definition, every problem of a file reported at once.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { z } from 'zod'
import { isMap, isPair, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml'
import { pipelineJsonSchema, pipelineSchema, type PipelineDefinition } from './definition.ts'
import { failure } from './failure.ts'
import { crossChecks } from './cross-checks.ts'
import { didYouMean } from './near-match.ts'

/** One thing that is wrong in a file: where, and what was expected. Lines and columns count from 1. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}

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
  // stringKeys: `null:` is a key of dialects, not the absence of one.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
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
  for (const { path, message } of crossChecks(content, expectedName)) {
    if (!named.has(path.join('.'))) problems.push(located(path, message))
  }
  return parsed.success && problems.length === 0 ? { definition: parsed.data } : { problems: problems.sort(byPosition) }
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
  readonly anyOf?: readonly JsonSchemaNode[]
}

/** The keys that the schema knows at a path, for near matches. */
function keysAllowedAt(path: readonly PropertyKey[]): string[] {
  let nodes = forms(pipelineJsonSchema() as JsonSchemaNode)
  for (const part of path) {
    nodes = nodes.flatMap((node) => {
      if (typeof part === 'number') return forms(node.items)
      const extra = node.additionalProperties
      return forms(node.properties?.[String(part)] ?? (typeof extra === 'object' ? extra : undefined))
    })
  }
  return nodes.flatMap((node) => Object.keys(node.properties ?? {}))
}

/** What a value may be: one thing, or one of several. */
function forms(node: JsonSchemaNode | undefined): JsonSchemaNode[] {
  return node === undefined ? [] : [node, ...(node.anyOf ?? []).flatMap(forms)]
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
