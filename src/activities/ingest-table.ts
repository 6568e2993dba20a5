// ingestTable: one entry's files into its raw table, exactly once. find → digest → match → stream → commit.
import { activityInfo } from '@temporalio/activity'
import type { IngestEntry } from '../pipeline/plan.ts'
import type { LoadReport, Progress, RejectReason } from '../pipeline/report.ts'
import type { StreamCounts } from '../ingest/load-stream.ts'
import { failure } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import { digestFile } from '../ingest/digest.ts'
import { batchId, loadId } from '../ingest/load-id.ts'
import { openLoadStream } from '../ingest/load-stream.ts'
import { loadFiles, matchFiles, rawColumns, type NamedFile } from '../ingest/shape.ts'
import { fetchHttp } from '../sources/http.ts'
import { faultPoint } from '../platform/fault.ts'
import {
  rejectsTable,
  type CurrentLoad,
  type EntryOwner,
  type LedgerFile,
  type LoadCommit,
  type Warehouse,
} from '../warehouses/warehouse.ts'
import type { ActivityDeps, RunContext } from './context.ts'
import { missingFiles, openEntryFiles } from './entry-files.ts'
import { withHeartbeat } from './heartbeat.ts'
import { withWarehouse, type OpenPlace } from './with-warehouse.ts'

export interface IngestTableInput {
  readonly plan: RunContext
  readonly entry: IngestEntry
}

type Show = (progress: Progress) => void

/**
 * Loads the entry's files, or finds that this very load is its batch's current one. Either everything of it is in the
 * warehouse afterwards (rows, rejects, ledger row) or nothing; only the rejects of a load over its limit are kept.
 */
export function createIngestTable(deps: ActivityDeps) {
  return async function ingestTable({ plan, entry }: IngestTableInput): Promise<LoadReport> {
    const startedAtMs = performance.now()
    const report = await withHeartbeat((show, abort) =>
      withWarehouse(deps, plan, abort, async (place) => {
        const files = await openFiles(deps.workspace.root, entry, place.scratchDir, abort)
        try {
          const loaded = await ingest(plan, entry, files, place, abort, show)
          return { ...loaded, bytesBilled: place.bytesBilled() }
        } finally {
          await Promise.all(files.map(({ file }) => file.handle.close()))
        }
      }),
    )
    return { ...report, durationMs: Math.round(performance.now() - startedAtMs) }
  }
}

async function openFiles(
  root: string,
  entry: IngestEntry,
  scratchDir: string,
  abort: AbortSignal,
): Promise<NamedFile[]> {
  if (entry.http === undefined) return await openEntryFiles(root, entry)
  return [{ name: entry.files, file: await fetchHttp(entry.http, entry.files, scratchDir, abort) }]
}

async function ingest(
  plan: RunContext,
  entry: IngestEntry,
  found: readonly NamedFile[],
  place: OpenPlace,
  abort: AbortSignal,
  show: Show,
): Promise<Omit<LoadReport, 'durationMs' | 'bytesBilled'>> {
  const base = {
    into: tableText(entry.into),
    file: entry.files,
    files: found.length,
    rejectsTable: tableText(rejectsTable(entry.into)),
    identicalFiles: [] as readonly string[],
  }
  if (found.length === 0) {
    if (entry.missing !== 'skip') throw missingFiles(entry)
    return { ...base, ...NOTHING, status: 'skipped' }
  }
  const all = await digestFiles(found, abort, show)
  const warehouse = await place.open()
  const runId = activityInfo().workflowExecution?.runId ?? ''
  const { files, known, identical } = await whatIsNew(plan, entry, all, warehouse)
  const contents = files.map(({ sha256 }) => sha256)
  const batch = batchId(plan, entry, contents)
  const load = loadId(plan, entry, contents)
  const current = known ?? (await warehouse.currentLoad(entry.into, batch))
  const unchanged = { ...base, identicalFiles: identical }
  // The same state again on a later day: loaded anew, so that the table says which day it is of.
  const isOlder = entry.mode === 'snapshot' && current !== undefined && current.logicalDate < plan.logicalDate
  if (current !== undefined && !isOlder && (known !== undefined || current.loadId === load)) {
    // What this very run loaded before its worker died is its own work, not something it found done.
    const { logicalDate: _date, files: _files, runId: loadedBy, ...counts } = current
    return { ...unchanged, ...counts, removed: 0, status: loadedBy === runId ? 'loaded' : 'already loaded' }
  }
  if (entry.mode === 'snapshot' && current !== undefined && current.logicalDate > plan.logicalDate) {
    return { ...unchanged, ...NOTHING, loadId: current.loadId, loadedAt: current.loadedAt, status: 'newer snapshot' }
  }

  faultPoint('ingest:after-digest')
  const values = { loadId: load, loadedAt: new Date().toISOString(), logicalDate: plan.logicalDate }
  const remembered =
    entry.contract === null || entry.extraColumns === 'evolve'
      ? await warehouse.rememberedContract(entry.into, ownerOf(plan, entry))
      : undefined
  const matched = await matchFiles(entry, files, remembered)
  const streamed = loadFiles(entry, matched, values)
  const [first] = streamed
  if (first === undefined) throw new Error('a load has at least one file')
  const totalBytes = files.reduce((sum, { file }) => sum + file.sizeBytes, 0)
  const rate = rateSince(performance.now())
  const stream = openLoadStream(streamed, entry, {
    ...place,
    abort,
    onProgress({ doneBytes, records }) {
      faultPoint('ingest:while-streaming')
      show({ phase: 'loading', doneBytes, totalBytes, records, bytesPerSecond: rate(doneBytes) })
    },
  })
  const commit: LoadCommit = {
    stream,
    table: entry.into,
    columns: rawColumns(first.shape, entry.extraColumns === 'evolve'),
    contract: matched.contract,
    mayHaveMore: entry.extraColumns === 'evolve',
    mode: entry.mode,
    key: entry.key,
    batchId: batch,
    pipeline: plan.pipeline,
    runId,
    entry: entry.id,
    params: entry.params,
    files: files.map(({ name, sha256, sizeBytes }) => ({ name, sha256, sizeBytes })),
    ...values,
  }
  let tooMany: StreamCounts | undefined
  try {
    const counts = await warehouse.commitLoad(commit, (counts) => {
      if (isWithinLimit(entry, counts)) return
      tooMany = counts
      throw overLimit(plan, entry, counts, [])
    })
    faultPoint('ingest:after-commit')
    return { ...unchanged, ...values, ...counts, status: 'loaded' }
  } catch (error) {
    if (tooMany === undefined) throw error
    // The transaction is undone; what was wrong with the records is kept and told.
    throw overLimit(plan, entry, tooMany, await warehouse.keepRejects(commit))
  }
}

