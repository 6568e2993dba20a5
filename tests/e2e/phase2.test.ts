// The dashboards of phase 2 on DuckDB and Postgres: against a truth that dbt has no part in, and on somebody else's project.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Workspace } from '../../src/platform/workspace.ts'
import type { IndustryTruth } from '../../tools/sample-data/industry.ts'
import { DWH_NAMES, writeDwhProject } from '../support/dwh-project.ts'
import { usePostgres, withClient, type PostgresDatabase } from '../support/postgres-server.ts'
import { duckdbOutput, postgresOutput, writeProfiles } from '../support/profiles.ts'
import { query } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

const truth: IndustryTruth = JSON.parse(
  readFileSync(new URL('../fixtures/industry-truth.json', import.meta.url), 'utf8'),
)
const postgres = usePostgres()
/** When the schedule would run it for the sample's day, whose exports are then 26.5 hours old. */
const AT = '2026-11-18T02:30Z'
const TASKS = ['staging', 'facts', 'marts', 'tests', 'validation', 'warm-cache', 'record']
const SCHEMAS = {
  mart_implantation_suivi: 'dwh_marts_operationnel',
  mart_emplois_crees: 'dwh_marts_operationnel',
  mart_indemnisations: 'dwh_marts_financier',
  mart_creances_agees: 'dwh_marts_financier',
} as const

type Look = (sql: string) => Promise<Record<string, unknown>[]>
interface Site {
  readonly workspace: Workspace
  /** The only target of the profile. */
  readonly target: string
  /** Before the schemas that the marts ask for. */
  readonly prefix: string
  readonly look: Look
}

async function duckdbSite(): Promise<Site> {
  const workspace = await makeWorkspace()
  const file = path.join(workspace.stateDir, 'warehouse.duckdb')
  await writeProfiles(path.join(workspace.root, 'dbt'), { dev: duckdbOutput(file, 'candidates') })
  return { workspace, target: 'dev', prefix: 'candidates_', look: (sql) => query(workspace, sql) }
}

async function postgresSite(): Promise<Site> {
  const workspace = await makeWorkspace()
  const database = await postgres().freshDatabase()
  await writeProfiles(path.join(workspace.root, 'dbt'), { prod: postgresOutput(database, 'candidates') })
  return { workspace, target: 'prod', prefix: '', look: lookInto(database) }
}

function lookInto(database: PostgresDatabase): Look {
  return async (sql) =>
    await withClient(database, async (client) => (await client.query<Record<string, unknown>>(sql)).rows)
}

