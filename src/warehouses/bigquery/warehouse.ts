// BigQuery: jobs under our own ids, rows by Parquet, changes in multi-statement transactions.
import type { ProfileTarget } from '../../dbt/profile.ts'
import { cancelJobs } from '../../platform/bigquery/jobs.ts'
import { dryRun, runStatement } from '../../platform/bigquery/query.ts'
import type { RetryRules } from '../../platform/bigquery/retry.ts'
import { runAll } from '../sql/dialect.ts'
import { currentLoad, loadedFiles, rememberedContract } from '../sql/ledger.ts'
import { measureMart } from '../sql/marts.ts'
import { lastGoodMarts, readRefreshLog, refreshStatements } from '../sql/refresh-log.ts'
import { readRejects } from '../sql/rejects.ts'
import { REFRESH_LOG_COLUMNS, tableChanges } from '../sql/tables.ts'
import type { Leftovers, Warehouse, WarehouseAccess, WarehousePlace } from '../warehouse.ts'
import { commitLoad, keepRejects } from './commit.ts'
import { connect, labelText } from './connection.ts'
import { asBigqueryFailure } from './failure.ts'
import { publish } from './publish.ts'
import { bigquerySession, newJobId, transaction } from './session.ts'
import { bigquerySettings } from './settings.ts'

/** Looks at the profile's dataset, so that wrong credentials and locations are told at once. */
export async function openBigquery(
  target: ProfileTarget,
  place: WarehousePlace,
  // Datasets are made by what writes first; whoever only looks finds nothing then.
  _access: WarehouseAccess = 'write',
  retries?: RetryRules,
): Promise<Warehouse> {
  const settings = bigquerySettings(target)
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      place.abort.throwIfAborted()
      throw asBigqueryFailure(error, settings)
    }
  }
  async function* guardedRows<T>(rows: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* rows
    } catch (error) {
      place.abort.throwIfAborted()
      throw asBigqueryFailure(error, settings)
    }
  }
  const connection = await guarded(() => connect(settings, place, retries))
  const { api } = connection
  const session = bigquerySession(connection)
  const loading = { connection, session, place }
  return {
    currentLoad: (table, batchId) => guarded(() => currentLoad(session, table, batchId)),
    loadedFiles: (table, owner) => guarded(() => loadedFiles(session, table, owner)),
    rememberedContract: (table, owner) => guarded(() => rememberedContract(session, table, owner)),
    commitLoad: (load, accept) => guarded(() => commitLoad(loading, load, accept)),
    keepRejects: (load) => guarded(() => keepRejects(loading, load)),
    readRejects: (table, owner) => guardedRows(readRejects(session, table, owner)),
    measureMart: (check) => guarded(() => measureMart(session, check)),
    publish: (publication) => guarded(() => publish(connection, session, publication)),
    recordRefresh: (table, row) =>
      guarded(async () => {
        await session.ensureSchema(table.schema)
        await runAll(session, await tableChanges(session, table, REFRESH_LOG_COLUMNS))
        await runStatement(api, newJobId(), { sql: transaction(refreshStatements(session, table, row)) })
      }),
    lastGoodMarts: (table, of) => guarded(() => lastGoodMarts(session, table, of)),
    readRefreshLog: (table, range) => guarded(() => readRefreshLog(session, table, range)),
    endLeftovers: (left) => guarded(async () => (await cancelJobs(api, labelsOf(left))).length),
    estimateBytes: (sql) => guarded(() => dryRun(api, { sql })),
    bytesBilled: () => api.meter.bytesBilled,
    close: () => Promise.resolve(),
  }
}

/** dbt labels its jobs by itself. */
function labelsOf({ runId, dbt }: Leftovers): readonly (readonly [string, string])[] {
  const invocations = dbt.flatMap(({ invocationId }) => (invocationId === null ? [] : [labelText(invocationId)]))
  return [['millrace_run', labelText(runId)], ...invocations.map((id) => ['dbt_invocation_id', id] as const)]
}
