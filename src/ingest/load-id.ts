// The identity of a load and of its batch: the same content for the same batch under the same rules is the same load.
import { createHash } from 'node:crypto'
import type { IngestEntry, Plan } from '../pipeline/plan.ts'
import { tableText } from '../pipeline/identifier.ts'

/** Raise it when the same bytes would be loaded as other values than before. */
const LOADER_VERSION = 2

export type BatchOwner = Pick<Plan, 'pipeline' | 'logicalDate'>

/**
 * What one load replaces: raw table, pipeline, entry, the params that the entry uses, and its logical date. A snapshot
 * takes the place of those of all dates. What is appended replaces nothing: its batch is its own content.
 */
export function batchId(owner: BatchOwner, entry: IngestEntry, contents: readonly string[]): string {
  const { logicalDate, pipeline } = owner
  const scope = { replace: [logicalDate], upsert: [logicalDate], snapshot: [], append: contents }[entry.mode]
  return digest([tableText(entry.into), pipeline, entry.id, sorted(entry.params), entry.mode === 'append', scope])
}

/**
 * Digest of contents (SHA-256 of each file, in their order), batch, and everything that decides what rows they become,
 * the loader's own version included.
 */
export function loadId(owner: BatchOwner, entry: IngestEntry, contents: readonly string[]): string {
  const { contract, extraColumns, added, dialect, mode, key, duplicates, newestBy, rawAsText, timeZone } = entry
  const columns = contract?.map(({ origin: _origin, ...column }) => column) ?? null
  const rules = [columns, extraColumns, added, dialect, mode, key, duplicates, newestBy, rawAsText, timeZone]
  return digest([LOADER_VERSION, batchId(owner, entry, contents), contents, rules])
}

function sorted(params: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1))
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}
