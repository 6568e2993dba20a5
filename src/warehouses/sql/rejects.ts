// Rejects in a warehouse: beside their raw table, replaced with their batch, counted by reason.
import type { LoadStream } from '../../ingest/load-stream.ts'
import { REJECT_COLUMNS } from '../../ingest/rejects.ts'
import { failure } from '../../pipeline/failure.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import type { RejectReason } from '../../pipeline/report.ts'
import { quoteText } from '../../platform/duckdb.ts'
import { ledgerOf, rejectsTable, type LoadCommit, type RejectsOwner, type StoredReject } from '../warehouse.ts'
import { countOf, placeholders, tableSql, typed, type Row, type Session, type Statement } from './dialect.ts'

const MOST_REASONS = 10

/** Those of the batch, and those of earlier contents of the same files: they are read again, and told again. */
export async function removeRejects(
  session: Session,
  load: LoadCommit,
  which: 'all' | 'of loads that are not current',
): Promise<Statement> {
  const hasLedger = (await session.look(ledgerOf(load.table))) !== undefined
  const isCurrent = hasLedger
    ? `_load_id IN (SELECT load_id FROM ${tableSql(session, ledgerOf(load.table))} WHERE replaced_by IS NULL)`
    : 'false'
  const spared = which === 'all' ? 'false' : isCurrent
  const names = load.files.map(({ name }) => name)
  return {
    sql: `DELETE FROM ${tableSql(session, rejectsTable(load.table))} WHERE (_batch_id = ? AND NOT ${spared})
      OR (_pipeline = ? AND _entry = ? AND _logical_date = ${typed(session.dialect, 'date')}
        AND _source_file IN (${placeholders(names)}) AND NOT ${isCurrent})`,
    values: [load.batchId, load.pipeline, load.entry, load.logicalDate, ...names],
  }
}

/**
 * Hands each part of the load's rejects over as a query of the engine, with REJECTS_COLUMNS in their order; `write`
 * returns how many it wrote. Fails with CountsDisagree when they are not as many as expected.
 */
export async function writeRejects(
  load: LoadCommit,
  expected: number | undefined,
  write: Parameters<LoadStream['rejects']>[0],
): Promise<void> {
  const owner = [
    [load.loadId, '_load_id'],
    [load.batchId, '_batch_id'],
    [load.pipeline, '_pipeline'],
    [load.entry, '_entry'],
  ].map(([text = '', name = '']) => `${quoteText(text)} AS ${name}`)
  const names = REJECT_COLUMNS.map(([name]) => name).join(', ')
  const written = await load.stream.rejects((query) =>
    write(
      `SELECT ${owner.join(', ')}, _source_file, ${names}, DATE ${quoteText(load.logicalDate)} AS _logical_date,
         ${quoteText(load.loadedAt)}::TIMESTAMP AS _rejected_at FROM (${query})`,
    ),
  )
  if (expected === undefined || written === expected) return
  throw failure(
    'CountsDisagree',
    `${tableText(load.table)}: ${expected} records were rejected, but ${written} came; nothing was kept. ` +
      `Please report these files as a bug of Millrace`,
  )
}

/** Of each load, the commonest reasons first, at most ten. */
export async function rejectReasons(
  session: Session,
  table: TableName,
  loadIds: readonly string[],
): Promise<ReadonlyMap<string, readonly RejectReason[]>> {
  if (loadIds.length === 0 || (await session.look(rejectsTable(table))) === undefined) return new Map()
  const rows = await session.rows(
    `SELECT _load_id, code, column_name, count(*) AS n FROM ${tableSql(session, rejectsTable(table))}
     WHERE _load_id IN (${placeholders(loadIds)}) GROUP BY _load_id, code, column_name ORDER BY n DESC, code, column_name`,
    loadIds,
  )
  return new Map(
    loadIds.map((loadId) => [
      loadId,
      rows
        .filter((row) => row['_load_id'] === loadId)
        .slice(0, MOST_REASONS)
        .map(({ code, column_name: column, n }) => ({
          code: String(code),
          column: typeof column === 'string' ? column : null,
          count: countOf(n),
        })),
    ]),
  )
}

export async function* readRejects(
  session: Session,
  table: TableName,
  owner: RejectsOwner,
): AsyncGenerator<StoredReject> {
  if ((await session.look(rejectsTable(table))) === undefined) return
  const { dialect } = session
  const rows = session.stream(
    `SELECT _source_file, _source_record, line, byte_offset, code, column_name, message, raw_text,
       ${dialect.isoText('_rejected_at')} AS rejected_text
     FROM ${tableSql(session, rejectsTable(table))}
     WHERE _pipeline = ? AND _entry = ? AND _logical_date = ${typed(dialect, 'date')}
     ORDER BY _source_file, _source_record`,
    [owner.pipeline, owner.entry, owner.logicalDate],
  )
  for await (const row of rows) yield storedReject(row)
}

function storedReject(row: Row): StoredReject {
  return {
    file: String(row['_source_file']),
    record: countOf(row['_source_record']),
    line: countOf(row['line']),
    byteOffset: countOf(row['byte_offset']),
    code: String(row['code']),
    column: typeof row['column_name'] === 'string' ? row['column_name'] : null,
    message: String(row['message']),
    rawText: String(row['raw_text']),
    rejectedAt: String(row['rejected_text']),
  }
}
