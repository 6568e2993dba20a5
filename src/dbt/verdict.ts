// Whether a dbt command did what it says: exit code, artifact and our own ledger must agree, and something must have run.
import path from 'node:path'
import { z } from 'zod'
import { DBT_RULES } from '../pipeline/dbt-command.ts'
import { failure, type FailureType } from '../pipeline/failure.ts'
import type { DbtFailureDetail, DbtReport, MartsAfterFailure, NodeReport } from '../pipeline/report.ts'
import { billedBytes } from './billed.ts'
import type { DbtEvidence } from './command.ts'
import { estimatedBytes, type Estimate } from './estimate.ts'
import { classify, FAILURE_CLASSES, type FailureClass } from './failure-class.ts'
import { countByStatus, isGood, type LedgerNode } from './ledger.ts'

/** What a command stands in: what was done before it, and what is to be told of it. */
export interface Standing {
  /** Nodes that earlier attempts finished; they are part of the report. */
  readonly done: readonly LedgerNode[]
  /** What this attempt had to do, where that is known: each of them must have come to an end. */
  readonly todo: readonly string[] | undefined
  /** Which marts are sound after these nodes failed. */
  readonly martsAfter: (nodes: readonly LedgerNode[]) => MartsAfterFailure | null
  /** Of what this attempt had to do; null where nobody asked. */
  readonly estimate: Estimate | null
}

export const ON_ITS_OWN: Standing = { done: [], todo: undefined, martsAfter: () => null, estimate: null }

const resultsSchema = z.object({
  metadata: z.object({ invocation_id: z.string() }),
  results: z.array(z.object({ unique_id: z.string(), status: z.string() })),
})

/** Reports travel through histories three times: a node is about 400 bytes. */
const MAX_NOTABLE_NODES = 30
const MAX_SLOWEST_NODES = 10
const MAX_DEAREST_NODES = 5
const MAX_MESSAGE_CHARS = 300
const MAX_NODE_MESSAGE_CHARS = 160

/**
 * The report of a command that ran and succeeded (with warnings where tests of severity warn found something). Throws the
 * failure that fits otherwise, with the report of what did run in its details.
 */
export function judge(evidence: DbtEvidence, standing: Standing = ON_ITS_OWN): DbtReport {
  const { ledger, exit, command, commandText } = evidence
  const report = makeReport(evidence, standing)
  const fail: Fail = (type, message) => failure(type, message, [dbtFailureDetail(type, report)])
  if (wasKilled(evidence)) {
    const by = exit.signal ?? `exit code ${exit.exitCode}`
    throw fail(
      'DbtKilled',
      `${commandText} ended by ${by} before it was done. ${FAILURE_CLASSES.killed.advice} Log: ${evidence.logFile}`,
    )
  }
  const bad = [...ledger.nodes.values()].filter((node) => !isGood(node))
  const hasFailed = bad.some(({ result }) => result !== undefined)
  const silent = ledger.invocationId === undefined
  // A node that failed tells more than what dbt said about its own end.
  if (!hasFailed && (silent || ledger.errors.length > 0 || isRefusal(evidence))) {
    throw stopped(evidence, fail)
  }
  const asked = new Set([...command.select, ...command.exclude])
  const unmatched = ledger.unmatched.filter((criterion) => asked.has(criterion))
  if (unmatched.some((item) => command.select.includes(item))) {
    throw fail(
      'DbtNothingSelected',
      `${commandText}: ${unmatched.map((item) => `'${item}'`).join(', ')} matches nothing in the project, ` +
        `so something that was asked for was not done; correct \`select\` in the pipeline file (\`npx millrace check\` finds it)`,
    )
  }
  const { evidence: kind } = DBT_RULES[command.command]
  if (
    (kind === 'nodes' || kind === 'sources' || ledger.nothingSelected) &&
    ledger.nodes.size === 0 &&
    standing.done.length === 0
  ) {
    throw fail(
      'DbtNothingSelected',
      `${commandText} found nothing to do, which would look like success; ` +
        `see what exists with \`dbt ls\` and correct \`select\` in the pipeline file`,
    )
  }
  if (bad.length > 0) throw nodesFailed(evidence, bad, fail)
  const disagreement = findDisagreement(evidence, standing)
  if (disagreement !== undefined) {
    throw fail('DbtVerdictDisagrees', `${commandText} cannot be trusted: ${disagreement}; log: ${evidence.logFile}`)
  }
  return report
}

