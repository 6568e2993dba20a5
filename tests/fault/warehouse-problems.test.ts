// A warehouse that is not as the pipeline needs it: each fails the load as what it is, and says what to do, in words that
// can be done as they stand. Read aloud, they are the runbook.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { FailureType } from '../../src/pipeline/failure.ts'
import { describeFailure } from '../../src/pipeline/failure.ts'
import { useBigQuery, type BigQueryProject } from '../support/bigquery-emulator.ts'
import { refusal, startBigQueryFake } from '../support/bigquery-fake.ts'
import { usePostgres, withClient, type PostgresDatabase } from '../support/postgres-server.ts'
import { bigqueryOutput, duckdbOutput, postgresOutput, type ProfileOutput } from '../support/profiles.ts'
import { loadOnce, writeBatch, writeWorkspace } from './one-load.ts'

/** As many tries as ever, without the waiting between them. */
vi.mock(import('../../src/platform/bigquery/retry.ts'), async (original) => ({
  ...(await original()),
  RETRY_RULES: { tries: 8, firstDelayMs: 1, longestDelayMs: 5 },
}))

let root: string
beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-problems-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
})

/** What the load fails with, with the folder of the profile cut away from before its name. */
async function problemOf(output: ProfileOutput): Promise<{ readonly type: FailureType; readonly message: string }> {
  await writeWorkspace(root, output)
  await writeBatch(root, { note: 'new', rows: 10, rejects: 0 })
  // As dbt writes them: the names of the kinds are the same.
  const kind = output.type as 'duckdb' | 'postgres' | 'bigquery'
  const told = await loadOnce({ root, kind, runId: 'run', attempt: 1 }).then(
    () => undefined,
    (error: unknown) => describeFailure(error),
  )
  if (told === undefined) throw new Error('the load succeeded')
  const profiles = path.relative(process.cwd(), path.join(root, 'dbt', 'profiles.yml'))
  return { ...told, message: told.message.replaceAll(profiles, 'dbt/profiles.yml').replaceAll(root, '.') }
}

const inEurope = (place: BigQueryProject): ProfileOutput => ({ ...bigqueryOutput(place), location: 'EU' })

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address !== null && typeof address === 'object' ? address.port : 0
}

describe('Postgres', () => {
  const postgres = usePostgres()
  let database: PostgresDatabase
  beforeEach(async () => {
    database = await postgres().freshDatabase()
  })
  const sql = (text: string) => withClient(database, (client) => client.query(text))
  const label = () => `127.0.0.1:${database.port}/${database.dbname}`

  test('a wrong password, which is not told', async () => {
    expect(await problemOf(postgresOutput({ ...database, password: 'hunter2' }))).toEqual({
      type: 'WarehouseAuth',
      message:
        `${label()} does not let user 'millrace_test' in: wrong password, or no such user; ` +
        `correct user and password of dbt/profiles.yml, target 'dev'`,
    })
  })

  test('a server that is not there', async () => {
    const port = await closedPort()
    expect(await problemOf(postgresOutput({ ...database, port }))).toEqual({
      type: 'WarehouseUnreachable',
      message:
        `127.0.0.1:${port}/${database.dbname} does not answer: ECONNREFUSED (nothing listens there); ` +
        `see that the server is up, then start the run again`,
    })
  })

  test('a database that is not there', async () => {
    expect(await problemOf(postgresOutput({ ...database, dbname: 'shopp' }))).toEqual({
      type: 'ProfileInvalid',
      message:
        `127.0.0.1:${database.port}/shopp: there is no database 'shopp'; correct dbname of dbt/profiles.yml, target 'dev', ` +
        `or: CREATE DATABASE "shopp"`,
    })
  })

  test('a user who may not create the schema', async () => {
    await sql(`create role loader login password 'pw'`)
    onTestFinished(async () => void (await sql('drop role loader')))
    expect(await problemOf(postgresOutput({ ...database, user: 'loader', password: 'pw' }))).toEqual({
      type: 'WarehouseAuth',
      message:
        `${label()}: permission denied for database ${database.dbname}. ` +
        `Its owner has to run: GRANT CREATE ON DATABASE "${database.dbname}" TO "loader"`,
    })
  })

  test('a raw table with other columns than the contract', async () => {
    await sql('create schema raw; create table raw.logs (id text, remark text)')
    expect(await problemOf(postgresOutput(database))).toEqual({ type: 'ContractChanged', message: OTHER_COLUMNS })
  })

  test('a view where the raw table should be', async () => {
    await sql('create schema raw; create view raw.logs as select 1 as id')
    expect(await problemOf(postgresOutput(database))).toEqual({ type: 'ContractChanged', message: A_VIEW })
  })
})

const OTHER_COLUMNS =
  'raw.logs has other columns than its contract (id, note, _load_id, _source_file, _source_record); ' +
  'change the table by hand (ALTER TABLE), or move it aside so that it is made anew: ' +
  'ALTER TABLE raw.logs RENAME TO logs_old (then run the days that were in it again)'
const A_VIEW = 'raw.logs is a view, nothing can be loaded into it; drop or rename it'

