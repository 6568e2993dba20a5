// What is in the raw table and its ledger, past the adapter's code.
import type { CurrentLoad } from '../../../src/warehouses/warehouse.ts'
import { RAW, type WarehouseHarness } from '../harness.ts'
import type { PlainValue } from '../../support/rows/plain.ts'

type Looked = Pick<WarehouseHarness, 'query' | 'tables'>

/** Load and id of each raw row, `A1`; none where there is no table. */
export async function rows(warehouse: Looked): Promise<string[]> {
  if (!(await warehouse.tables('raw')).includes('logs')) return []
  const found = await warehouse.query('SELECT _load_id, id FROM raw.logs ORDER BY _load_id, id')
  return found.map((row) => `${String(row['_load_id'])}${String(row['id'])}`)
}

/** Values of a query's rows. */
export async function lists(warehouse: Looked, sql: string): Promise<PlainValue[][]> {
  return (await warehouse.query(sql)).map((row) => Object.values(row))
}

/** Load, and by which it was replaced, in the order of their moments; none where there is no ledger. */
export async function ledger(warehouse: Looked): Promise<PlainValue[][]> {
  if (!(await warehouse.tables('raw')).includes('millrace_loads')) return []
  return await lists(warehouse, 'SELECT load_id, replaced_by FROM raw.millrace_loads ORDER BY loaded_at, load_id')
}

/** Codes of the rejects that are kept; none where there is no table. */
export async function rejectCodes(warehouse: Looked): Promise<PlainValue[]> {
  if (!(await warehouse.tables('raw')).includes('logs__rejects')) return []
  const found = await warehouse.query('SELECT code FROM raw.logs__rejects ORDER BY _source_record')
  return found.map(({ code }) => code ?? null)
}

/** Everything that a load leaves, its tables apart. */
export async function remains(warehouse: Looked) {
  return { rows: await rows(warehouse), ledger: await ledger(warehouse), rejects: await rejectCodes(warehouse) }
}

export const NOTHING = { rows: [], ledger: [], rejects: [] }

export function current(warehouse: WarehouseHarness, batchId: string): Promise<CurrentLoad | undefined> {
  return warehouse.use((opened) => opened.currentLoad(RAW, batchId))
}