/** Exit code 1 is for nodes that failed, 2 for all else. */
function isRefusal({ exit, ledger }: DbtEvidence): boolean {
  if (exit.exitCode === 0) return false
  return exit.exitCode !== 1 || (ledger.nodes.size === 0 && !ledger.nothingSelected)
}

type Fail = (type: FailureType, message: string) => Error

/** What the workflow is told beside the message. */
export function dbtFailureDetail(type: FailureType, report: DbtReport): DbtFailureDetail {
  const rule = Object.values(FAILURE_CLASSES).find((each) => each.type === type) ?? FAILURE_CLASSES.killed
  return { report, retryDelay: { firstMs: rule.firstDelayMs, maxMs: rule.maxDelayMs } }
}

/** A signal, or an end in the middle: dbt had begun and did not say that it was over. */
function wasKilled({ exit, ledger }: DbtEvidence): boolean {
  const begun = ledger.invocationId !== undefined
  return exit.signal !== undefined || (begun && ledger.success === undefined && exit.exitCode !== 2)
}

/** dbt stopped by itself, mostly before its first node: project, profile or connection. */
function stopped(evidence: DbtEvidence, fail: Fail): Error {
  const { command, ledger, exit, commandText, logFile, stderrTail } = evidence
  // A traceback's or usage text's last line is the one that says it.
  const lastWords = stderrTail.trim().split('\n').at(-1)
  const text = (
    ledger.errors.join('\n') ||
    lastWords ||
    `it ended with exit code ${exit.exitCode} and without a word`
  ).trim()
  const kind = classify(text)
  // Before the first node there is no data yet: what is not known is a matter of the project or of its set-up. An
  // operation has no nodes, and exits with 1 where its macro ran and failed.
  const isOperation = DBT_RULES[command.command].evidence === 'operation' && exit.exitCode === 1
  const isAboutProject = !isOperation && (kind === 'unknown' || kind === 'data' || kind === 'database')
  const type = isAboutProject ? 'DbtProjectInvalid' : FAILURE_CLASSES[kind].type
  const what = isOperation ? 'failed' : ledger.nodes.size > 0 ? 'stopped in the middle' : 'could not start'
  return fail(type, `${commandText} ${what}: ${clip(text, MAX_MESSAGE_CHARS)}; log: ${logFile}`)
}

function nodesFailed(evidence: DbtEvidence, bad: readonly LedgerNode[], fail: Fail): Error {
  const { commandText, logFile } = evidence
  const culprits = bad.filter(({ result }) => result?.status !== 'skipped')
  const blamed = culprits.length > 0 ? culprits : bad
  const kinds = blamed.map(failureClass)
  const [worst = 'unknown'] = kinds.toSorted((a, b) => severity(b) - severity(a))
  const tests = culprits.length > 0 && culprits.every(isTest)
  const things = `${tests ? 'test' : 'node'}${blamed.length === 1 ? '' : 's'}`
  const skipped = bad.length - culprits.length
  const also =
    skipped > 0 && culprits.length > 0 ? `, ${skipped} skipped behind ${culprits.length === 1 ? 'it' : 'them'}` : ''
  const shown = blamed.slice(0, 3).flatMap((node) => nodeLines(node, logFile))
  const more = blamed.length > 3 ? [`  and ${blamed.length - 3} more`] : []
  return fail(
    typeOf(worst),
    [
      `${commandText}: ${blamed.length} ${things} failed${also}. ${FAILURE_CLASSES[worst].advice}`,
      ...shown,
      ...more,
      `  all of it: ${path.dirname(logFile)}`,
    ].join('\n'),
  )
}

