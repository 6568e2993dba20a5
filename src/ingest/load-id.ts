// The identity of a load and of its batch: the same content for the same batch under the same rules is the same load.
import { createHash } from 'node:crypto'
import type { IngestEntry, Plan } from '../pipeline/plan.ts'
import { tableText } from '../pipeline/identifier.ts'

/** Raise it when the same bytes would be loaded as other values than before. */
const LOADER_VERSION = 1

export type BatchOwner = Pick<Plan, 'pipeline' | 'logicalDate'>

/** What one load replaces: raw table, pipeline, entry, logical date and the params that the entry uses. */
export function batchId(owner: BatchOwner, entry: IngestEntry): string {
  return digest([tableText(entry.into), owner.pipeline, entry.id, owner.logicalDate, sorted(entry.params)])
}

/** Digest of contents, batch, contract, mode and the loader's own version. */
export function loadId(owner: BatchOwner, entry: IngestEntry, contentSha256: string): string {
  const contract = entry.contract.map(({ name, type }) => [name, type])
  return digest([LOADER_VERSION, batchId(owner, entry), contentSha256, contract, entry.mode])
}

function sorted(params: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1))
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}
