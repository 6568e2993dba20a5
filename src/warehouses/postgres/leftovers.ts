// Queries that a dead attempt has left in the server: its own sessions, and those of its dbt.
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { PostgresPool, PostgresRow, PostgresSession } from '../../platform/postgres.ts'
import type { Leftovers } from '../warehouse.ts'

/** Postgres cuts a name at 63 bytes. */
const NAME_LIMIT_BYTES = 63
const WAIT_MS = 5_000
const LOOK_EVERY_MS = 50

/** What a run's sessions are called in `pg_stat_activity`. */
export function applicationName(runId: string | undefined): string {
  const name = runId === undefined ? 'millrace' : `millrace ${runId}`
  return Buffer.from(name).subarray(0, NAME_LIMIT_BYTES).toString('utf8').replaceAll('\uFFFD', '')
}

/**
 * Ends them and waits until they are gone, for a few seconds; returns how many. Only sessions of this user on this
 * database; those of this process are at work, not left over.
 */
export async function endLeftovers(
  connection: PostgresSession,
  left: Leftovers,
  isOurs: PostgresPool['isOurs'],
): Promise<number> {
  const sessions = await connection.rows(
    `SELECT pid, application_name, query, to_char(query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS started
     FROM pg_stat_activity
     WHERE datname = current_database() AND usename = session_user AND pid <> pg_backend_pid()`,
  )
  const name = applicationName(left.runId)
  const pids = sessions
    .filter((session) => session['application_name'] === name || isOfDeadDbt(session, left.dbt))
    .map((session) => Number(session['pid']))
    .filter((pid) => !isOurs(pid))
  for (const pid of pids) await connection.rows('SELECT pg_terminate_backend($1)', [pid])
  await untilGone(connection, pids)
  return pids.length
}

/** What dbt writes before every query, as JSON in a comment; a project may change it (`query-comment`), then nothing is found. */
const commentSchema = z.object({
  app: z.literal('dbt'),
  node_id: z.string().optional(),
  invocation_id: z.string().optional(),
})

function isOfDeadDbt({ query, started }: PostgresRow, dead: Leftovers['dbt']): boolean {
  const comment = dbtComment(String(query))
  if (comment === undefined || typeof started !== 'string') return false
  return dead.some(({ invocationId, nodes, startedAt }) => {
    if (invocationId !== null && comment.invocation_id === invocationId) return true
    const startedLater = Date.parse(started) >= Date.parse(startedAt)
    return startedLater && comment.node_id !== undefined && nodes.includes(comment.node_id)
  })
}

function dbtComment(query: string): z.infer<typeof commentSchema> | undefined {
  for (const [, text = ''] of query.matchAll(/\/\*\s*(\{[\s\S]*?\})\s*\*\//g)) {
    try {
      const comment = commentSchema.safeParse(JSON.parse(text))
      if (comment.success) return comment.data
    } catch {
      // Somebody else's comment.
    }
  }
  return undefined
}

async function untilGone(connection: PostgresSession, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return
  const list = pids.map((_, index) => `$${index + 1}`).join(', ')
  for (const until = performance.now() + WAIT_MS; performance.now() < until; await sleep(LOOK_EVERY_MS)) {
    const there = await connection.rows(`SELECT 1 FROM pg_stat_activity WHERE pid IN (${list}) LIMIT 1`, pids)
    if (there.length === 0) return
  }
}
