// A load's transaction, where a connection can hold one open while the records come: DuckDB and Postgres.
import type { StreamCounts, Take } from '../../ingest/load-stream.ts'
import type { RejectReason } from '../../pipeline/report.ts'
import { faultPoint } from '../../platform/fault.ts'
import { ledgerOf, rejectsTable, type LoadCommit, type LoadCounts } from '../warehouse.ts'
import { runAll, type Session } from './dialect.ts'
import { ledgerStatements, removeBatch, requireSameMode } from './ledger.ts'
import { rawTableChanges } from './raw-table.ts'
import { rejectReasons, removeRejects, writeRejects } from './rejects.ts'
import { LEDGER_COLUMNS, REJECTS_COLUMNS, tableChanges } from './tables.ts'

/** How rows get from the engine's queries into the warehouse. */
export interface RowWriter {
  /** The load's good rows into its raw table, as its mode says. */
  rows(load: LoadCommit): Promise<StreamCounts>
  /** REJECTS_COLUMNS, into the table of rejects. */
  rejects(load: LoadCommit): Take
}

/** To be run in a transaction, which is rolled back when this fails. */
export async function commitLoad(
  session: Session,
  load: LoadCommit,
  writer: RowWriter,
  accept: (counts: StreamCounts) => void,
): Promise<LoadCounts & { readonly removed: number }> {
  await session.ensureSchema(load.table.schema)
  await runAll(session, await tableChanges(session, ledgerOf(load.table), LEDGER_COLUMNS))
  await runAll(session, await rawTableChanges(session, load))
  await requireSameMode(session, load)
  const removed = await runAll(session, removeBatch(session, load))
  const counts = await writer.rows(load)
  faultPoint('ingest:in-transaction')
  accept(counts)
  await replaceRejects(session, load, writer, 'all', counts.rejected)
  await runAll(session, ledgerStatements(session, load, counts))
  return {
    read: counts.read,
    loaded: counts.rows,
    superseded: counts.superseded,
    rejected: counts.rejected,
    removed,
    rejectReasons: counts.rejected === 0 ? [] : await reasonsOf(session, load),
  }
}

/** To be run in a transaction, too. */
export async function keepRejects(
  session: Session,
  load: LoadCommit,
  writer: RowWriter,
): Promise<readonly RejectReason[]> {
  await session.ensureSchema(load.table.schema)
  await replaceRejects(session, load, writer, 'of loads that are not current', undefined)
  return await reasonsOf(session, load)
}

async function replaceRejects(
  session: Session,
  load: LoadCommit,
  writer: RowWriter,
  which: Parameters<typeof removeRejects>[2],
  expected: number | undefined,
): Promise<void> {
  await runAll(session, await tableChanges(session, rejectsTable(load.table), REJECTS_COLUMNS))
  await runAll(session, [await removeRejects(session, load, which)])
  await writeRejects(load, expected, writer.rejects(load))
}

async function reasonsOf(session: Session, { table, loadId }: LoadCommit): Promise<readonly RejectReason[]> {
  return (await rejectReasons(session, table, [loadId])).get(loadId) ?? []
}