/** An API that knows all addresses but that of the receivables. */
async function startApi(): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(request.url?.includes('creances') === true ? 500 : 200).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}` // listens on a port
}

/** The marts' rows with those columns that the truth speaks of; numbers as numbers, whatever the driver makes of them. */
async function marts({ look, prefix }: Site): Promise<Record<string, unknown>> {
  const expected = truthOf('2026-11-17')
  const found: Record<string, unknown> = {}
  for (const [mart, schema] of Object.entries(SCHEMAS)) {
    const columns = Object.entries(expected[mart]?.[0] ?? {})
    const rows = await look(`select * from ${prefix}${schema}.${mart} order by 1, 2, 3`)
    found[mart] = rows.map((row) =>
      Object.fromEntries(
        columns.map(([name, like]) => [name, typeof like === 'number' ? Number(row[name]) : row[name]]),
      ),
    )
  }
  return found
}

function truthOf(day: string) {
  return { ...truth.marts, mart_creances_agees: truth.mart_creances_agees[day] ?? [] } as Record<
    string,
    IndustryTruth['mart_creances_agees'][string]
  > // a literal keeps its own names
}

describe.each([
  ['DuckDB', duckdbSite],
  ['Postgres', postgresSite],
] as const)('on %s', (kind, open) => {
  test('the seven tasks build marts that equal the truth; an incremental day after them equals a full refresh', async () => {
    const site = await open()
    const { workspace, target, look, prefix } = site
    const api = { API_BASE_URL: await startApi() }
    const invoices = () => look('select * from candidates.fait_factures order by facture_id')
    const tableOf = async () =>
      kind === 'Postgres' ? await look("select 'candidates.fait_factures'::regclass::oid") : []

    let worker = await startWorker(workspace, api)
    await worker.run('daily-incremental', { only: 'ingest', params: { date: '2026-11-17' }, target })
    const report = await worker.run('phase2-dashboards', { runTime: AT, target })
    await worker.stop()

    expect(report.steps.map(({ id }) => id)).toEqual(TASKS)
    expect(report.steps.map(({ state }) => state)).toEqual([
      ...Array<string>(5).fill('succeeded'),
      'warned',
      'succeeded',
    ])
    expect(report.steps.slice(0, 3).map(({ dbt }) => dbt?.counts)).toEqual([
      { success: 3 },
      { success: 4 },
      { success: 4 },
    ])
    expect(report.steps[3]?.dbt?.counts['pass']).toBeGreaterThan(30)
    expect(report.steps[4]?.marts.map(({ mart, verdict, relation }) => [mart, verdict, relation])).toEqual(
      Object.entries(SCHEMAS).map(([mart, schema]) => [mart, 'VALID', `${prefix}${schema}.${mart}`]),
    )
    expect(report.steps[5]?.warmed.map(({ status }) => status)).toEqual([200, 200, 200, 500])
    expect(await marts(site)).toEqual(truthOf('2026-11-17'))
    const log = await look(
      "select success, models_updated, notes from candidates.dbt_refresh_log where notes like 'Phase 2%'",
    )
    expect(log.map((row) => ({ ...row, models_updated: Number(row['models_updated']) }))).toEqual([
      { success: true, models_updated: 11, notes: 'Phase 2 refresh - 4/4 marts validated' },
    ])
    const table = await tableOf()

    worker = await startWorker(workspace, api)
    const day = await worker.run('daily-incremental', { params: { date: '2026-11-18' }, target })
    await worker.stop()
    expect(day.outcome).toBe('succeeded')
    expect(await marts(site)).toEqual(truthOf('2026-11-18'))
    const incremental = await invoices()
    expect(incremental).toHaveLength(325)
    expect(await tableOf()).toEqual(table)

    worker = await startWorker(workspace, api)
    const week = await worker.run('weekly-full-refresh', { target })
    await worker.stop()
    expect(week.outcome).toBe('succeeded')
    expect(await invoices()).toEqual(incremental)
    expect(await marts(site)).toEqual(truthOf('2026-11-18'))
    // Only a full refresh makes the table anew; DuckDB has no number that tells.
    expect(JSON.stringify(await tableOf()) === JSON.stringify(table)).toBe(kind === 'DuckDB')
  }, 600_000)
})

test("somebody else's project of 60 models: only project_dir and names change, and a tag without tests is a named warning", async () => {
  const workspace = await makeWorkspace()
  const database = await postgres().freshDatabase()
  await writeDwhProject(path.join(workspace.root, 'warehouse'), postgresOutput(database, 'base'))
  const file = path.join(workspace.pipelinesDir, 'phase2-dashboards.yml')
  let yaml = (await readFile(file, 'utf8')).replace('project_dir: dbt ', 'project_dir: warehouse ')
  for (const [ours, theirs] of Object.entries(DWH_NAMES)) yaml = yaml.replaceAll(ours, theirs)
  await writeFile(file, yaml)
  const worker = await startWorker(workspace, { API_BASE_URL: 'http://127.0.0.1:1' })
  const report = await worker.run('phase2-dashboards')
  await worker.stop()

  expect(report.outcome).toBe('warned')
  expect(report.steps.map(({ id, state }) => [id, state])).toEqual([
    ['staging', 'succeeded'],
    ['facts', 'succeeded'],
    ['marts', 'succeeded'],
    ['tests', 'warned'],
    ['validation', 'warned'],
    ['warm-cache', 'warned'],
    ['record', 'succeeded'],
  ])
  expect(report.steps[3]?.failure).toMatchObject({
    type: 'DbtNothingSelected',
    message: expect.stringContaining('tag:P2'),
  })
  expect(report.steps[4]?.marts.map(({ mart, relation, verdict }) => [mart, relation, verdict])).toEqual([
    ['suivi_mensuel', 'dwh_operationnel.suivi_mensuel', 'VALID'],
    ['emplois_mensuels', 'dwh_operationnel.emplois_mensuels', 'VALID'],
    ['indemnisations_mensuelles', 'dwh_financier.indemnisations_mensuelles', 'WARNING'],
    ['balance_agee', 'dwh_financier.balance_agee', 'VALID'],
  ])
  const log = await lookInto(database)('select success, notes from base.dbt_refresh_log')
  const warning = 'indemnisations_mensuelles WARNING: 2 NULLs in mois (5.0 %, 10.0 % allowed)'
  expect(log).toEqual([{ success: true, notes: `Phase 2 refresh - 4/4 marts validated - ${warning}` }])
}, 300_000)
