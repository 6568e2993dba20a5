// Postgres: the one importer of its driver. Sessions of a pool, with values that nothing has bent.
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import { Client, Pool, type ClientConfig, type PoolClient } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

export interface PostgresConnection {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Ways to connect (false: in the clear); a later one is tried where the server refuses the one before. */
  readonly tls: readonly [TlsMode, ...TlsMode[]]
  /** Cut by the server at 63 bytes. */
  readonly applicationName: string
  readonly connectTimeoutMs: number
  readonly keepaliveIdleMs: number
  /** Settings of every session, by name. */
  readonly settings: Readonly<Record<string, string>>
  /** The same, left out by servers too old to have them. */
  readonly newerSettings: Readonly<Record<string, string>>
}

export type TlsMode = ConnectionOptions | false
export type PostgresValue = string | number | bigint | boolean | null
export type PostgresRow = Readonly<Record<string, unknown>>

export interface PostgresPool {
  /**
   * Work on a session that nobody else uses meanwhile; connects when there is none. A session whose work failed is not used
   * again. Rejects with the signal's reason once that is aborted.
   */
  session<T>(work: (session: PostgresSession) => Promise<T>): Promise<T>
  /** The same for rows that come as they are asked for. */
  sessionStream<T>(work: (session: PostgresSession) => AsyncIterable<T>): AsyncGenerator<T>
  /** Whether a process of the server serves this process: what others have left is not its. */
  isOurs(pid: number): boolean
  close(): Promise<void>
}

/** Values: int8 as bigint, smaller integers, floats and booleans as JavaScript's own, all else as Postgres writes it. */
export interface PostgresSession {
  /** Returns the number of rows that the statement changed. */
  run(sql: string, values?: readonly PostgresValue[]): Promise<number>
  rows(sql: string, values?: readonly PostgresValue[]): Promise<readonly PostgresRow[]>
  /** The same, a thousand at a time in memory; within a transaction only, one after the other. */
  stream(sql: string, values?: readonly PostgresValue[]): AsyncIterable<PostgresRow>
  /** `COPY … FROM STDIN` of the stream; returns the number of rows. A stream that fails leaves none. */
  copyIn(sql: string, source: Readable): Promise<number>
}

/** `host:port/pid` of the server processes behind all connections of this process. */
const ours = new Set<string>()

const MOST_SESSIONS = 4
const ROWS_AT_ONCE = 1000
/** How long a statement may take to end once the server was asked to cancel it; then its connection is cut. */
const CANCEL_GRACE_MS = 3_000
const PUTS_IN_ORDER = /^ROLLBACK/

/** Connects nowhere yet. When the signal aborts, what is running is cancelled, and nothing more begins. */
export function openPostgresPool(connection: PostgresConnection, abort: AbortSignal): PostgresPool {
  let pool: Promise<Pool> | undefined

  async function connect(): Promise<PoolClient> {
    abort.throwIfAborted()
    const found = (pool ??= findPool(connection))
    found.catch(() => {
      // The next session tries anew.
      if (pool === found) pool = undefined
    })
    return await (await found).connect()
  }

  async function lease(): Promise<Lease> {
    const client = await connect()
    // What breaks the connection is told by the statement that meets it.
    const onError = () => undefined
    client.on('error', onError)
    const stopCancelling = cancelOn(abort, client, connection)
    const end = (failed: boolean) => {
      stopCancelling()
      client.off('error', onError)
      client.release(failed)
    }
    try {
      if (!prepared.has(client)) await prepare(client, connection)
      prepared.add(client)
      return { session: sessionOn(client, abort), end }
    } catch (error) {
      end(true)
      throw error
    }
  }

  return {
    async session(work) {
      const { session, end } = await lease()
      try {
        const result = await work(session)
        end(false)
        return result
      } catch (error) {
        end(true)
        abort.throwIfAborted()
        throw error
      }
    },
    async *sessionStream(work) {
      const { session, end } = await lease()
      let failed = true
      try {
        yield* work(session)
        failed = false
      } finally {
        // Also where the reader has seen enough: what is left of the transaction goes with the connection.
        end(failed)
      }
    },
    isOurs: (pid) => ours.has(backendKey(connection, pid)),
    async close() {
      const found = await pool?.catch(() => undefined)
      await found?.end()
    },
  }
}

interface Lease {
  readonly session: PostgresSession
  readonly end: (failed: boolean) => void
}

const prepared = new WeakSet<PoolClient>()

