// What every round of a disturbed load begins and ends with: an old batch, a new one in the inbox, and a look at what there is.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { LoadReport } from '../../src/pipeline/report.ts'
import { startCuttingHttpProxy, type CuttingHttpProxy } from '../support/cutting-http-proxy.ts'
import type { LoadSite } from './load-sites.ts'
import { loadOnce, writeBatch, writeWorkspace, type Batch } from './one-load.ts'

export const OLD: Batch = { note: 'old', rows: 20_000, rejects: 2 }
export const NEW: Batch = { note: 'new', rows: 15_000, rejects: 3 }

/** The folder of a workspace, for this test. */
export async function makeRoot(): Promise<string> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-load-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  return root
}

export async function makeProxy(place: { readonly apiEndpoint: string }): Promise<CuttingHttpProxy> {
  const proxy = await startCuttingHttpProxy(place.apiEndpoint)
  onTestFinished(() => proxy.stop())
  return proxy
}

/** The old batch is loaded, the new one lies in the inbox. */
export async function prepare(root: string, site: LoadSite): Promise<void> {
  await writeWorkspace(root, site.output)
  await writeBatch(root, OLD)
  await loadOnce({ root, kind: site.kind, runId: 'run 1', attempt: 1 })
  await writeBatch(root, NEW)
}

/** `rows <note> <rows> <ids> <loads>`, `ledger <note> <read> <loaded> <rejected>`, `reject <text> <times> <of the current load> 0` */
type Look = string

/** What stands in the warehouse: the batches by what their rows say of themselves, what the ledger says of each, all rejects. */
export async function remains({ query }: LoadSite): Promise<readonly Look[]> {
  const current = 'select load_id from raw.millrace_loads where replaced_by is null'
  const found = await query(
    `select 'rows' as what, note as about, count(*) as a, count(distinct id) as b, count(distinct _load_id) as c
     from raw.logs group by note
     union all select 'ledger', note, records_read, records_loaded, records_rejected from raw.millrace_loads
     left join (select distinct note, _load_id from raw.logs) as loaded on _load_id = load_id where replaced_by is null
     union all select 'reject', raw_text, count(*), sum(case when _load_id in (${current}) then 1 else 0 end), 0
     from raw.logs__rejects group by raw_text`,
  )
  return found.map(({ what, about, a, b, c }) => [what, about, a, b, c].join(' ')).sort()
}

/** That, where exactly this batch is there. */
export function only({ note, rows, rejects }: Batch): readonly Look[] {
  const rejected = Array.from({ length: rejects }, (_, index) => `reject x${index},${note} 1 1 0`)
  return [`ledger ${note} ${rows + rejects} ${rows} ${rejects}`, ...rejected, `rows ${note} ${rows} ${rows} 1`]
}

/** The new batch, as the run's own work, whichever attempt did it. */
export function requireLoaded(report: LoadReport): void {
  const counts = { read: NEW.rows + NEW.rejects, loaded: NEW.rows, rejected: NEW.rejects }
  expect(report).toMatchObject({ status: 'loaded', ...counts })
}

/** No staging table is left. */
export async function requireTidy({ tables }: LoadSite): Promise<void> {
  expect([...(await tables())].sort()).toEqual(['logs', 'logs__rejects', 'millrace_loads'])
}