/** What a node failed of decides only where nothing that a retry cannot help failed beside it. */
function severity(kind: FailureClass): number {
  const { retry } = FAILURE_CLASSES[kind]
  if (retry !== 'no') return retry === 'once' ? 1 : 0
  return kind === 'data' ? 2 : 3
}

/** Nodes run, so the project is not what could not start. */
function typeOf(kind: FailureClass): FailureType {
  return kind === 'compile' ? 'DbtNodesFailed' : FAILURE_CLASSES[kind].type
}

function nodeLines(node: LedgerNode, logFile: string): string[] {
  const { name, resourceType, result, compiledFile, failuresTable } = node
  const said = clip(result?.message || result?.status || 'began and did not end', MAX_NODE_MESSAGE_CHARS)
  const folder = path.resolve(path.dirname(logFile))
  return [
    `  ${resourceType.replace('_', ' ')} ${name} (${failureClass(node)}): ${said}`,
    ...(compiledFile === undefined ? [] : [`    SQL: ${path.relative(folder, compiledFile)}`]),
    ...(failuresTable === undefined ? [] : [`    rows: select * from ${failuresTable}`]),
  ]
}

function isTest({ resourceType }: LedgerNode): boolean {
  return resourceType === 'test' || resourceType === 'unit_test'
}

/** A test that found something and a source that is stale are about the data, whatever their words are. */
function failureClass(node: LedgerNode): FailureClass {
  const { result, resourceType } = node
  if (result === undefined) return 'killed'
  if (isTest(node) && result.status === 'fail') return 'data'
  if (resourceType === 'source' && result.status === 'error') return 'data'
  return classify(result.message)
}

function findDisagreement(
  { exit, ledger, artifact, command }: DbtEvidence,
  { todo = [] }: Standing,
): string | undefined {
  if (exit.exitCode !== 0) return `no node failed, but its exit code is ${exit.exitCode}`
  if (ledger.success !== true) return 'it exits 0 but says that the command failed'
  const kind = DBT_RULES[command.command].evidence
  if (kind === 'none') return undefined
  const file = kind === 'sources' ? 'sources.json' : 'run_results.json'
  if (artifact === undefined) return `it wrote no ${file}`
  const parsed = parseResults(artifact)
  if (parsed === undefined) return `its ${file} cannot be read`
  if (parsed.metadata.invocation_id !== ledger.invocationId) return `${file} is of another invocation`
  if (kind === 'operation') {
    const done = parsed.results.length > 0 && parsed.results.every(({ status }) => status === 'success')
    return done ? undefined : `${file} does not say that the operation succeeded`
  }
  const missing = todo.filter((id) => ledger.nodes.get(id)?.result === undefined)
  if (missing.length > 0) return `it never came to ${missing.slice(0, 3).join(', ')}`
  // Hooks that succeeded stand in the file, but have no events of a node.
  const nodes = parsed.results.filter(
    ({ unique_id, status }) => !(unique_id.startsWith('operation.') && status === 'success'),
  )
  const inFile = new Map(nodes.map(({ unique_id, status }) => [unique_id, status]))
  const different = [...new Set([...inFile.keys(), ...ledger.nodes.keys()])].filter(
    (id) => inFile.get(id) !== ledger.nodes.get(id)?.result?.status,
  )
  return different.length === 0
    ? undefined
    : `${file} and the event stream disagree about ${different.slice(0, 3).join(', ')}`
}

