// `millrace rejects PIPELINE --date …`: the records that a day's loads did not take, and why.
import { failure } from '../pipeline/failure.ts'
import { parseTableName, tableText, type TableName } from '../pipeline/identifier.ts'
import { loadPipeline } from '../pipeline/load.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import type { RunRequest } from '../pipeline/plan.ts'
import { formatCount } from '../pipeline/report.ts'
import { entryId, resolveRequest } from '../pipeline/request.ts'
import { MAX_RAW_BYTES } from '../ingest/rejects.ts'
import { rejectsTable, type StoredReject } from '../warehouses/warehouse.ts'
import type { Cli } from './cli.ts'
import { reasonLines } from './inspect.ts'
import { lookIntoWarehouse } from './look.ts'
import { color, say, sayError } from './terminal.ts'

const EXAMPLES = 3

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
  return await lookIntoWarehouse(workspace, definition, request.target, async (warehouse) => {
    for (const entry of chosen) {
      const table = parseTableName(entry.into) as TableName // the schema has checked its form
      const rejects = warehouse.readRejects(table, { pipeline, entry: entryId(entry), logicalDate })
      if (csv) await printRaw(rejects)
      else if (json) for await (const reject of rejects) say(JSON.stringify({ into: entry.into, ...reject }))
      else await printGrouped(table, logicalDate, rejects)
    }
    return 0
  })
}

async function printGrouped(
  table: TableName,
  logicalDate: string,
  rejects: AsyncIterable<StoredReject>,
): Promise<void> {
  const groups = new Map<string, { code: string; column: string | null; count: number; examples: StoredReject[] }>()
  const files = new Set<string>()
  let total = 0
  for await (const reject of rejects) {
    const { code, column, file } = reject
    const key = JSON.stringify([code, column])
    const group = groups.get(key) ?? { code, column, count: 0, examples: [] }
    groups.set(key, group)
    group.count++
    if (group.examples.length < EXAMPLES) group.examples.push(reject)
    files.add(file)
    total++
  }
  const head = `${color.bold(tableText(table))} · ${logicalDate}`
  if (total === 0) {
    say(`${head}  ${color.green('no rejects')}`)
    return
  }
  say(`${head}  ${formatCount(total)} rejected in ${[...files].join(', ')} (all in ${tableText(rejectsTable(table))})`)
  const commonestFirst = [...groups.values()].sort((a, b) => b.count - a.count)
  say(...commonestFirst.flatMap(reasonLines), '')
}

/** The records as they stood in their files, to be corrected and handed in again. */
async function printRaw(rejects: AsyncIterable<StoredReject>): Promise<void> {
  let cut = 0
  for await (const { rawText } of rejects) {
    say(rawText)
    if (Buffer.byteLength(rawText) >= MAX_RAW_BYTES - 4) cut++
  }
  if (cut > 0) sayError(`${cut} of them are longer than 8 KiB and stand here cut; take them from their files`)
}
