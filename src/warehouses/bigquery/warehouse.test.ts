// What is special to BigQuery, on the emulator: layout of raw tables, staging that goes, scripts that undo, live tables that stay.
import { describe, expect, test } from 'vitest'
import { LOAD, RAW, withHarness, type WarehouseHarness } from '../../../tests/contract/harness.ts'
import { useBigQuery } from '../../../tests/support/bigquery-emulator.ts'
import { QUICK_RETRIES } from '../../../tests/support/bigquery-fake.ts'
import { identifier } from '../../pipeline/identifier.ts'
import { openApi, type Api } from '../../platform/bigquery/api.ts'
import { readAll, runStatement } from '../../platform/bigquery/query.ts'
import { createDataset, createTable, describeTable } from '../../platform/bigquery/tables.ts'
import { asBigqueryFailure, checked } from './failure.ts'
import { newJobId, transaction } from './session.ts'
import { bigquerySettings } from './settings.ts'
import { openBigquery } from './warehouse.ts'

const bigquery = useBigQuery()

interface Place {
  readonly warehouse: WarehouseHarness
  readonly api: Api
  readonly project: string
  readonly tables: () => Promise<readonly string[]>
  readonly query: (sql: string) => ReturnType<typeof readAll>
}

async function withBigquery<T>(work: (place: Place) => Promise<T>): Promise<T> {
  const { apiEndpoint, project } = bigquery().freshProject()
  const target = {
    profile: 'p',
    target: 'dev',
    type: 'bigquery',
    profilesDir: process.cwd(),
    secrets: [],
    settings: {
      method: 'oauth-secrets',
      token: 'any',
      project,
      dataset: 'dev',
      location: 'EU',
      api_endpoint: apiEndpoint,
    },
  }
  const { auth } = bigquerySettings(target)
  const api = await openApi({ auth, project, location: 'EU', endpoint: apiEndpoint, retries: QUICK_RETRIES })
  const query = (sql: string) => readAll(api, { sql })
  const tables = async () => {
    const list = await api.call<{ tables?: { tableReference: { tableId: string } }[] }>({
      method: 'GET',
      path: '/datasets/raw/tables',
    })
    return (list.tables ?? []).map(({ tableReference }) => tableReference.tableId).sort()
  }
  const site = {
    database: project,
    copyTo: null,
    open: (at: Parameters<typeof openBigquery>[1], access: Parameters<typeof openBigquery>[2]) =>
      openBigquery(target, at, access, QUICK_RETRIES),
    query: () => Promise.resolve([]),
    read: () => Promise.resolve([]),
    execute: () => Promise.resolve(),
    tables: () => Promise.resolve([]),
    furnish: () => Promise.resolve(),
    furniture: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  }
  return await withHarness(
    () => Promise.resolve(site),
    (warehouse) => work({ warehouse, api, project, tables, query }),
  )
}

test('a raw table is partitioned by day, clustered by load and key, and no staging table stays', async () => {
  await withBigquery(async ({ warehouse, api, project, tables }) => {
    const types = { id: 'int', note: 'text', share: 'double', at: 'time', country: 'text', town: 'text' }
    const key = ['id', 'share', 'at', 'country', 'town'].map(identifier)
    await warehouse.commit(['1,a,0.5,10:00:00,FR,Paris', 'x,a,0.5,10:00:00,FR,Lyon'], {
      types,
      rules: { key, duplicates: 'reject' },
    })

    expect(await describeTable(api, { project, dataset: 'raw', table: 'logs' })).toMatchObject({
      // FLOAT64 and TIME cannot cluster; four is the most.
      layout: { partitions: { by: '_logical_date', type: 'DAY' }, clusterBy: ['_load_id', 'id', 'country', 'town'] },
    })
    expect(await tables()).toEqual(['logs', 'logs__rejects', 'millrace_loads'])
  })
})

test('a load that fails leaves no staging table', async () => {
  await withBigquery(async ({ warehouse, tables }) => {
    const failing = warehouse.withLoad(['1,a'], {}, (at, load) => {
      const { stream } = load
      const rows: typeof stream.rows = async (take) => ({ ...(await stream.rows(take)), rejected: 1 })
      return at.commitLoad({ ...load, stream: { ...stream, rows } }, () => undefined)
    })
    await expect(failing).rejects.toMatchObject({ type: 'CountsDisagree' })
    expect(await tables()).toEqual([])
  })
})

test('a check that does not hold undoes the whole script', async () => {
  await withBigquery(async ({ api, project, query }) => {
    await createDataset(api, project, 'raw', 'EU')
    await createTable(api, { project, dataset: 'raw', table: 't' }, { columns: [{ name: 'id', type: 'INT64' }] })
    const sql = transaction([
      { sql: 'INSERT INTO raw.t (id) VALUES (?)', values: [1] },
      checked('(SELECT COUNT(*) FROM raw.t) = 2', 'CountsDisagree', 'one row is not two'),
      'INSERT INTO raw.t (id) VALUES (2)',
    ])

    const failing = runStatement(api, newJobId(), { sql })

    const settings = bigquerySettings({
      profile: 'p',
      target: 'dev',
      type: 'bigquery',
      profilesDir: '/',
      secrets: [],
      settings: { method: 'oauth', project, dataset: 'dev' },
    })
    const error = await failing.catch((thrown: unknown) => asBigqueryFailure(thrown, settings))
    expect(error).toMatchObject({ type: 'CountsDisagree', message: 'one row is not two' })
    expect(await query('SELECT id FROM raw.t')).toEqual([])
  })
})

