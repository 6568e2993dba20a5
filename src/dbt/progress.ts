// A dbt command as it stands: counts, what runs, what is slow, how long it will take; and the set of nodes that are done.
import { createHash } from 'node:crypto'
import type { DbtProgress, DoneSet, RunningNode } from '../pipeline/report.ts'
import { isGood, type DbtLedger, type LedgerNode } from './ledger.ts'
import type { UsualTimes } from './node-times.ts'

const MAX_RUNNING = 8
const MAX_SLOWEST = 3

/** Three times its usual time, and at least ten seconds more than it. */
const SLOW_FACTOR = 3
const SLOW_EXTRA_MS = 10_000

/** `selected`: unique ids of all nodes of the command, where they are known; without them no time can be told. */
export function progressOf(
  ledger: DbtLedger,
  done: readonly LedgerNode[],
  selected: readonly string[],
  usual: UsualTimes,
  nowMs: number,
): DbtProgress {
  const nodes = [...done.filter(({ uniqueId }) => !ledger.nodes.has(uniqueId)), ...ledger.nodes.values()]
  const ended = nodes.filter(({ result }) => result !== undefined)
  const running = nodes.filter(({ result }) => result === undefined).map((node) => runningNode(node, usual, nowMs))
  const withStatus = (test: (node: LedgerNode) => boolean) => ended.filter(test).length
  const skipped = withStatus(({ result }) => result?.status === 'skipped')
  return {
    phase: 'dbt',
    done: withStatus(isGood),
    failed: ended.length - withStatus(isGood) - skipped,
    warned: withStatus(({ result }) => result?.status === 'warn'),
    skipped,
    // dbt does not count all that it runs.
    total: Math.max(
      nodes.length,
      selected.length,
      ledger.total + done.filter(({ uniqueId }) => !ledger.nodes.has(uniqueId)).length,
    ),
    running: running.toSorted((a, b) => a.startedAtMs - b.startedAtMs).slice(0, MAX_RUNNING),
    slowest: ended
      .map(({ name, result }) => ({ name, durationMs: result?.durationMs ?? 0 }))
      .toSorted((a, b) => b.durationMs - a.durationMs)
      .slice(0, MAX_SLOWEST),
    leftMs: timeLeft(nodes, running, selected, usual, nowMs),
  }
}

function runningNode({ uniqueId, name, startedAt }: LedgerNode, usual: UsualTimes, nowMs: number): RunningNode {
  const startedAtMs = Date.parse(startedAt) || nowMs
  const usualMs = usual.medianMs.get(uniqueId) ?? null
  const elapsedMs = nowMs - startedAtMs
  const slow = usualMs !== null && elapsedMs > usualMs * SLOW_FACTOR && elapsedMs > usualMs + SLOW_EXTRA_MS
  return { name, startedAtMs, usualMs, slow }
}

/** The usual times of what is to come, done so many at a time as usual, and the rest of what runs. */
function timeLeft(
  begun: readonly LedgerNode[],
  running: readonly RunningNode[],
  selected: readonly string[],
  { medianMs, parallel }: UsualTimes,
  nowMs: number,
): number | null {
  const seen = new Set(begun.map(({ uniqueId }) => uniqueId))
  const ahead = selected.filter((id) => !seen.has(id))
  if (medianMs.size === 0 || ahead.some((id) => !medianMs.has(id))) return null
  const rest = running.map(({ usualMs, startedAtMs }) => Math.max(0, (usualMs ?? 0) - (nowMs - startedAtMs)))
  const work = ahead.reduce((sum, id) => sum + (medianMs.get(id) ?? 0), 0) + rest.reduce((sum, ms) => sum + ms, 0)
  return Math.max(work / parallel, ...rest, 0)
}

/** The nodes of a manifest that are done, as bits over the command's sorted ids: 375 bytes for 3,000 nodes. */
export function packDone(
  selected: readonly string[],
  manifestDigest: string,
  isDone: (uniqueId: string) => boolean,
): DoneSet {
  const ids = selected.toSorted()
  const bytes = new Uint8Array(Math.ceil(ids.length / 8))
  ids.forEach((id, index) => {
    const at = index >> 3
    if (isDone(id)) bytes[at] = (bytes[at] ?? 0) | (1 << (index & 7))
  })
  return { madeOver: digestOf(manifestDigest, ids), bits: Buffer.from(bytes).toString('base64') }
}

/** The ids that the set holds; none when it was made over another manifest or other ids. */
export function unpackDone(selected: readonly string[], manifestDigest: string, { madeOver, bits }: DoneSet): string[] {
  const ids = selected.toSorted()
  if (digestOf(manifestDigest, ids) !== madeOver) return []
  const bytes = Buffer.from(bits, 'base64')
  return ids.filter((_, index) => ((bytes[index >> 3] ?? 0) >> (index & 7)) & 1)
}

function digestOf(manifestDigest: string, ids: readonly string[]): string {
  return createHash('sha256')
    .update([manifestDigest, ...ids].join('\n'))
    .digest('hex')
    .slice(0, 16)
}
