// The contract on BigQuery: an emulator for this file, a project of its own for each test.
import { openBigquery } from '../../src/warehouses/bigquery/warehouse.ts'
import { useBigQuery } from '../support/bigquery-emulator.ts'
import { askBigquery, bigqueryRows } from '../support/rows/bigquery.ts'
import type { WarehouseSite } from './harness.ts'
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
  const query = (sql: string) => bigqueryRows(place, sql)
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
      const found = (await askBigquery(place, 'GET', `/datasets/${schema}/tables`)) as TableList
      return (found.tables ?? [])
        .filter(({ type }) => type === 'TABLE')
        .map(({ tableReference }) => tableReference.tableId)
        .sort()
    },
    async furnish(schema, table) {
      const furniture = { description: 'for the dashboard', labels: { owner: 'analysts' } }
      await askBigquery(place, 'PATCH', `/datasets/${schema}/tables/${table}`, furniture)
    },
    async furniture(schema, table) {
      const { description, labels } = (await askBigquery(
        place,
        'GET',
        `/datasets/${schema}/tables/${table}`,
      )) as Furniture
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