test('a name of a file arrives as it is, whatever stands in it', async () => {
  await withBigquery(async ({ warehouse, query }) => {
    const name = 'in\\box/it\'s "a" `b`; -- c\n?.csv'
    const files = [{ name, sha256: 'f'.repeat(64), sizeBytes: 4 }]
    await warehouse.commit(['1,a', 'x,b'], { files })

    const current = await warehouse.use((at) => at.currentLoad(RAW, LOAD.batchId))
    expect(current?.files).toEqual(files)
    expect(await query('SELECT COUNT(*) AS n FROM raw.logs')).toEqual([{ n: 1n }])
  })
})

describe('publishing', () => {
  const publication = (project: string) => ({
    pipeline: 'daily',
    target: 'dev',
    runId: 'run 1',
    logicalDate: '2026-11-18',
    publishedAt: '2026-11-19T02:00:00Z',
    to: identifier('live'),
    marts: [
      { mart: identifier('users'), relation: { database: project, schema: 'dev', name: 'users' }, expectedRows: null },
    ],
    copyTo: null,
  })

  async function makeCandidate({ api, project }: Place, columns: readonly (readonly [string, string])[]) {
    await createDataset(api, project, 'dev', 'EU')
    await createTable(
      api,
      { project, dataset: 'dev', table: 'users' },
      {
        columns: columns.map(([name, type]) => ({ name, type, mode: name === 'id' ? 'REQUIRED' : 'NULLABLE' })),
        layout: { partitions: { by: 'day', type: 'DAY' }, clusterBy: ['id'] },
      },
    )
  }

  test('makes a live table with the layout of its candidate, and without its NOT NULL', async () => {
    await withBigquery(async (place) => {
      await makeCandidate(place, [
        ['id', 'INT64'],
        ['day', 'DATE'],
      ])
      await runStatement(place.api, newJobId(), {
        sql: "INSERT INTO dev.users (id, day) VALUES (1, DATE '2026-11-18')",
      })

      await place.warehouse.use((at) => at.publish(publication(place.project)))

      const live = await describeTable(place.api, { project: place.project, dataset: 'live', table: 'users' })
      expect(live).toMatchObject({
        layout: { partitions: { by: 'day', type: 'DAY' }, clusterBy: ['id'] },
        columns: [
          { name: 'id', mode: 'NULLABLE' },
          { name: 'day', mode: 'NULLABLE' },
        ],
      })
      expect(await place.query('SELECT id, day FROM live.users')).toEqual([{ id: 1n, day: '2026-11-18' }])
    })
  })

  test('adds a new column before it fills the table', async () => {
    await withBigquery(async (place) => {
      await makeCandidate(place, [
        ['id', 'INT64'],
        ['day', 'DATE'],
      ])
      await createDataset(place.api, place.project, 'live', 'EU')
      await createTable(
        place.api,
        { project: place.project, dataset: 'live', table: 'users' },
        { columns: [{ name: 'id', type: 'INT64' }] },
      )
      await runStatement(place.api, newJobId(), {
        sql: "INSERT INTO dev.users (id, day) VALUES (1, DATE '2026-11-18')",
      })

      await place.warehouse.use((at) => at.publish(publication(place.project)))
      expect(await place.query('SELECT id, day FROM live.users')).toEqual([{ id: 1n, day: '2026-11-18' }])
    })
  })

  test.each([
    ['FLOAT64', 'ALTER TABLE live.users ALTER COLUMN size SET DATA TYPE FLOAT64'],
    ['STRING', 'DROP TABLE live.users'],
  ])('refuses a column that became %s, with the command', async (type, command) => {
    await withBigquery(async (place) => {
      await makeCandidate(place, [
        ['id', 'INT64'],
        ['day', 'DATE'],
        ['size', type],
      ])
      await createDataset(place.api, place.project, 'live', 'EU')
      const columns = [
        { name: 'id', type: 'INT64' },
        { name: 'day', type: 'DATE' },
        { name: 'size', type: 'INT64' },
      ]
      await createTable(place.api, { project: place.project, dataset: 'live', table: 'users' }, { columns })
      await runStatement(place.api, newJobId(), { sql: 'INSERT INTO live.users (id) VALUES (7)' })

      const published = place.warehouse.use((at) => at.publish(publication(place.project)))

      await expect(published).rejects.toMatchObject({
        type: 'PublishRefused',
        message: expect.stringContaining(command),
      })
      expect(await place.query('SELECT id FROM live.users')).toEqual([{ id: 7n }])
    })
  })
})
