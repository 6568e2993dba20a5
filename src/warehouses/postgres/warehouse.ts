// Postgres: a pool of connections that each method takes one of; what it writes, it writes in one transaction.
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { ProfileTarget } from '../../dbt/profile.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import { openPostgresPool, type PostgresConnection, type PostgresSession } from '../../platform/postgres.ts'
import { makePipe } from '../../platform/subprocess.ts'
import { commitLoad, keepRejects, type RowWriter } from '../sql/commit.ts'
import { runAll, type Session } from '../sql/dialect.ts'
import { currentLoad, loadedFiles, rememberedContract } from '../sql/ledger.ts'
import { measureMart } from '../sql/marts.ts'
import { publish } from '../sql/publish.ts'
import { lastGoodMarts, readRefreshLog, recordRefresh } from '../sql/refresh-log.ts'
import { readRejects } from '../sql/rejects.ts'
import { LEDGER_COLUMNS, tableChanges } from '../sql/tables.ts'
import { ledgerOf, type Warehouse, type WarehouseAccess, type WarehousePlace } from '../warehouse.ts'
import { postgresAddress } from './address.ts'
import { asPostgresFailure } from './failure.ts'
import { applicationName, endLeftovers } from './leftovers.ts'
import { fillLiveTable } from './publish.ts'
import { postgresRows } from './rows.ts'
import { inTransaction, ONE_VIEW, postgresSession } from './session.ts'
import { postgresSettings, profileText, type PostgresSettings } from './settings.ts'
import { tlsModes } from './tls.ts'

/**
 * How long the server lets a session of ours wait and work. That a worker is gone it notices by the connection: at once
 * while it waits for it, in seconds while it works (from version 14 on), in two minutes where the whole machine is gone.
 */
const LIMITS = {
  statement_timeout: '6h',
  lock_timeout: '1min',
  // The records of a load with a key are all read before the first of them is sent.
  idle_in_transaction_session_timeout: '1h',
  tcp_keepalives_idle: '60',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '6',
}
const NEWER_LIMITS = { client_connection_check_interval: '5s' }

/** Connects when it is first asked for something. Fails with ProfileInvalid. */
export async function openPostgres(
  target: ProfileTarget,
  place: WarehousePlace,
  access: WarehouseAccess,
): Promise<Warehouse> {
  const settings = postgresSettings(target)
  const where = profileText(target)
  const { label } = postgresAddress(target)
  const { database, user } = settings
  const pool = openPostgresPool(connectionOf(settings, where, place, access), place.abort)
  let pipe: Promise<string> | undefined

  const cast = (error: unknown) => {
    place.abort.throwIfAborted()
    return asPostgresFailure(error, { label, user, database, where })
  }
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw cast(error)
    }
  }
  const onSession = <T>(begin: Parameters<typeof inTransaction>[1], work: (at: Place) => Promise<T>): Promise<T> =>
    guarded(() =>
      pool.session((connection) => {
        const session = postgresSession(connection, database)
        const rows = postgresRows({
          session,
          connection,
          engine: place.engine,
          pipe: () =>
            (pipe ??= makePipe(path.join(place.scratchDir, `postgres-${randomBytes(4).toString('hex')}.pipe`))),
        })
        return inTransaction(connection, begin, () => work({ connection, session, rows }))
      }),
    )
  /** Reads that belong together. */
  const looking = <T>(work: (session: Session) => Promise<T>) => onSession(ONE_VIEW, ({ session }) => work(session))
  /** Writes, one after the other for all that name the same thing. */
  const writing = <T>(what: string, work: (at: Place) => Promise<T>) =>
    onSession('BEGIN', async (at) => {
      await takeLock(at.connection, what)
      return await work(at)
    })

  return {
    currentLoad: (table, batchId) => looking((session) => currentLoad(session, table, batchId)),
    loadedFiles: (table, owner) => looking((session) => loadedFiles(session, table, owner)),
    rememberedContract: (table, owner) => looking((session) => rememberedContract(session, table, owner)),
    async commitLoad(load, accept) {
      // On its own: the first loads of a schema would else wait for each other from beginning to end.
      await writing(`schema ${load.table.schema}`, ({ session }) => ensureLedger(session, load.table))
      return await writing(tableText(load.table), ({ session, rows }) => commitLoad(session, load, rows, accept))
    },
    async keepRejects(load) {
      await writing(`schema ${load.table.schema}`, ({ session }) => session.ensureSchema(load.table.schema))
      return await writing(tableText(load.table), ({ session, rows }) => keepRejects(session, load, rows))
    },
    async *readRejects(table, owner) {
      try {
        yield* pool.sessionStream(async function* (connection) {
          await connection.run(ONE_VIEW)
          yield* readRejects(postgresSession(connection, database), table, owner)
          await connection.run('COMMIT')
        })
      } catch (error) {
        throw cast(error)
      }
    },
    measureMart: (check) => looking((session) => measureMart(session, check)),
    publish: (publication) =>
      writing(`schema ${publication.to}`, ({ session }) =>
        publish(session, publication, (table) => fillLiveTable(session, table)),
      ),
    recordRefresh: (table, row) => writing(tableText(table), ({ session }) => recordRefresh(session, table, row)),
    lastGoodMarts: (table, of) => looking((session) => lastGoodMarts(session, table, of)),
    readRefreshLog: (table, range) => looking((session) => readRefreshLog(session, table, range)),
    endLeftovers: (left) =>
      guarded(() => pool.session((connection) => endLeftovers(connection, left, (pid) => pool.isOurs(pid)))),
    estimateBytes: () => Promise.resolve(null),
    bytesBilled: () => null,
    close: () => guarded(() => pool.close()),
  }
}

interface Place {
  readonly connection: PostgresSession
  readonly session: Session
  readonly rows: RowWriter
}

/** Until the transaction ends; waits for whoever has it, up to our lock_timeout. */
async function takeLock(connection: PostgresSession, what: string): Promise<void> {
  await connection.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`millrace ${what}`])
}

async function ensureLedger(session: Session, table: TableName): Promise<void> {
  await session.ensureSchema(table.schema)
  await runAll(session, await tableChanges(session, ledgerOf(table), LEDGER_COLUMNS))
}

function connectionOf(
  settings: PostgresSettings,
  where: string,
  { run }: WarehousePlace,
  access: WarehouseAccess,
): PostgresConnection {
  const { host, port, user, password, database, searchPath, role } = settings
  return {
    host,
    port,
    user,
    password,
    database,
    tls: tlsModes(settings, where),
    applicationName: applicationName(run?.runId),
    connectTimeoutMs: settings.connectTimeoutMs,
    keepaliveIdleMs: settings.keepalivesIdleMs,
    settings: {
      TimeZone: 'UTC',
      DateStyle: 'ISO, YMD',
      ...LIMITS,
      ...(access === 'look' ? { default_transaction_read_only: 'on' } : {}),
      ...(searchPath === undefined ? {} : { search_path: searchPath }),
      ...(role === undefined ? {} : { role: unquoted(role) }),
    },
    newerSettings: NEWER_LIMITS,
  }
}

/** dbt writes the role into `set role …` as it stands. */
function unquoted(role: string): string {
  const quoted = /^"(.*)"$/s.exec(role)?.[1]
  return quoted === undefined ? role.toLowerCase() : quoted.replaceAll('""', '"')
}
