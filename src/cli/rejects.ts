// `millrace rejects PIPELINE --date …`: the records that a day's loads did not take, and why.
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { InspectedReason } from '../ingest/inspect.ts'
import { profileLocation } from '../activities/make-plan.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { failure } from '../pipeline/failure.ts'
import { parseTableName, tableText, type TableName } from '../pipeline/identifier.ts'
import { loadPipeline } from '../pipeline/load.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { formatCount } from '../pipeline/report.ts'
import { entryId, resolveRequest } from '../pipeline/request.ts'
import { openEngine } from '../platform/duckdb.ts'
import { makeScratchDir } from '../platform/scratch.ts'
import { openWarehouse } from '../warehouses/open.ts'
import { rejectsTable, type StoredReject } from '../warehouses/warehouse.ts'
import type { Cli } from './cli.ts'
import { reasonLines } from './inspect.ts'
import { color, say, sayError } from './terminal.ts'

const EXAMPLES = 3
/** Raw texts are stored up to this length (ingest/rejects.ts). */
const MAX_RAW_BYTES = 8 * 1024

export async function rejectsCommand(
  { workspace }: Cli,
  pipeline: string,
  request: RunRequest,
  { into, csv, json }: { into?: string; csv: boolean; json: boolean },
): Promise<number> {
  const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
  const { logicalDate } = resolveRequest(definition, request, Date.now())
  const entries = definition.steps.flatMap(({ ingest }) => ingest ?? [])
  const chosen = entries.filter((entry) => into === undefined || into === entry.into || into === entryId(entry))
  if (chosen.length === 0) {
    const tables = entries.map(entryId)
    throw failure(
      'RequestInvalid',
      `pipeline '${pipeline}' does not load into '${into ?? ''}'${didYouMean(into ?? '', tables)}, tables: ${tables.join(', ') || 'none'}`,
    )
  }
  const location = profileLocation(definition, workspace.root)
  const target = await readProfileTarget(location, request.target)
  const scratchDir = await makeScratchDir(workspace.stateDir)
  const engine = await openEngine({ scratchDir })
  try {
    const warehouse = await openWarehouse(target, path.resolve(location.projectDir), engine, 'look')
    try {
      for (const entry of chosen) {
        const table = parseTableName(entry.into) as TableName // the schema has checked its form
        const rejects = await warehouse.readRejects(table, { pipeline, entry: entryId(entry), logicalDate })
        if (csv) printRaw(rejects)
        else if (json) for (const reject of rejects) say(JSON.stringify({ into: entry.into, ...reject }))
        else printGrouped(table, logicalDate, rejects)
      }
      return 0
    } finally {
      await warehouse.close()
    }
  } finally {
    engine.close()
    await rm(scratchDir, { recursive: true, force: true })
  }
}

function printGrouped(table: TableName, logicalDate: string, rejects: readonly StoredReject[]): void {
  const head = `${color.bold(tableText(table))} · ${logicalDate}`
  if (rejects.length === 0) {
    say(`${head}  ${color.green('no rejects')}`)
    return
  }
  const files = [...new Set(rejects.map(({ file }) => file))]
  say(
    `${head}  ${formatCount(rejects.length)} rejected in ${files.join(', ')} (all in ${tableText(rejectsTable(table))})`,
  )
  say(...byReason(rejects).flatMap(reasonLines), '')
}

/** The commonest first. */
function byReason(rejects: readonly StoredReject[]): InspectedReason[] {
  const groups = Map.groupBy(rejects, ({ code, column }) => JSON.stringify([code, column]))
  return [...groups.values()]
    .flatMap((group) => {
      const [first] = group
      if (first === undefined) return []
      return [{ code: first.code, column: first.column, count: group.length, examples: group.slice(0, EXAMPLES) }]
    })
    .sort((a, b) => b.count - a.count)
}

/** The records as they stood in their files, to be corrected and handed in again. */
function printRaw(rejects: readonly StoredReject[]): void {
  for (const { rawText } of rejects) say(rawText)
  const cut = rejects.filter(({ rawText }) => Buffer.byteLength(rawText) >= MAX_RAW_BYTES - 4)
  if (cut.length > 0)
    sayError(`${cut.length} of them are longer than 8 KiB and stand here cut; take them from their files`)
}
