// The contract on BigQuery: an emulator for this file, a project of its own for each test.
import { openBigquery } from '../../src/warehouses/bigquery/warehouse.ts'
import { useBigQuery, type BigQueryProject } from '../support/bigquery-emulator.ts'
import type { WarehouseSite } from './harness.ts'
import { plainValue, type PlainKind, type PlainRow } from './plain.ts'
import { warehouseContract } from './warehouse.contract.ts'

const bigquery = useBigQuery()

warehouseContract({
  name: 'BigQuery',
  makeSite,
  exceptions: {
    'leaves not even an empty raw table where there was none': "BigQuery's transactions do not take tables back",
    'follows a column of the candidate that is of another type':
      'BigQuery changes no types in place; refused with the command that helps (src/warehouses/bigquery)',
    'of numbers with 38 digits come back to the last digit': 'the emulator takes no BIGNUMERIC from Parquet',
    'a refresh log of seven columns is gone on with': "the emulator's catalogue misses what ALTER TABLE adds",
  },
})

async function makeSite(): Promise<WarehouseSite> {
  const place = bigquery().freshProject()
  const { apiEndpoint, project } = place
  const login = { method: 'oauth-secrets', token: 'any', location: 'US', api_endpoint: apiEndpoint }
  const settings = { type: 'bigquery', ...login, project, dataset: 'dev', threads: 1 }
  const target = { profile: 'p', target: 'dev', type: 'bigquery', profilesDir: '/', settings, secrets: ['any'] }
  const query = (sql: string) => rows(place, sql)
  return {
    database: project,
    copyTo: null,
    open: (at, access) => openBigquery(target, at, access),
    query,
    read: query,
    async execute(...statements) {
      for (const sql of statements) await query(sql)
    },
    async tables(schema) {
      const found = (await ask(place, 'GET', `/datasets/${schema}/tables`)) as TableList
      return (found.tables ?? [])
        .filter(({ type }) => type === 'TABLE')
        .map(({ tableReference }) => tableReference.tableId)
        .sort()
    },
    async furnish(schema, table) {
      const furniture = { description: 'for the dashboard', labels: { owner: 'analysts' } }
      await ask(place, 'PATCH', `/datasets/${schema}/tables/${table}`, furniture)
    },
    async furniture(schema, table) {
      const { description, labels } = (await ask(place, 'GET', `/datasets/${schema}/tables/${table}`)) as Furniture
      return { description, labels }
    },
    remove: () => Promise.resolve(),
  }
}

interface TableList {
  readonly tables?: readonly { readonly type: string; readonly tableReference: { readonly tableId: string } }[]
}

interface Furniture {
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
}

interface Answer {
  readonly schema?: { readonly fields: readonly { readonly name: string; readonly type: string }[] }
  readonly rows?: readonly { readonly f: readonly { readonly v: string | null }[] }[]
  /** The emulator tells a failed query so. */
  readonly errors?: readonly { readonly message: string }[]
}

const KINDS: Readonly<Record<string, PlainKind>> = {
  INTEGER: 'integer',
  FLOAT: 'float',
  NUMERIC: 'decimal',
  BIGNUMERIC: 'decimal',
  BOOLEAN: 'boolean',
  DATE: 'time',
  TIME: 'time',
  DATETIME: 'time',
  TIMESTAMP: 'microseconds',
}

async function rows(place: BigQueryProject, query: string): Promise<PlainRow[]> {
  const formatOptions = { useInt64Timestamp: true }
  const answer = (await ask(place, 'POST', '/queries', { query, useLegacySql: false, formatOptions })) as Answer
  if (answer.errors !== undefined)
    throw new Error(`${query}: ${answer.errors.map(({ message }) => message).join('; ')}`)
  const fields = answer.schema?.fields ?? []
  return (answer.rows ?? []).map(({ f }) =>
    Object.fromEntries(
      fields.map(({ name, type }, index) => [name, plainValue(KINDS[type] ?? 'text', f[index]?.v ?? null)]),
    ),
  )
}

/** BigQuery's own REST interface; what is not there is empty. */
async function ask(place: BigQueryProject, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await fetch(`${place.apiEndpoint}/bigquery/v2/projects/${place.project}${path}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: 'Bearer any' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (answer.status === 404) return {}
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return await answer.json()
}
