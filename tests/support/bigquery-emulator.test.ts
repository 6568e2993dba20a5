// What tests rely on in their BigQuery: it answers Google's own client, keeps projects apart, and is gone afterwards.
import { BigQuery } from '@google-cloud/bigquery'
import { OAuth2Client } from 'google-auth-library'
import { expect, test } from 'vitest'
import { startBigQuery, useBigQuery, type BigQueryProject } from './bigquery-emulator.ts'

const bigquery = useBigQuery()

test('two projects have nothing in common', async () => {
  const [one, other] = [client(bigquery().freshProject()), client(bigquery().freshProject())]
  await one.createDataset('raw')
  await other.createDataset('raw')
  await query(one, 'create table raw.seen as select 7 as id')

  expect(await query(one, 'select id from raw.seen')).toEqual([{ id: 7 }])
  await expect(query(other, 'select id from raw.seen')).rejects.toThrow(/Not found/)
})

test('numbers are as exact and as strict as BigQuery’s', async () => {
  const one = client(bigquery().freshProject())
  await one.createDataset('marts')
  await query(
    one,
    'create table marts.shares (share numeric(5, 4) not null) options() as (select share from (select round(cast(1 as numeric) / x, 4) as share from unnest([3]) as x) as subquery)',
  )

  // BigQuery: NUMERIC has nine digits after the point; the parameters of a type belong to columns.
  const between = "share > cast('0.3332' as numeric) and share < cast('0.3334' as numeric)"
  expect(await query(one, `select ${between} as exact from marts.shares`)).toEqual([{ exact: true }])
  await expect(query(one, 'select cast(1 as numeric(5, 4)) as share')).rejects.toThrow(
    'Parameterized types are not allowed in CAST expressions',
  )
})

test('a stopped emulator no longer listens', async () => {
  const emulator = await startBigQuery()
  const { apiEndpoint } = emulator.freshProject()
  expect((await fetch(`${apiEndpoint}/healthz`)).status).toBe(200)
  await emulator.stop()

  await expect(fetch(`${apiEndpoint}/healthz`)).rejects.toThrow('fetch failed')
})

/** As a job of its own: the client's `query` asks jobs.query, where the emulator tells a failure as an empty success. */
async function query(bigquery: BigQuery, sql: string): Promise<unknown[]> {
  const [job] = await bigquery.createQueryJob(sql)
  const [rows] = await job.getQueryResults()
  return rows
}

function client({ apiEndpoint, project }: BigQueryProject): BigQuery {
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: 'any' })
  return new BigQuery({ apiEndpoint, projectId: project, authClient })
}