async function prepare(client: PoolClient, connection: PostgresConnection): Promise<void> {
  const served = backendKey(connection, backendOf(client))
  ours.add(served)
  client.once('end', () => ours.delete(served))
  const { settings, newerSettings } = connection
  const newer = Object.entries(newerSettings)
  await client.query(
    'SELECT set_config(known.name, wanted.value, false) FROM pg_settings AS known JOIN unnest($1::text[], $2::text[]) AS wanted(name, value) USING (name)',
    [newer.map(([name]) => name), newer.map(([, value]) => value)],
  )
  const entries = Object.entries(settings)
  const calls = entries.map((_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, false)`)
  if (calls.length > 0) await client.query(`SELECT ${calls.join(', ')}`, entries.flat())
}

/** Cancels what the client runs when the signal aborts; the function that is returned ends that. */
function cancelOn(abort: AbortSignal, client: PoolClient, connection: PostgresConnection): () => void {
  const over = new AbortController()
  const cancel = () => void cancelRunning(client, connection, over.signal)
  abort.addEventListener('abort', cancel, { once: true })
  return () => {
    over.abort()
    abort.removeEventListener('abort', cancel)
  }
}

function backendKey({ host, port }: PostgresConnection, pid: number): string {
  return `${host}:${port}/${pid}`
}

/** The server's process behind a client: what `pg_backend_pid()` says. */
function backendOf(client: PoolClient): number {
  return (client as PoolClient & { readonly processID: number }).processID // left out of the driver's types
}

async function cancelRunning(client: PoolClient, connection: PostgresConnection, over: AbortSignal): Promise<void> {
  const asked = withClient(connection, (other) =>
    other.query('SELECT pg_cancel_backend($1)', [backendOf(client)]),
  ).catch(() => undefined)
  await Promise.race([asked, sleep(CANCEL_GRACE_MS, undefined, { signal: over })]).catch(() => undefined)
  await sleep(CANCEL_GRACE_MS, undefined, { signal: over }).catch(() => undefined)
  if (!over.aborted) client.connection.stream.destroy()
}

/** A short look from outside the pool. */
async function withClient<T>(connection: PostgresConnection, work: (client: Client) => Promise<T>): Promise<T> {
  const config = clientConfig(connection, connection.tls[0])
  const client = new Client({ ...config, connectionTimeoutMillis: CANCEL_GRACE_MS })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** A pool whose first connection is there already: what the server takes is known then. */
async function findPool(connection: PostgresConnection): Promise<Pool> {
  const [first, ...others] = connection.tls
  let pool = poolOf(connection, first)
  for (const tls of [...others, undefined]) {
    try {
      const client = await pool.connect()
      client.release()
      return pool
    } catch (error) {
      await pool.end()
      if (tls === undefined || !refusesTlsMode(error)) throw error
      pool = poolOf(connection, tls)
    }
  }
  return pool
}

function poolOf(connection: PostgresConnection, tls: TlsMode): Pool {
  const pool = new Pool({ ...clientConfig(connection, tls), max: MOST_SESSIONS })
  // An idle connection that the server ends is no news: the next session gets another one.
  pool.on('error', () => undefined)
  return pool
}

/** Either side may want the other mode: the server has no TLS, or lets this user in only with it (or only without). */
function refusesTlsMode(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.message === NO_TLS || ('code' in error && error.code === '28000')
}

/** The driver's own words. */
export const NO_TLS = 'The server does not support SSL connections'

function clientConfig(connection: PostgresConnection, tls: TlsMode): ClientConfig {
  return {
    host: connection.host,
    port: connection.port,
    user: connection.user,
    // As a function it is not looked for elsewhere where it is empty, and not shown with the client.
    password: () => connection.password,
    database: connection.database,
    // The driver writes into it.
    ssl: tls === false ? false : { ...tls },
    application_name: connection.applicationName,
    connectionTimeoutMillis: connection.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: connection.keepaliveIdleMs,
    types: { getTypeParser: valueReader as TypeParsers }, // of its overloads the driver calls only this one
  }
}

type TypeParsers = NonNullable<ClientConfig['types']>['getTypeParser']

const INT8 = 20
const NUMBERS = new Set([21, 23, 26, 700, 701])
const BOOLEAN = 16

/** By the type's number in every Postgres's catalogue. */
function valueReader(type: number): (text: string) => unknown {
  if (type === INT8) return BigInt
  if (type === BOOLEAN) return (text) => text === 't'
  return NUMBERS.has(type) ? Number : (text) => text
}

function sessionOn(client: PoolClient, abort: AbortSignal): PostgresSession {
  let cursors = 0
  const query = async (sql: string, values: readonly PostgresValue[] = []) => {
    if (!PUTS_IN_ORDER.test(sql)) abort.throwIfAborted()
    // Without values it may be several statements; with them it is one.
    return await client.query<PostgresRow>(sql, values.length === 0 ? undefined : [...values])
  }
  return {
    run: async (sql, values) => (await query(sql, values)).rowCount ?? 0,
    rows: async (sql, values) => (await query(sql, values)).rows,
    async *stream(sql, values) {
      const cursor = `millrace_${++cursors}`
      await query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${sql}`, values)
      for (;;) {
        const { rows } = await query(`FETCH ${ROWS_AT_ONCE} FROM ${cursor}`)
        yield* rows
        if (rows.length < ROWS_AT_ONCE) break
      }
      await query(`CLOSE ${cursor}`)
    },
    async copyIn(sql, source) {
      abort.throwIfAborted()
      const copy = client.query(copyFrom(sql))
      await pipeline(source, copy)
      return copy.rowCount
    },
  }
}
