// What nodes were billed by a warehouse that bills by bytes, over all attempts of their step.
import { sumKnown } from '../pipeline/report.ts'
import type { DbtLedger, LedgerNode } from './ledger.ts'

/** Null where none of them says. */
export function billedBytes(nodes: Iterable<LedgerNode>): number | null {
  return sumKnown([...nodes].map(({ result }) => result?.bytesBilled))
}

/** Adds what earlier attempts were billed for a node that was run again: dbt itself knows of one invocation only. */
export function addBilled(ledger: DbtLedger, before: ReadonlyMap<string, LedgerNode>): void {
  for (const [id, node] of ledger.nodes) {
    const billed = before.get(id)?.result?.bytesBilled ?? null
    if (billed === null || node.result === undefined) continue
    ledger.nodes.set(id, { ...node, result: { ...node.result, bytesBilled: billed + (node.result.bytesBilled ?? 0) } })
  }
}

/** Of another run's nodes, which that run was billed for. */
export function withoutBill(nodes: ReadonlyMap<string, LedgerNode>): ReadonlyMap<string, LedgerNode> {
  return new Map(
    [...nodes].map(([id, node]) => [
      id,
      node.result === undefined ? node : { ...node, result: { ...node.result, bytesBilled: null } },
    ]),
  )
}
