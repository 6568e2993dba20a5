// What dbt's nodes would read, asked for before they are run: which of them read at all, by which SQL, and the sum.
import { z } from 'zod'
import type { Manifest, ManifestNode } from './manifest.ts'

export interface Estimate {
  /** Bytes by unique id. */
  readonly bytes: ReadonlyMap<string, number>
  /** Nodes of which it could not be told: what they read is not there yet, say. */
  readonly unknown: readonly string[]
}

export function estimatedBytes({ bytes }: Estimate): number {
  return [...bytes.values()].reduce((sum, value) => sum + value, 0)
}

/** Rows of a seed are sent, those of a unit test stand in it; a view and a function are only stored. */
function readsTables({ resourceType, materialized }: ManifestNode): boolean {
  return !['seed', 'unit_test', 'function'].includes(resourceType) && materialized !== 'view'
}

/** Of these nodes the ones that read tables when they are run. */
export function readingNodes({ nodes }: Manifest, ids: readonly string[]): string[] {
  const reading = new Set(nodes.filter(readsTables).map(({ uniqueId }) => uniqueId))
  return ids.filter((id) => reading.has(id))
}

const compiledSchema = z.object({
  nodes: z.record(
    z.string(),
    z.object({
      language: z.string().nullish(),
      compiled_code: z.string().nullish(),
      config: z.looseObject({ incremental_strategy: z.string().nullish() }),
    }),
  ),
})

/**
 * SQL by unique id, of the manifest.json of a `dbt compile`. Python has none, and that of a microbatch model is not the
 * one that is run: compiled on its own it reads all batches.
 */
export function compiledSql(manifestText: string): ReadonlyMap<string, string> {
  const { nodes } = compiledSchema.parse(JSON.parse(manifestText))
  return new Map(
    Object.entries(nodes).flatMap(([id, { language, compiled_code: sql, config }]) =>
      typeof sql !== 'string' || language === 'python' || config.incremental_strategy === 'microbatch'
        ? []
        : [[id, sql] as const],
    ),
  )
}

const QUESTIONS_AT_ONCE = 8

/**
 * Asks for the bytes of each node; those without SQL, and those that `ask` answers with null, are unknown. What `ask`
 * throws ends it: then nothing more is asked.
 */
export async function estimateNodes(
  ids: readonly string[],
  sql: ReadonlyMap<string, string>,
  ask: (sql: string) => Promise<number | null>,
): Promise<Estimate> {
  const bytes = new Map<string, number>()
  const open = [...ids]
  const askOn = async () => {
    for (let id = open.shift(); id !== undefined; id = open.shift()) {
      const text = sql.get(id)
      const answer = text === undefined ? null : await ask(text)
      if (answer !== null) bytes.set(id, answer)
    }
  }
  try {
    await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, askOn))
  } finally {
    open.length = 0
  }
  return { bytes, unknown: ids.filter((id) => !bytes.has(id)) }
}
