// What a dbt that is gone has asked of Postgres does not go on: the server itself would not notice before the query is over.
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import type { RunReport } from '../../src/pipeline/report.ts'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { millrace, taskQueueOf } from '../support/cli.ts'
import { dbtPid } from '../support/dbt-run.ts'
import { usePostgres, withClient, type PostgresDatabase } from '../support/postgres-server.ts'
import { postgresOutput, writeProfiles } from '../support/profiles.ts'
import { QUICK_POLICIES } from '../support/quick-policies.ts'
import { startWorker } from '../support/worker.ts'

const ROUNDS = Number(process.env['MILLRACE_FAULT_ROUNDS'] ?? 1)

/** Far longer than anything here waits for. */
const NAP_S = 600
/** Takes as long as the table `naps` says when it begins. */
const MODEL = "{{ config(materialized='table') }}\nselect pg_sleep(seconds)::text as slept, 1 as id from public.naps\n"

const postgres = usePostgres()

interface Site {
  readonly workspace: Workspace
  readonly database: PostgresDatabase
}

async function makeSite(): Promise<Site> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-left-queries-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const database = await postgres().freshDatabase()
  for (const folder of ['dbt/models', 'pipelines', '.millrace'])
    await mkdir(path.join(root, folder), { recursive: true })
  await writeFile(path.join(root, 'dbt/dbt_project.yml'), 'name: sleepy\nversion: "1.0.0"\nprofile: millrace\n')
  await writeProfiles(path.join(root, 'dbt'), { dev: postgresOutput(database) })
  await writeFile(path.join(root, 'dbt/models/sleeper.sql'), MODEL)
  await writeFile(
    path.join(root, 'pipelines/sleepy.yml'),
    'name: sleepy\ndbt: { project_dir: dbt }\nsteps:\n  - dbt: { command: run, retries: 2, retry_delay: 1s }\n' +
      'refresh_log: dbt_refresh_log\ntimeout: 5m\n',
  )
  await sql(database, `create table public.naps as select ${NAP_S} as seconds`)
  return { workspace: workspaceAt(root), database }
}

async function sql(database: PostgresDatabase, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return await withClient(database, async (client) => {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  })
}

/** Server processes that sleep for the model. */
async function sleepers(database: PostgresDatabase): Promise<readonly unknown[]> {
  const found = await sql(
    database,
    `select pid from pg_stat_activity where datname = current_database() and state = 'active'
       and query like '%pg_sleep%' and pid <> pg_backend_pid()`,
  )
  return found.map(({ pid }) => pid)
}

const untilAsleep = ({ database }: Site) =>
  vi.waitFor(async () => expect(await sleepers(database)).toHaveLength(1), { timeout: 60_000, interval: 50 })

test.each(Array.from({ length: ROUNDS }))(
  'dbt is killed in the middle of a query: the next attempt ends the query, which nobody reads any more, and succeeds',
  async () => {
    const site = await makeSite()
    const { workspace, database } = site
    await startWorker(workspace)
    const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
    const workflowId = taskQueueOf(workspace)
    const start = { workflowId, taskQueue: workflowId, args: [{ policies: QUICK_POLICIES }] }
    const handle = await client.workflow.start('sleepy', start)
    await untilAsleep(site)
    const left = await sleepers(database)
    await sql(database, 'update public.naps set seconds = 0')

    // The group: the process that would end dbt's queries in order is gone with it.
    process.kill(-((await dbtPid(workspace)) ?? Number.NaN), 'SIGKILL')
    expect(await sleepers(database)).toEqual(left)

    const report = (await handle.result()) as RunReport
    await client.connection.close()
    expect(report.outcome).toBe('succeeded')
    expect(report.steps[0]).toMatchObject({ id: 'dbt-run', attempts: 2, dbt: { counts: { success: 1 } } })
    expect(await sleepers(database)).toEqual([])
    expect(await sql(database, 'select id from analytics.sleeper')).toEqual([{ id: 1 }])
    expect(report.durationMs).toBeLessThan((NAP_S * 1000) / 5)
  },
)

test('a run that is cancelled in the middle of a query leaves none of it', async () => {
  const site = await makeSite()
  const { workspace, database } = site
  await startWorker(workspace)
  const { stdout } = await millrace(workspace, ['run', 'sleepy', '--detach'])
  const workflowId = /^\S+/.exec(stdout)?.[0] ?? ''
  await untilAsleep(site)

  await millrace(workspace, ['cancel', workflowId])
  const followed = await millrace(workspace, ['follow', workflowId])

  expect(followed.code).toBe(130)
  expect(await sleepers(database)).toEqual([])
  expect(await sql(database, "select to_regclass('analytics.sleeper') as made")).toEqual([{ made: null }])
  expect(await sql(database, 'select outcome from analytics.dbt_refresh_log')).toEqual([{ outcome: 'cancelled' }])
})
