// The three warehouses as a load's test sees them: how they are reached, and what is in them, past Millrace's code.
import path from 'node:path'
import { bigqueryOutput, duckdbOutput, postgresOutput, type ProfileOutput } from '../support/profiles.ts'
import type { BigQueryProject } from '../support/bigquery-emulator.ts'
import { withClient, type PostgresDatabase } from '../support/postgres-server.ts'
import { query as queryDuckdb } from '../support/warehouse.ts'
import type { LoadRequest } from './one-load.ts'

export interface LoadSite {
  readonly kind: LoadRequest['kind']
  readonly output: ProfileOutput
  /** Counts are numbers, all else is text or null. */
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Tables of the schema `raw`, and temporary ones. */
  readonly tables: () => Promise<readonly string[]>
}

export function duckdbSite(root: string): LoadSite {
  const file = path.join(root, '.millrace', 'warehouse.duckdb')
  return {
    kind: 'duckdb',
    output: duckdbOutput(file),
    query: (sql) => queryDuckdb(file, sql),
    async tables() {
      const found = await queryDuckdb(file, "select table_name as name from duckdb_tables() where schema_name = 'raw'")
      return found.map(({ name }) => String(name))
    },
  }
}

export function postgresSite(database: PostgresDatabase): LoadSite {
  const query: LoadSite['query'] = (sql) =>
    withClient(database, async (client) => {
      const { rows } = await client.query<Record<string, unknown>>(sql)
      return rows.map(withNumbers)
    })
  return {
    kind: 'postgres',
    output: postgresOutput(database),
    query,
    async tables() {
      // Each session's temporary ones are in a schema of their own.
      const found = await query(
        "select tablename as name from pg_tables where schemaname = 'raw' or schemaname like 'pg_temp%'",
      )
      return found.map(({ name }) => String(name))
    },
  }
}

/** Millrace's way goes by a proxy. */
export function bigquerySite(place: BigQueryProject, proxyEndpoint: string): LoadSite {
  return {
    kind: 'bigquery',
    output: bigqueryOutput({ ...place, apiEndpoint: proxyEndpoint }),
    async query(sql) {
      const answer = (await ask(place, 'POST', '/queries', { query: sql, useLegacySql: false })) as QueryAnswer
      if (answer.errors !== undefined)
        throw new Error(`${sql}: ${answer.errors.map(({ message }) => message).join('; ')}`)
      const fields = answer.schema?.fields ?? []
      return (answer.rows ?? []).map(({ f }) =>
        Object.fromEntries(
          fields.map(({ name, type }, index) => {
            const value = f[index]?.v ?? null
            return [name, value !== null && type === 'INTEGER' ? Number(value) : value]
          }),
        ),
      )
    },
    async tables() {
      const { tables = [] } = (await ask(place, 'GET', '/datasets/raw/tables')) as TableList
      return tables.map(({ tableReference: { tableId } }) => tableId)
    },
  }
}

/** Counts come as texts. */
function withNumbers(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) => {
    const isCount = typeof value === 'string' && /^\d{1,15}$/.test(value)
    return [name, isCount ? Number(value) : value] as const
  })
  return Object.fromEntries(entries)
}

interface QueryAnswer {
  readonly schema?: { readonly fields: readonly { readonly name: string; readonly type: string }[] }
  readonly rows?: readonly { readonly f: readonly { readonly v: string | null }[] }[]
  /** The emulator tells a failed query so. */
  readonly errors?: readonly { readonly message: string }[]
}

interface TableList {
  readonly tables?: readonly { readonly tableReference: { readonly tableId: string } }[]
}

async function ask(
  { apiEndpoint, project }: BigQueryProject,
  method: string,
  below: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await fetch(`${apiEndpoint}/bigquery/v2/projects/${project}${below}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: 'Bearer any' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(`${method} ${below}: ${answer.status} ${await answer.text()}`)
  return await answer.json()
}