describe('DuckDB', () => {
  test('a file that another program has open', async () => {
    const file = path.join(root, 'warehouse.duckdb')
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { DuckDBInstance } from '@duckdb/node-api'
         globalThis.held = await DuckDBInstance.create(process.argv[1])
         console.log('open')
         setInterval(() => undefined, 1000)`,
        file,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    onTestFinished(() => void holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')

    expect(await problemOf(duckdbOutput(file))).toEqual({
      type: 'WarehouseBusy',
      message: expect.stringMatching(
        new RegExp(
          String.raw`^\./warehouse\.duckdb is open in \S+ \(process ${holder.pid}\); DuckDB lets only one program write\. Close it there$`,
        ),
      ),
    })
  })
})

describe('BigQuery', () => {
  const bigquery = useBigQuery()

  async function post({ apiEndpoint, project }: BigQueryProject, below: string, body: unknown): Promise<void> {
    const answer = await fetch(`${apiEndpoint}/bigquery/v2/projects/${project}${below}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer any' },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(200)
  }

  test('a service that is not there', async () => {
    const apiEndpoint = `http://127.0.0.1:${await closedPort()}`
    expect(await problemOf(bigqueryOutput({ apiEndpoint, project: 'shop' }))).toEqual({
      type: 'WarehouseUnreachable',
      message: expect.stringMatching(
        /^BigQuery \(shop\.analytics\) does not answer: .*ECONNREFUSED.*\. Check the network and api_endpoint \(http:\S+\), then start the run again$/,
      ),
    })
  })

  test('a dataset that lies elsewhere than the profile says', async () => {
    const place = bigquery().freshProject()
    const { project } = place
    await post(place, '/datasets', { datasetReference: { projectId: project, datasetId: 'analytics' }, location: 'US' })
    expect(await problemOf(inEurope(place))).toEqual({
      type: 'ProfileInvalid',
      message:
        `dataset analytics is in US, but dbt/profiles.yml, target 'dev' says EU; BigQuery cannot use both at once. ` +
        `Set location: US there, or make the dataset anew where the others are`,
    })
  })

  describe('that refuses', () => {
    async function refusing(route: string, status: number, reason: string, message: string): Promise<ProfileOutput> {
      const fake = await startBigQueryFake()
      onTestFinished(() => fake.stop())
      fake.on('GET /datasets/analytics', { json: { location: 'EU' } })
      fake.on('GET /datasets/raw', refusal(404, 'notFound', 'Not found: Dataset shop:raw'))
      fake.on('GET /datasets/raw/tables/millrace_loads', refusal(404, 'notFound', 'Not found: Table'))
      fake.on(route, refusal(status, reason, message))
      return inEurope({ apiEndpoint: fake.endpoint, project: 'shop' })
    }

    test('a login that does not hold', async () => {
      const output = await refusing('GET /datasets/analytics', 401, 'authError', 'Request had invalid credentials.')
      expect(await problemOf(output)).toEqual({
        type: 'WarehouseAuth',
        message: expect.stringMatching(
          /^BigQuery \(shop\.analytics\) does not know who asks: Request had invalid credentials\.+ Put a token that still holds into dbt\/profiles\.yml, target 'dev', or use method oauth with: gcloud auth application-default login$/,
        ),
      })
    })

    test('to look into a dataset', async () => {
      const said =
        'Access Denied: Dataset shop:analytics: Permission bigquery.datasets.get denied on dataset shop:analytics'
      expect(await problemOf(await refusing('GET /datasets/analytics', 403, 'accessDenied', said))).toEqual({
        type: 'WarehouseAuth',
        message:
          `BigQuery (shop.analytics) refused: ${said}. ` +
          'Grant it (infra/ does): bq query --use_legacy_sql=false ' +
          String.raw`"GRANT \`roles/bigquery.dataViewer\` ON SCHEMA \`shop\`.analytics TO 'user:<the account of this target>'"`,
      })
    })

    test('to make a dataset that is missing', async () => {
      const said =
        'Access Denied: Project shop: User does not have bigquery.datasets.create permission in project shop.'
      expect(await problemOf(await refusing('POST /datasets', 403, 'accessDenied', said))).toEqual({
        type: 'ProfileInvalid',
        message:
          'project shop has no dataset raw, and this account may not create it. Create it with infra/, or with: ' +
          String.raw`bq query --use_legacy_sql=false "CREATE SCHEMA \`shop\`.raw OPTIONS (location = 'EU')"`,
      })
    })
  })

  test('a view where the raw table should be', async () => {
    const place = bigquery().freshProject()
    const { project } = place
    for (const datasetId of ['analytics', 'raw']) {
      await post(place, '/datasets', { datasetReference: { projectId: project, datasetId }, location: 'EU' })
    }
    const view = { query: 'select 1 as id', useLegacySql: false }
    await post(place, '/datasets/raw/tables', {
      tableReference: { projectId: project, datasetId: 'raw', tableId: 'logs' },
      view,
    })
    expect(await problemOf(inEurope(place))).toEqual({
      type: 'ContractChanged',
      message: A_VIEW,
    })
  })
})
