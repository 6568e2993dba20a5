// The DuckDB engine: the one importer of its driver. Instances are in memory; warehouse files are attached to them.
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api'
import { readEnvironment } from './environment.ts'

/** An in-memory DuckDB with one connection, in UTC, that neither loads extensions nor keeps anything on its own. */
export interface Engine {
  run(sql: string, values?: readonly DuckDBValue[]): Promise<number>
  /** Rows with values as JavaScript's own types; BIGINT comes as bigint. */
  rows(sql: string, values?: readonly DuckDBValue[]): Promise<Record<string, unknown>[]>
  /** The same, a few thousand at a time in memory. */
  stream(sql: string, values?: readonly DuckDBValue[]): AsyncIterable<Record<string, unknown>>
  /** Stops what is running; its promise rejects. */
  interrupt(): void
  close(): void
}

export interface EngineOptions {
  /** Where results larger than memory are spilled. */
  readonly scratchDir: string
  /** Once aborted, no statement begins any more but those that put things in order. */
  readonly abort?: AbortSignal
}

const PUTS_IN_ORDER = /^(?:ROLLBACK|DETACH|RESET)/

/** One that nobody has used: making it takes longer than most of what is done with one. */
let ready: Promise<Made> | undefined
let keepsReady = false

interface Made {
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
}

/** Closed when whoever used them has told what came of it: it takes longer than many a statement, and nobody waits for it. */
const used: Made[] = []
const CLOSE_AFTER_MS = 30

/** From now on the next engine is made while the one before is in use, which is closed a moment later; until the returned function is called. */
export function keepEngineReady(): () => Promise<void> {
  keepsReady = true
  makeReady()
  return async () => {
    keepsReady = false
    closeUsed()
    const left = ready
    ready = undefined
    await left?.then(close, () => undefined)
  }
}

function makeReady(): void {
  const next = keepsReady ? makeEngine() : undefined
  ready = next
  // Whoever needs one makes it, and hears why it cannot be made.
  next?.catch(() => {
    if (ready === next) ready = undefined
  })
}

async function makeEngine(): Promise<Made> {
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: readEnvironment().memoryLimit,
    // A commit writes the file itself instead of a log that is folded into it a moment later, when the file is let go.
    checkpoint_threshold: '1B',
  })
  const connection = await instance.connect()
  await connection.run("set timezone = 'UTC'")
  return { instance, connection }
}

function closeUsed(): void {
  for (const made of used.splice(0)) close(made)
}

function close({ instance, connection }: Made): void {
  connection.closeSync()
  instance.closeSync()
}

export async function openEngine({ scratchDir, abort }: EngineOptions): Promise<Engine> {
  const taken = ready
  makeReady()
  const made = await (taken ?? makeEngine())
  const { connection } = made
  await connection.run(`SET temp_directory = ${quoteText(scratchDir)}`)
  return {
    async run(sql, values = []) {
      if (!PUTS_IN_ORDER.test(sql)) abort?.throwIfAborted()
      const result = await connection.run(sql, [...values])
      return result.rowsChanged
    },
    async rows(sql, values = []) {
      abort?.throwIfAborted()
      const reader = await connection.runAndReadAll(sql, [...values])
      return reader.getRowObjectsJS()
    },
    async *stream(sql, values = []) {
      abort?.throwIfAborted()
      const result = await connection.stream(sql, [...values])
      for await (const rows of result.yieldRowObjectJs()) yield* rows
    },
    interrupt: () => connection.interrupt(),
    close() {
      if (!keepsReady) {
        close(made)
        return
      }
      used.push(made)
      setTimeout(closeUsed, CLOSE_AFTER_MS)
    },
  }
}

/** `"name"`, with quotes inside doubled. */
export function quoteName(...parts: readonly string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')
}

/** `'text'`, for the few places that take no parameter. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A count column's value. Throws when it is not a whole number that JavaScript can hold. */
export function asCount(value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw new Error(`not a count: ${String(value)}`)
  return number
}
