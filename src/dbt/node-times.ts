// How long nodes usually take, from the last runs: for what is left of a command, and for nodes that are slow today.
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { errorCode, writeFileAtomically } from '../platform/files.ts'
import type { LedgerNode } from './ledger.ts'

const RUNS_KEPT = 5

const timesSchema = z.object({
  /** Nodes at work at the same time, on average. */
  parallel: z.array(z.number()),
  /** The last durations of each node, in ms, newest last. */
  nodes: z.record(z.string(), z.array(z.number())),
})

export interface UsualTimes {
  /** Medians in ms by unique id. */
  readonly medianMs: ReadonlyMap<string, number>
  readonly parallel: number
}

export const NO_TIMES: UsualTimes = { medianMs: new Map(), parallel: 1 }

/** Nothing where there is no such file, or one that cannot be read: these times are a convenience. */
export async function readUsualTimes(file: string): Promise<UsualTimes> {
  const times = await readTimes(file)
  if (times === undefined) return NO_TIMES
  return {
    medianMs: new Map(Object.entries(times.nodes).map(([id, durations]) => [id, median(durations)])),
    parallel: Math.max(1, median(times.parallel)),
  }
}

/** Adds the nodes of a command that succeeded, which took so long from the first to the last. */
export async function addTimes(file: string, nodes: readonly LedgerNode[], wallMs: number): Promise<void> {
  const before = (await readTimes(file)) ?? { parallel: [], nodes: {} }
  const durations = nodes.flatMap(({ uniqueId, result }) =>
    result === undefined ? [] : [[uniqueId, result.durationMs] as const],
  )
  if (durations.length === 0) return
  const worked = durations.reduce((sum, [, durationMs]) => sum + durationMs, 0)
  const kept = durations.map(([id, ms]) => [id, [...(before.nodes[id] ?? []), ms].slice(-RUNS_KEPT)])
  const parallel = [...before.parallel, Math.max(1, worked / Math.max(1, wallMs))].slice(-RUNS_KEPT)
  // Nodes that this command did not have stay: the next one may have them again.
  await writeFileAtomically(file, JSON.stringify({ parallel, nodes: { ...before.nodes, ...Object.fromEntries(kept) } }))
}

async function readTimes(file: string): Promise<z.output<typeof timesSchema> | undefined> {
  try {
    return timesSchema.safeParse(JSON.parse(await readFile(file, 'utf8'))).data
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}
