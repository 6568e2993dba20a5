// A planned ingest entry with the defaults of a pipeline file, for tests that are about one of its parts.
import { DEFAULT_DIALECT } from '../../src/pipeline/dialect.ts'
import { parseColumnType } from '../../src/pipeline/column-type.ts'
import { identifier, tableText } from '../../src/pipeline/identifier.ts'
import type { ContractColumn, IngestEntry } from '../../src/pipeline/plan.ts'

export function ingestEntry(change: Partial<IngestEntry> = {}): IngestEntry {
  const into = change.into ?? { schema: identifier('raw'), table: identifier('logs') }
  return {
    id: tableText(into),
    into,
    files: `data/${into.table}.csv`,
    inbox: 'data',
    missing: 'fail',
    waitForMs: 0,
    mode: 'replace',
    params: {},
    maxRejectShare: 0,
    maxRejects: null,
    contract: [],
    extraColumns: 'strict',
    rawAsText: false,
    added: [],
    dialect: DEFAULT_DIALECT,
    timeZone: 'UTC',
    key: [],
    duplicates: 'reject',
    newestBy: null,
    ...change,
  }
}

/** Columns by name and type, as a pipeline file would declare them. */
export function contractOf(
  types: Readonly<Record<string, string>>,
  change: Partial<ContractColumn> = {},
): ContractColumn[] {
  return Object.entries(types).map(([name, type]) => {
    const parsed = parseColumnType(type)
    if (parsed === undefined) throw new Error(`unknown type ${type}`)
    return {
      name: identifier(name),
      header: name,
      type: parsed,
      origin: 'pipeline',
      optional: false,
      notNull: false,
      ...change,
    }
  })
}
