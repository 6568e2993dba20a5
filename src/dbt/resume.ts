// Exact resume: which nodes of a command are done, and how dbt is made to do just the others.
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { DbtCommand, DbtOptions } from '../pipeline/dbt-command.ts'
import { errorCode, readJsonFile, writeFileAtomically } from '../platform/files.ts'
import { keepArtifacts } from './artifacts.ts'
import { discardEvents, readAbandonedEvents, type DbtPlace, type Resume } from './command.ts'
import { endLeftover } from './launch.ts'
import { isGood, type DbtLedger, type LedgerNode } from './ledger.ts'
import type { Manifest } from './manifest.ts'

/** What the attempts before this one did, in their order. */
export interface EarlierAttempts {
  /** The latest word on each node. */
  readonly nodes: ReadonlyMap<string, LedgerNode>
  /** When the first of them began: microbatch models go by it. */
  readonly startedAt: string | undefined
  /** Unique ids of hooks that have run since the last node was done. */
  readonly hooks: ReadonlySet<string>
  /** Invocations that ended in the middle of nodes: their queries may still be at work in the warehouse. */
  readonly brokenOff: readonly BrokenOff[]
}

/** A dbt that was ended while nodes were running. */
export interface BrokenOff {
  readonly invocationId: string | null
  /** Unique ids of the nodes. */
  readonly nodes: readonly string[]
  /** ISO 8601, UTC. */
  readonly startedAt: string
}

export const NOTHING_DONE: EarlierAttempts = { nodes: new Map(), startedAt: undefined, hooks: new Set(), brokenOff: [] }

/** An account in the folder of an attempt, once its dbt has ended, and in the step's: what all its attempts came to. */
export interface AttemptLedger {
  /** Of the manifest it was made from: what was done from another one does not count. */
  readonly digest: string
  readonly invocationId?: string | undefined
  readonly startedAt: string | undefined
  readonly success: boolean | undefined
  /** Hooks that went well. */
  readonly hooks: readonly string[]
  readonly nodes: readonly LedgerNode[]
}

const LEDGER_FILE = 'ledger.json'

/** Folder in an attempt's for what dbt writes before the command itself: a parse, a listing. */
export const PLANNING = 'planning'

export async function writeLedger(folder: string, ledger: AttemptLedger): Promise<void> {
  await writeFileAtomically(path.join(folder, LEDGER_FILE), `${JSON.stringify(ledger, null, 1)}\n`)
}

/** To be called before dbt is started: should this worker die, its events are read as those of this manifest. */
export async function announceAttempt(attemptDir: string, digest: string): Promise<void> {
  await writeLedger(attemptDir, { digest, startedAt: undefined, success: undefined, hooks: [], nodes: [] })
}

type Place = Pick<DbtPlace, 'redact' | 'redactKnown'>

/**
 * Reads the attempts in a step's folder, after making sure that nothing of them lives. The events of an attempt whose
 * worker died were written by dbt itself, so they are complete. Attempts on another state of the project do not count.
 */
export async function earlierAttempts(stepDir: string, digest: string, place: Place): Promise<EarlierAttempts> {
  const nodes = new Map<string, LedgerNode>()
  const hooks = new Set<string>()
  const brokenOff: BrokenOff[] = []
  let startedAt: string | undefined
  const add = (ledger: AttemptLedger | undefined) => {
    if (ledger === undefined) return
    brokenOff.push(...runningNodes(ledger))
    if (ledger.digest !== digest) {
      // What it did took the place of what stood there before.
      if (ledger.nodes.length === 0) return
      nodes.clear()
      hooks.clear()
      return
    }
    startedAt ??= ledger.startedAt
    if (ledger.nodes.length > 0) hooks.clear()
    for (const hook of ledger.hooks) hooks.add(hook)
    for (const node of ledger.nodes) {
      // Skipped is what was not begun: it takes back nothing. Hooks belong to their attempt.
      if ((node.result?.status === 'skipped' && nodes.has(node.uniqueId)) || isHook(node)) continue
      nodes.set(node.uniqueId, node)
    }
  }
  add(await readLedger(stepDir))
  for (const attemptDir of await attemptDirs(stepDir)) {
    await endLeftover(attemptDir)
    await rm(path.join(attemptDir, PLANNING), { recursive: true, force: true })
    add((await abandonedLedger(attemptDir, nodes, place)) ?? (await readLedger(attemptDir)))
  }
  return { nodes, startedAt, hooks, brokenOff }
}

/** Folders `1.1`, `1.2`, `2.1`: number of the command's attempt, and of Temporal's attempts at that. */
async function attemptDirs(stepDir: string): Promise<string[]> {
  const names = await readdir(stepDir).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  const numbered = names.flatMap((name) => {
    const [, command, activity] = /^(\d+)\.(\d+)$/.exec(name) ?? []
    return command === undefined ? [] : { name, command: Number(command), activity: Number(activity) }
  })
  return numbered
    .toSorted((a, b) => a.command - b.command || a.activity - b.activity)
    .map(({ name }) => path.join(stepDir, name))
}

async function readLedger(folder: string): Promise<AttemptLedger | undefined> {
  return await readJsonFile<AttemptLedger>(path.join(folder, LEDGER_FILE))
}

