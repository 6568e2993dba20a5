// ingestTable: one entry's file into its raw table, exactly once. open → scan → type → reconcile → commit.
import { activityInfo } from '@temporalio/activity'
import type { IngestEntry } from '../pipeline/plan.ts'
import type { LoadReport } from '../pipeline/report.ts'
import { failure } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import { batchId, loadId } from '../ingest/load-id.ts'
import { scanFile, typeScannedFile } from '../ingest/read-file.ts'
import { groupByReason, type Reject } from '../ingest/rejects.ts'
import { faultPoint } from '../platform/fault.ts'
import { openLocalFile } from '../sources/local.ts'
import { rejectsTable, type CurrentLoad } from '../warehouses/warehouse.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { withWarehouse } from './with-warehouse.ts'

export interface IngestTableInput {
  readonly plan: RunContext
  readonly entry: IngestEntry
}

/**
 * Loads the file, or finds that this very load is its batch's current one. Either everything of it is in the warehouse
 * afterwards (rows, rejects, ledger row) or nothing; only the rejects of a load over its limit are kept.
 */
export function createIngestTable(deps: ActivityDeps) {
  return async function ingestTable({ plan, entry }: IngestTableInput): Promise<LoadReport> {
    return await withHeartbeat((show, abort) =>
      withWarehouse(deps, plan, abort, async ({ engine, scratchDir, open }) => {
        const startedAtMs = performance.now()
        const runId = activityInfo().workflowExecution?.runId ?? ''
        const file = await openLocalFile(deps.workspace.root, entry.file)
        try {
          const progress = (phase: 'scanning' | 'typing' | 'loading', doneBytes: number) =>
            show({ phase, doneBytes, totalBytes: file.sizeBytes })
          const scanned = await scanFile(file, entry.file, entry.contract, (doneBytes) => {
            abort.throwIfAborted()
            progress('scanning', doneBytes)
          })
          faultPoint('ingest:after-scan')
          const batch = batchId(plan, entry)
          const load = loadId(plan, entry, scanned.sha256)
          const warehouse = await open()
          const base = {
            loadId: load,
            into: tableText(entry.into),
            file: entry.file,
            rejectsTable: tableText(rejectsTable(entry.into)),
          }
          const current = await warehouse.currentLoad(entry.into, batch)
          if (current?.loadId === load) {
            return { ...base, ...describeLoad(current, runId), durationMs: elapsed(startedAtMs) }
          }

          progress('typing', 0)
          const rejects = await typeScannedFile(engine, file, scanned, entry.contract, scratchDir)
          faultPoint('ingest:after-typing')
          const commit = {
            table: entry.into,
            contract: entry.contract,
            loadId: load,
            batchId: batch,
            pipeline: plan.pipeline,
            runId,
            entry: entry.id,
            logicalDate: plan.logicalDate,
            params: entry.params,
            sourceFile: entry.file,
            read: scanned.records,
            loaded: scanned.records - rejects.length,
            superseded: 0,
            rejects,
            loadedAt: new Date().toISOString(),
          }
          if (rejects.length > entry.maxRejectShare * scanned.records) {
            await warehouse.keepRejects(commit)
            throw overLimit(entry, scanned.records, rejects)
          }
          progress('loading', file.sizeBytes)
          await warehouse.commitLoad({ ...commit, engine })
          faultPoint('ingest:after-commit')
          return {
            ...base,
            status: 'loaded',
            read: scanned.records,
            loaded: commit.loaded,
            superseded: 0,
            rejected: rejects.length,
            rejectReasons: groupByReason(rejects),
            loadedAt: commit.loadedAt,
            durationMs: elapsed(startedAtMs),
          }
        } finally {
          await file.handle.close()
        }
      }),
    )
  }
}

/** What this very run loaded before its worker died is its own work, not something it found done. */
function describeLoad({ loadId: _id, runId, ...counts }: CurrentLoad, thisRun: string) {
  return { ...counts, status: runId === thisRun ? ('loaded' as const) : ('already loaded' as const) }
}

function overLimit(entry: IngestEntry, records: number, rejects: readonly Reject[]) {
  const percent = (share: number) => `${(share * 100).toFixed(2)} %`
  const [first] = rejects
  const example =
    first === undefined ? '' : ` (first: record ${first.recordNumber}, line ${first.line}: ${first.message})`
  return failure(
    'RejectsOverLimit',
    `${entry.file}: ${rejects.length} of ${records} records were rejected, ${percent(rejects.length / records)} where ` +
      `${percent(entry.maxRejectShare)} are allowed${example}. Nothing was loaded; the rejects are in ` +
      `${tableText(rejectsTable(entry.into))}. Correct the file, or raise rejects.max_share in the pipeline file`,
  )
}

function elapsed(sinceMs: number): number {
  return Math.round(performance.now() - sinceMs)
}
