// Whether a dbt command did what it says: exit code, artifact and our own ledger must agree, and something must have run.
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import type { DbtReport, NodeReport } from '../pipeline/report.ts'
import type { GroupExit } from '../platform/subprocess.ts'
import { classifyText } from './failure-class.ts'
import { countByStatus, type DbtLedger, type LedgerNode } from './ledger.ts'

export interface DbtEvidence {
  readonly command: string
  /** How a person would select the same, for messages: `dbt run --select x`. */
  readonly commandText: string
  /** The items that were to be selected. */
  readonly select: readonly string[]
  readonly exit: GroupExit
  readonly ledger: DbtLedger
  /** Text of run_results.json; undefined when dbt wrote none. */
  readonly runResults: string | undefined
  /** Where the whole story is, for messages. */
  readonly logFile: string
}

const runResultsSchema = z.object({
  metadata: z.object({ invocation_id: z.string() }),
  results: z.array(z.object({ unique_id: z.string(), status: z.string() })),
})

const GOOD_STATUSES = new Set(['success', 'pass', 'warn', 'no-op', 'reused'])
const MAX_NODES_IN_REPORT = 40
const MAX_MESSAGE_CHARS = 300

/** The report of a command that ran and succeeded; throws the failure that fits otherwise. */
export function judge(evidence: DbtEvidence): DbtReport {
  const { ledger, exit } = evidence
  if (wasKilled(evidence)) throw killed(evidence)
  const bad = [...ledger.nodes.values()].filter((node) => !GOOD_STATUSES.has(node.result?.status ?? 'unfinished'))
  const silent = ledger.invocationId === undefined
  if (silent || ledger.errors.length > 0 || (exit.exitCode === 2 && bad.length === 0)) throw notStarted(evidence)
  const unmatched = ledger.unmatched.filter((criterion) => evidence.select.includes(criterion))
  if (unmatched.length > 0) {
    throw failure(
      'DbtNothingSelected',
      `${evidence.commandText}: ${unmatched.map((item) => `'${item}'`).join(', ')} matches nothing in the project, ` +
        `so something that was asked for was not done; correct \`select\` in the pipeline file (\`npx millrace check\` finds it)`,
    )
  }
  if (ledger.nothingSelected || ledger.nodes.size === 0) {
    throw failure(
      'DbtNothingSelected',
      `${evidence.commandText} found nothing to do, which would look like success; ` +
        `see what exists with \`dbt ls\` and correct \`select\` in the pipeline file`,
    )
  }
  if (bad.length > 0) throw nodesFailed(evidence, bad)
  const disagreement = findDisagreement(evidence)
  if (disagreement !== undefined) {
    throw failure(
      'DbtVerdictDisagrees',
      `${evidence.commandText} cannot be trusted: ${disagreement}; log: ${evidence.logFile}`,
    )
  }
  return report(evidence)
}

/** Throws unless `dbt parse` succeeded; it has no nodes to run and writes no run_results.json. */
export function judgeParse(evidence: DbtEvidence): void {
  if (wasKilled(evidence)) throw killed(evidence)
  if (evidence.exit.exitCode !== 0 || evidence.ledger.success !== true) throw notStarted(evidence)
}

/** A signal, or an end in the middle: dbt had begun and did not say that it was over. */
function wasKilled({ exit, ledger }: DbtEvidence): boolean {
  const begun = ledger.invocationId !== undefined
  return exit.signal !== undefined || (begun && ledger.success === undefined && exit.exitCode !== 2)
}

function killed({ exit, commandText, logFile }: DbtEvidence) {
  return failure(
    'DbtKilled',
    `${commandText} ended by ${exit.signal ?? `exit code ${exit.exitCode}`} before it was done ` +
      `(out of memory, or killed by hand?); log: ${logFile}`,
  )
}

/** dbt stopped before its first node: project, profile or connection. */
function notStarted({ ledger, exit, commandText, logFile }: DbtEvidence) {
  // A traceback's or usage text's last line is the one that says it.
  const lastWords = exit.stderrTail.trim().split('\n').at(-1)
  const text = (ledger.errors.join('\n') || lastWords || `exit code ${exit.exitCode}`).trim()
  const type = classifyText(text) ?? 'DbtProjectInvalid'
  return failure(type, `${commandText} could not start: ${clip(text)}; log: ${logFile}`)
}

function nodesFailed({ command, commandText, logFile }: DbtEvidence, bad: readonly LedgerNode[]) {
  const culprits = bad.filter(({ result }) => result?.status !== 'skipped')
  const shown = (culprits.length > 0 ? culprits : bad).slice(0, 3)
  const details = shown.map(({ name, result }) => `${name}: ${clip(result?.message || result?.status || 'unfinished')}`)
  const kinds = new Set(culprits.map(({ result }) => classifyText(result?.message ?? '')))
  const only = kinds.size === 1 ? [...kinds][0] : undefined
  const tests = culprits.every(({ resourceType }) => resourceType === 'test' || resourceType === 'unit_test')
  const type = only ?? (tests ? 'DbtTestsFailed' : 'DbtNodesFailed')
  const skipped = bad.length - culprits.length
  const also = skipped > 0 ? ` (and ${skipped} skipped behind them)` : ''
  const more = culprits.length > shown.length ? `; and ${culprits.length - shown.length} more` : ''
  const things = tests && command === 'test' ? 'test' : 'node'
  return failure(
    type,
    `${commandText}: ${culprits.length} ${things}${culprits.length === 1 ? '' : 's'} failed${also}: ` +
      `${details.join('; ')}${more}. Mend the model or the data, then start the run again; log: ${logFile}`,
  )
}

function findDisagreement({ exit, ledger, runResults }: DbtEvidence): string | undefined {
  if (exit.exitCode !== 0) return `no node failed, but its exit code is ${exit.exitCode}`
  if (ledger.success !== true) return 'it exits 0 but says that the command failed'
  if (runResults === undefined) return 'it wrote no run_results.json'
  const parsed = parseRunResults(runResults)
  if (parsed === undefined) return 'its run_results.json cannot be read'
  if (parsed.metadata.invocation_id !== ledger.invocationId) return 'run_results.json is of another invocation'
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
    : `run_results.json and the event stream disagree about ${different.slice(0, 3).join(', ')}`
}

function parseRunResults(text: string) {
  try {
    return runResultsSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function report({ command, ledger }: DbtEvidence): DbtReport {
  const nodes = nodeReports(ledger)
  return {
    command,
    invocationId: ledger.invocationId ?? '',
    counts: countByStatus(ledger),
    total: nodes.length,
    nodes: nodes
      .toSorted((a, b) => Number(b.status === 'warn') - Number(a.status === 'warn') || b.durationMs - a.durationMs)
      .slice(0, MAX_NODES_IN_REPORT),
  }
}

/** Every node of the ledger, in the order dbt took them up. */
export function nodeReports(ledger: DbtLedger): NodeReport[] {
  return [...ledger.nodes.values()].map(({ uniqueId, name, resourceType, result }) => ({
    uniqueId,
    name,
    resourceType,
    status: result?.status ?? 'unfinished',
    durationMs: result?.durationMs ?? 0,
    message: result === undefined || GOOD_STATUSES.has(result.status) ? null : clip(result.message),
  }))
}

function clip(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > MAX_MESSAGE_CHARS ? `${line.slice(0, MAX_MESSAGE_CHARS)}…` : line
}