function parseResults(text: string) {
  try {
    return resultsSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** What the command's ledger says of it, whatever came of it. */
export function makeReport({ command, ledger, logFile }: DbtEvidence, standing: Standing): DbtReport {
  const nodes = mergedNodes(ledger.nodes, standing.done)
  const takenOver = nodes.filter(({ uniqueId }) => !ledger.nodes.has(uniqueId)).length
  return reportOf(
    command.command,
    ledger.invocationId ?? '',
    nodes,
    takenOver,
    standing,
    path.resolve(path.dirname(logFile)),
  )
}

/** A command whose nodes had all been done before, or that must not do the others: dbt was not started. */
export function reportTakenOver(
  command: string,
  done: readonly LedgerNode[],
  estimate: Estimate | null = null,
): DbtReport {
  return reportOf(command, '', done, done.length, { martsAfter: () => null, estimate }, '')
}

/** Every node of a step: those of this attempt, with their attempts counted, and those done before. */
export function mergedNodes(now: ReadonlyMap<string, LedgerNode>, done: readonly LedgerNode[]): LedgerNode[] {
  return [...done.filter(({ uniqueId }) => !now.has(uniqueId)), ...now.values()]
}

function reportOf(
  command: string,
  invocationId: string,
  nodes: readonly LedgerNode[],
  takenOver: number,
  { martsAfter, estimate }: Pick<Standing, 'martsAfter' | 'estimate'>,
  folder: string,
): DbtReport {
  const failed = nodes.some((node) => !isGood(node))
  return {
    command,
    invocationId,
    counts: countByStatus(nodes),
    total: nodes.length,
    takenOver,
    nodes: reportedNodes(nodes).map((node) => nodeReport(node, estimate?.bytes.get(node.uniqueId) ?? null, folder)),
    bytesBilled: billedBytes(nodes),
    bytesEstimated: estimate === null ? null : estimatedBytes(estimate),
    notEstimated: estimate?.unknown.length ?? 0,
    marts: failed ? martsAfter(nodes) : null,
  }
}

function reportedNodes(nodes: readonly LedgerNode[]): LedgerNode[] {
  const sorted = nodes.toSorted(
    (a, b) => notable(b) - notable(a) || (b.result?.durationMs ?? 0) - (a.result?.durationMs ?? 0),
  )
  const quiet = sorted.filter((node) => notable(node) === 0)
  const dearest = quiet
    .slice(MAX_SLOWEST_NODES)
    .filter((node) => billed(node) > 0)
    .toSorted((a, b) => billed(b) - billed(a))
  return [
    ...sorted.slice(0, sorted.length - quiet.length).slice(0, MAX_NOTABLE_NODES),
    ...quiet.slice(0, MAX_SLOWEST_NODES),
    ...dearest.slice(0, MAX_DEAREST_NODES),
  ]
}

function billed({ result }: LedgerNode): number {
  return result?.bytesBilled ?? 0
}

/** Failed before skipped before warned before all others. */
function notable(node: LedgerNode): number {
  if (node.result?.status === 'skipped') return 2
  if (!isGood(node)) return 3
  return node.result?.status === 'warn' ? 1 : 0
}

function nodeReport(node: LedgerNode, bytesEstimated: number | null, folder: string): NodeReport {
  const { uniqueId, name, resourceType, result, attempt, compiledFile, failuresTable } = node
  const quiet = notable(node) === 0
  return {
    uniqueId,
    name,
    resourceType,
    status: result?.status ?? 'unfinished',
    durationMs: result?.durationMs ?? 0,
    attempt,
    rows: result?.rows ?? null,
    bytes: result?.bytes ?? null,
    bytesBilled: result?.bytesBilled ?? null,
    bytesEstimated,
    message: quiet || result === undefined ? null : clip(result.message, MAX_MESSAGE_CHARS),
    failureClass: isGood(node) || result?.status === 'skipped' ? null : failureClass(node),
    compiledFile: compiledFile === undefined ? null : path.relative(folder, compiledFile),
    failuresTable: failuresTable ?? null,
  }
}

function clip(text: string, chars: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > chars ? `${line.slice(0, chars)}…` : line
}
