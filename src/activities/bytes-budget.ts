// A run's budget of bytes, where its pipeline file sets one: what dbt would read is asked for before it is run, and what it
// is billed is counted while it runs.
import { Context } from '@temporalio/activity'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { billedBytes } from '../dbt/billed.ts'
import { discardEvents, runDbt, type DbtPlace } from '../dbt/command.ts'
import { compiledSql, estimatedBytes, estimateNodes, readingNodes, type Estimate } from '../dbt/estimate.ts'
import type { LedgerNode } from '../dbt/ledger.ts'
import { readManifestFile, type Manifest } from '../dbt/manifest.ts'
import { PLANNING, resumeByName } from '../dbt/resume.ts'
import { dbtFailureDetail, judge } from '../dbt/verdict.ts'
import { formatByteSize } from '../pipeline/byte-size.ts'
import { DBT_RULES, type DbtCommand, type DbtVerb } from '../pipeline/dbt-command.ts'
import { describeFailure, failure, type FailureType } from '../pipeline/failure.ts'
import type { DbtReport } from '../pipeline/report.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { withWarehouse } from './with-warehouse.ts'

/** These run queries that can be told beforehand. */
const ESTIMATED: readonly DbtVerb[] = ['run', 'build', 'test', 'snapshot']

export interface EstimatedWork {
  readonly plan: RunContext
  readonly command: DbtCommand
  readonly place: DbtPlace
  readonly manifest: Manifest
  /** Unique ids of what is still to be done; undefined where only dbt itself knows. */
  readonly missing: readonly string[] | undefined
  /** Of the attempt. */
  readonly outputDir: string
  readonly runLabel: string
}

/**
 * What the missing nodes would read, by a `dbt compile` of just them and a dry run of each. Null where nobody wants to
 * know: without a budget, on a warehouse that does not bill by bytes. Null with a warning, too, where dbt cannot compile
 * or the warehouse does not answer: the command itself will tell.
 */