/** Of an attempt that left its events, because its worker died; what it left otherwise is tidied up. */
async function abandonedLedger(
  attemptDir: string,
  before: ReadonlyMap<string, LedgerNode>,
  { redact, redactKnown }: Place,
): Promise<AttemptLedger | undefined> {
  const found = await readAbandonedEvents(attemptDir, redact)
  if (found === undefined) return undefined
  countAttempts(found, before)
  const { digest = '' } = (await readLedger(attemptDir)) ?? {}
  const ledger = ledgerOf(found, digest)
  await writeLedger(attemptDir, ledger)
  await discardEvents(attemptDir)
  await keepArtifacts(undefined, attemptDir, path.join(attemptDir, '..', '..'), ledger.nodes, redactKnown)
  return ledger
}

export function ledgerOf({ invocationId, startedAt, success, hooks, nodes }: DbtLedger, digest: string): AttemptLedger {
  return { digest, invocationId, startedAt, success, hooks: [...hooks], nodes: [...nodes.values()] }
}

/** The invocation, if it ended in the middle of nodes. */
export function runningNodes({ invocationId, startedAt, nodes }: Omit<AttemptLedger, 'digest'>): readonly BrokenOff[] {
  const running = nodes.filter(({ result }) => result === undefined).map(({ uniqueId }) => uniqueId)
  if (running.length === 0 || startedAt === undefined) return []
  return [{ invocationId: invocationId ?? null, nodes: running, startedAt }]
}

function isHook({ resourceType }: LedgerNode): boolean {
  return resourceType === 'operation'
}

/** How often each node was begun in its step: dbt itself knows of one invocation only. */
export function countAttempts(ledger: DbtLedger, before: ReadonlyMap<string, LedgerNode>): void {
  for (const [id, node] of ledger.nodes) {
    const times = before.get(id)?.attempt ?? 0
    if (times > 0) ledger.nodes.set(id, { ...node, attempt: times + node.attempt })
  }
}

/** Unique ids that are done, of those selected. */
export function doneNodes(earlier: Pick<EarlierAttempts, 'nodes'>, selected: readonly string[]): string[] {
  return selected.filter((id) => {
    const node = earlier.nodes.get(id)
    return node !== undefined && isGood(node)
  })
}

/**
 * Fills a folder by which `dbt retry --state` does the nodes of `todo` and no others: a run_results.json of version 6 in
 * which they are skipped and the rest succeeded. The form is that of dbt-core 1.12 (artifacts/schemas/run/v5, task/retry.py).
 */
export async function prepareRetry(
  stateDir: string,
  command: DbtCommand,
  place: Pick<DbtPlace, 'target'>,
  nodes: { readonly todo: readonly string[]; readonly done: readonly string[] },
  startedAt: string | undefined,
): Promise<Resume> {
  const at = startedAt ?? new Date().toISOString()
  const result = (uniqueId: string, status: string) => ({
    status,
    timing: [],
    thread_id: 'main',
    execution_time: 0,
    adapter_response: {},
    message: null,
    failures: null,
    unique_id: uniqueId,
    compiled: null,
    compiled_code: null,
    relation_name: null,
    batch_results: null,
  })
  const runResults = {
    metadata: {
      dbt_schema_version: 'https://schemas.getdbt.com/dbt/run-results/v6.json',
      dbt_version: '1.12.0',
      generated_at: at,
      invocation_id: null,
      invocation_started_at: at,
      env: {},
    },
    results: [
      ...nodes.done.map((id) => result(id, id.startsWith('test.') ? 'pass' : 'success')),
      ...nodes.todo.map((id) => result(id, 'skipped')),
    ],
    elapsed_time: 0,
    args: {
      which: command.command,
      target: place.target,
      log_format: 'json',
      log_level: 'debug',
      log_level_file: 'none',
      use_colors: false,
      send_anonymous_usage_stats: false,
      ...retryArgs(command.options),
    },
  }
  await writeFileAtomically(path.join(stateDir, 'run_results.json'), JSON.stringify(runResults))
  return { kind: 'dbt retry', stateDir }
}

/** Options as dbt stores them in its artifact. */
function retryArgs(options: DbtOptions): Record<string, unknown> {
  return {
    ...(options.fullRefresh === true ? { full_refresh: true } : {}),
    ...(options.failFast === true ? { fail_fast: true } : {}),
    ...(options.storeFailures === true ? { store_failures: true } : {}),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.vars === undefined ? {} : { vars: options.vars }),
    ...(options.eventTime === undefined
      ? {}
      : { event_time_start: options.eventTime.start, event_time_end: options.eventTime.end }),
  }
}

/**
 * The same by name, for a dbt that cannot retry: each node by its own address, tests only where they are named. dbt
 * takes an address for that of a folder, too, so what lies in one of that name is taken out again.
 */
export function resumeByName(manifest: Manifest, todo: readonly string[]): Resume {
  const fqn = new Map(manifest.nodes.map((node) => [node.uniqueId, node.fqn]))
  const wanted = new Set(todo.map((id) => fqn.get(id) ?? id.split('.')[2] ?? id))
  const within = [...fqn.values()].filter(
    (address) =>
      !wanted.has(address) &&
      [...wanted].some((folder) => address.startsWith(`${folder}.`)) &&
      // Taking it out would take out what lies in it, too.
      ![...wanted].some((inside) => inside.startsWith(`${address}.`)),
  )
  const select = [...wanted].map((address) => `fqn:${address}`)
  return { kind: 'by name', select, exclude: within.map((address) => `fqn:${address}`) }
}