const NOTHING = {
  loadId: '',
  loadedAt: '',
  read: 0,
  loaded: 0,
  superseded: 0,
  rejected: 0,
  removed: 0,
  rejectReasons: [],
}

function rateSince(startedAtMs: number): (doneBytes: number) => number {
  return (doneBytes) => Math.round(doneBytes / Math.max(0.001, (performance.now() - startedAtMs) / 1000))
}

interface DigestedFile extends NamedFile, LedgerFile {}

async function digestFiles(found: readonly NamedFile[], abort: AbortSignal, show: Show): Promise<DigestedFile[]> {
  const totalBytes = found.reduce((sum, { file }) => sum + file.sizeBytes, 0)
  const digested: DigestedFile[] = []
  const rate = rateSince(performance.now())
  let before = 0
  for (const { name, file } of found) {
    const sha256 = await digestFile(file, (done) => {
      abort.throwIfAborted()
      const doneBytes = before + done
      show({ phase: 'reading', doneBytes, totalBytes, records: 0, bytesPerSecond: rate(doneBytes) })
    })
    before += file.sizeBytes
    digested.push({ name, file, sha256, sizeBytes: file.sizeBytes })
  }
  return digested
}

/**
 * Of an entry that appends, the files whose contents it never loaded, each content once; `known` is the load that has
 * the last of them when there is nothing new. Of any other entry all files.
 */
async function whatIsNew(
  plan: RunContext,
  entry: IngestEntry,
  all: readonly DigestedFile[],
  warehouse: Warehouse,
): Promise<{ files: readonly DigestedFile[]; known: CurrentLoad | undefined; identical: readonly string[] }> {
  if (entry.mode !== 'append') return { files: all, known: undefined, identical: [] }
  const loaded = await warehouse.loadedFiles(entry.into, ownerOf(plan, entry))
  const seen = new Map<string, string>()
  const files: DigestedFile[] = []
  const identical: string[] = []
  for (const file of all) {
    const earlier =
      loaded.get(file.sha256)?.files.find(({ sha256 }) => sha256 === file.sha256)?.name ?? seen.get(file.sha256)
    if (earlier === undefined) files.push(file)
    else if (earlier !== file.name) identical.push(`${file.name} = ${earlier}`)
    seen.set(file.sha256, file.name)
  }
  const last = all.at(-1)
  return { files, known: files.length > 0 || last === undefined ? undefined : loaded.get(last.sha256), identical }
}

function ownerOf({ pipeline }: RunContext, { id, params }: IngestEntry): EntryOwner {
  return { pipeline, entry: id, params }
}

function isWithinLimit({ maxRejectShare, maxRejects }: IngestEntry, { rejected, read }: StreamCounts): boolean {
  return rejected <= maxRejectShare * read && (maxRejects === null || rejected <= maxRejects)
}

function overLimit(plan: RunContext, entry: IngestEntry, counts: StreamCounts, reasons: readonly RejectReason[]) {
  const percent = (share: number) => `${Number((share * 100).toFixed(3))} %`
  const allowed = [percent(entry.maxRejectShare), ...(entry.maxRejects === null ? [] : [`at most ${entry.maxRejects}`])]
  const told = reasons
    .slice(0, 3)
    .map(({ code, column, count }) => `${count} × ${code}${column === null ? '' : ` (${column})`}`)
  return failure(
    'RejectsOverLimit',
    `${entry.files}: ${counts.rejected} of ${counts.read} records were rejected, ` +
      `${percent(counts.rejected / counts.read)} where ${allowed.join(', ')} are allowed (${told.join(', ')}). ` +
      `Nothing was loaded; the rejects are in ${tableText(rejectsTable(entry.into))}: ` +
      `npx millrace rejects ${plan.pipeline} --date ${plan.logicalDate} --target ${plan.target}. ` +
      `Correct the file, or raise \`rejects\` in the pipeline file`,
  )
}