export async function estimateMissing(
  deps: ActivityDeps,
  work: EstimatedWork,
  abort: AbortSignal,
): Promise<Estimate | null> {
  const { plan, command, manifest, missing } = work
  if (plan.bigquery.maxBytesBilled === null || plan.warehouse.kind !== 'bigquery') return null
  if (!ESTIMATED.includes(command.command)) return null
  const reading = missing === undefined ? undefined : readingNodes(manifest, missing)
  if (reading?.length === 0) return { bytes: new Map(), unknown: [] }
  const folder = path.join(work.outputDir, PLANNING)
  try {
    const sql = await compile(work, reading, folder, abort)
    const ids = reading ?? readingNodes(manifest, [...sql.keys()].filter(isOf(command.command)))
    return await withWarehouse(deps, plan, abort, async ({ open }) => {
      const warehouse = await open()
      return await estimateNodes(ids, sql, async (text) => {
        abort.throwIfAborted()
        return await warehouse.estimateBytes(text).catch(unknownUnlessDown)
      })
    })
  } catch (error) {
    abort.throwIfAborted()
    Context.current().log.warn('what dbt will read could not be estimated', { ...describeFailure(error) })
    return null
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A compile makes more than the command does: tests, say, beside the models of a run. */
function isOf(command: DbtVerb): (uniqueId: string) => boolean {
  return (id) => DBT_RULES[command].types.includes(id.split('.')[0] ?? '')
}

async function compile(
  { command, place, manifest, runLabel }: EstimatedWork,
  ids: readonly string[] | undefined,
  outputDir: string,
  abort: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { selector, indirectSelection, fullRefresh, threads, vars } = command.options
  const options = { selector, indirectSelection, fullRefresh, threads, vars }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const compiling: DbtCommand = { ...command, command: 'compile', options: given }
  const resume = ids === undefined ? {} : { resume: resumeByName(manifest, ids) }
  const evidence = await runDbt({ ...place, command: compiling, outputDir, runLabel, ...resume }, {}, abort)
  abort.throwIfAborted()
  judge(evidence)
  await discardEvents(outputDir)
  return compiledSql(await readManifestFile(outputDir))
}

/** The next question would fail alike. */
const DOWN: readonly FailureType[] = ['WarehouseUnreachable', 'WarehouseBusy', 'WarehouseQuota']

/** A query is refused for what it reads: tables that this very command will make, mostly. */
function unknownUnlessDown(error: unknown): null {
  if (DOWN.includes(describeFailure(error).type)) throw error
  return null
}

export interface BytesBudget {
  /** Aborts once more was billed than the budget allows. */
  readonly passed: AbortSignal
  /** Takes note of what the nodes of this attempt were billed until now. */
  count(nodes: Iterable<LedgerNode>): void
  /** Fails with BudgetExceeded where the estimate does not fit into what is left. `report` is of what was done before. */
  requireRoomFor(estimate: Estimate | null, report: DbtReport): void
  /** The failure of a command that was ended because of it. */
  exceeded(report: DbtReport): Error
}

/** `billedBefore`: what the run was billed for its other steps; `earlier`: nodes that other attempts of this one ran. */
export function openBudget(
  {
    plan,
    command,
    billedBefore,
  }: { readonly plan: RunContext; readonly command: DbtVerb; readonly billedBefore: number },
  earlier: Iterable<LedgerNode>,
): BytesBudget {
  const limit = plan.bigquery.maxBytesBilled ?? Infinity
  const before = billedBefore + (billedBytes(earlier) ?? 0)
  const passed = new AbortController()
  const wayOut =
    `Have them read less, or raise \`bigquery: { max_bytes_billed }\` in pipelines/${plan.pipeline}.yml, ` +
    'and retry the run'
  const fail = (message: string, report: DbtReport) =>
    failure('BudgetExceeded', message, [dbtFailureDetail('BudgetExceeded', report)])
  let billed = before
  return {
    passed: passed.signal,
    count(nodes) {
      billed = before + (billedBytes(nodes) ?? 0)
      if (billed > limit) passed.abort()
    },
    requireRoomFor(estimate, report) {
      const bytes = estimate === null ? 0 : estimatedBytes(estimate)
      if (estimate === null || before + bytes <= limit) return
      const unknown = estimate.unknown.length
      const most = [...estimate.bytes].map(([id, size]) => [nameOf(id), size] as const)
      throw fail(
        `dbt ${command} would read about ${formatByteSize(bytes)}` +
          `${unknown === 0 ? '' : ` and what ${unknown} more node${unknown === 1 ? ' reads' : 's read'}`}, and the run was ` +
          `billed ${formatByteSize(before)} so far: more than its budget of ${formatByteSize(limit)}. Nothing of it was run. ` +
          `${mostText('Would read most', most)}${wayOut}`,
        report,
      )
    },
    exceeded(report) {
      const most = report.nodes.map(({ name, bytesBilled }) => [name, bytesBilled ?? 0] as const)
      return fail(
        `dbt ${command} was stopped: the run was billed ${formatByteSize(billed)} so far, more than its budget of ` +
          `${formatByteSize(limit)}. ${mostText('Read most', most)}${wayOut}: what was done is not done again`,
        report,
      )
    },
  }
}

/** `model.shop.orders` → `orders`. */
function nameOf(uniqueId: string): string {
  return uniqueId.split('.')[2] ?? uniqueId
}

/** `Read most: mart_users 15 GB, stg_logs 4 GB. `; nothing where none read anything. */
function mostText(title: string, sizes: readonly (readonly [name: string, bytes: number])[]): string {
  const most = sizes
    .filter(([, bytes]) => bytes > 0)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 3)
  return most.length === 0
    ? ''
    : `${title}: ${most.map(([name, bytes]) => `${name} ${formatByteSize(bytes)}`).join(', ')}. `
}
