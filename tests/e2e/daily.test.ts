// The daily pipeline as a user runs it: real server, worker, dbt and DuckDB, the sample files.
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import type { RunRequest } from '../../src/pipeline/plan.ts'
import type { RunReport } from '../../src/pipeline/report.ts'
import type { Workspace } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess, type CliResult } from '../support/cli.ts'
import { truthOf } from '../support/truth.ts'
import { change, query, queryCount } from '../support/warehouse.ts'
import { startWorker, type TestWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

const DAY = '2026-11-18'

function reportOf({ stdout, stderr }: CliResult): RunReport {
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; report?: RunReport })
  const report = events.find(({ event }) => event === 'report')?.report
  if (report === undefined) throw new Error(`no report in: ${stdout}\n${stderr}`)
  return report
}

/** A run of the day on this worker, with a request beside its date. */
function runDay(worker: TestWorker, date: string, { params, ...request }: RunRequest = {}): Promise<RunReport> {
  return worker.run('daily', { ...request, params: { date, ...params } })
}

test('a day goes from its files to checked marts, and every record is accounted for', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorkerProcess(workspace)
  const report = reportOf(await millrace(workspace, ['run', 'daily', '--json', '--date', DAY]))
  await worker.stop()

  expect(report).toMatchObject({
    target: 'dev',
    logicalDate: DAY,
    outcome: 'succeeded',
    run: 'succeeded',
    test: 'succeeded',
  })
  for (const table of ['viewing_logs', 'social_interactions'] as const) {
    const truth = truthOf(table, DAY)
    const load = report.steps[0]?.loads.find(({ into }) => into === `raw.${table}`)?.report
    expect(load).toMatchObject({ read: truth.records, loaded: truth.good, rejected: truth.brokenRecords.length })
    expect(await queryCount(workspace, `select count(*) from raw.${table}`)).toBe(truth.good)
    const rejected = await query(workspace, `select _source_record as n from raw.${table}__rejects order by 1`)
    expect(rejected.map(({ n }) => n)).toEqual(truth.brokenRecords)
  }

  const log = await query(workspace, 'select * from analytics_dev.dbt_refresh_log')
  expect(log).toHaveLength(1)
  expect(log[0]).toMatchObject({
    success: true,
    models_updated: 6,
    rows_inserted: truthOf('viewing_logs', DAY).good + truthOf('social_interactions', DAY).good,
    notes: 'daily refresh - 2/2 marts validated',
    outcome: 'succeeded',
  })
  const file = path.join(workspace.stateDir, 'runs', report.workflowId, report.runId, 'report.json')
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
    outcome: 'succeeded',
    workflowId: report.workflowId,
  })
})

test('the same files are not loaded twice, a corrected file replaces its day, and other days stay', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  const file = path.join(workspace.root, `data/inbox/social_interactions-${DAY}.csv`)
  const original = await readFile(file, 'utf8')
  const lastLineGone = original.slice(0, original.trimEnd().lastIndexOf('\n') + 1)
  const onlyIngest = { only: 'ingest' }
  const social = (report: RunReport) => report.steps[0]?.loads[1]?.report
  const { good } = truthOf('social_interactions', DAY)

  await runDay(worker, '2026-11-17', onlyIngest)
  expect(social(await runDay(worker, DAY, onlyIngest))).toMatchObject({ status: 'loaded', loaded: good })
  expect(social(await runDay(worker, DAY, onlyIngest))).toMatchObject({ status: 'already loaded', loaded: good })
  await writeFile(file, lastLineGone)
  expect(social(await runDay(worker, DAY, onlyIngest))).toMatchObject({ status: 'loaded', loaded: good - 1 })
  await writeFile(file, original)
  const again = await runDay(worker, DAY, onlyIngest)
  expect(social(again)).toMatchObject({ status: 'loaded', loaded: good })

  const rows = await query(
    workspace,
    'select cast(_logical_date as varchar) as day, count(*) as n from raw.social_interactions group by 1 order by 1',
  )
  expect(rows).toEqual([
    { day: '2026-11-17', n: truthOf('social_interactions', '2026-11-17').good },
    { day: DAY, n: good },
  ])
  const current = await query(
    workspace,
    `select load_id from raw.millrace_loads where replaced_by is null and raw_table = 'raw.social_interactions' and logical_date = '${DAY}'`,
  )
  expect(current).toEqual([{ load_id: social(again)?.loadId }])
})

test('a param that no file name uses does not make another batch, and a table moved aside is filled again', async () => {
  const workspace = await makeWorkspace()
  const daily = path.join(workspace.root, 'pipelines/daily.yml')
  const yaml = await readFile(daily, 'utf8')
  await writeFile(daily, yaml.replace('steps:', '  label: { type: string, default: a }\nsteps:'))
  const worker = await startWorker(workspace)
  const ingest = (on: TestWorker, label: string) => runDay(on, DAY, { only: 'ingest', params: { label } })
  const statuses = (report: RunReport) => report.steps[0]?.loads.map((load) => load.report?.status)
  const { good } = truthOf('social_interactions', DAY)

  expect(statuses(await ingest(worker, 'a'))).toEqual(['loaded', 'loaded'])
  expect(statuses(await ingest(worker, 'b'))).toEqual(['already loaded', 'already loaded'])
  await worker.stop()
  expect(await queryCount(workspace, 'select count(*) from raw.social_interactions')).toBe(good)

  await change(workspace, 'alter table raw.social_interactions rename to social_interactions_old')
  const secondWorker = await startWorker(workspace)
  expect(statuses(await ingest(secondWorker, 'b'))).toEqual(['already loaded', 'loaded'])
})

test('a file over its limit of rejects loads nothing, and its rejects are there to look at', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  const file = path.join(workspace.root, `data/inbox/social_interactions-${DAY}.csv`)
  const [header = '', ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n')
  await writeFile(file, [header, ...lines.slice(0, 20), 'only,three,fields'].join('\n'))

  const report = await runDay(worker, DAY)
  await worker.stop()
  expect(report.failure?.type).toBe('RejectsOverLimit')
  expect(report.steps.map(({ state }) => state)).toEqual([
    'failed',
    'skipped',
    'skipped',
    'skipped',
    'skipped',
    'succeeded',
  ])
  const tables = await query(
    workspace,
    "select table_name from information_schema.tables where table_name = 'social_interactions'",
  )
  expect(tables).toEqual([])
  const rejects = await query(workspace, 'select code, raw_text from raw.social_interactions__rejects')
  expect(rejects).toContainEqual({ code: 'too few fields', raw_text: 'only,three,fields' })
  const log = await query(workspace, 'select success, failure_type from analytics_dev.dbt_refresh_log')
  expect(log).toEqual([{ success: false, failure_type: 'RejectsOverLimit' }])
})

test('readers see the last good marts until new ones have passed their checks', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  const file = path.join(workspace.root, 'pipelines/daily.yml')
  const yaml = await readFile(file, 'utf8')
  const users = async (from: Workspace | string, schema: string) =>
    await queryCount(from, `select count(*) from ${schema}.mart_users`)
  const copy = path.join(workspace.stateDir, 'published.duckdb')

  await runDay(worker, '2026-11-17')
  await writeFile(file, yaml.replace('rows: { min: 1 }', 'rows: { min: 1000000 }'))
  const failed = await runDay(worker, DAY)
  expect(failed.failure?.type).toBe('MartsFailed')
  // The copy is for readers while a worker has the warehouse.
  const first = await users(copy, 'analytics_dev_live')
  await worker.stop()
  expect(await users(workspace, 'analytics_dev_live')).toBe(first)
  expect(await users(workspace, 'analytics_dev')).toBeGreaterThan(first)

  await writeFile(file, yaml)
  const secondWorker = await startWorker(workspace)
  const good = await runDay(secondWorker, DAY)
  await secondWorker.stop()
  expect(good.outcome).toBe('succeeded')
  const second = await users(workspace, 'analytics_dev')
  expect(await users(workspace, 'analytics_dev_live')).toBe(second)
  expect(await users(copy, 'analytics_dev_live')).toBe(second)
  const manifest = await query(workspace, 'select mart, mart_rows, run_id from analytics_dev_live.millrace_published')
  expect(manifest).toContainEqual({ mart: 'mart_users', mart_rows: second, run_id: good.runId })
})

test('a model that fails fails the run, and says which one and why', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  await writeFile(
    path.join(workspace.root, 'dbt/models/marts/broken.sql'),
    "{{ config(contract={'enforced': false}) }} select no_such_column from {{ ref('mart_users') }}",
  )
  const report = await runDay(worker, DAY)
  expect(report.run).toBe('failed')
  expect(report.failure?.type).toBe('DbtNodesFailed')
  expect(report.failure?.message).toMatch(/model broken \(database\): .*no_such_column/)
})

test('a selection that matches nothing is never green', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  const file = path.join(workspace.root, 'pipelines/daily.yml')
  const yaml = await readFile(file, 'utf8')
  await writeFile(
    file,
    yaml.replace("run, select: ['tag:daily']", "run, select: ['mart_users,mart_content_performance']"),
  )
  const report = await runDay(worker, DAY)
  expect(report.failure?.type).toBe('DbtNothingSelected')
  const { code, stderr } = await millrace(workspace, ['check', 'daily'])
  expect(code).toBe(1)
  expect(stderr).toContain(
    'dbt run --select mart_users,mart_content_performance selects nothing that it could work on: a comma means what both ' +
      'sides have in common; for a union write [mart_users, mart_content_performance]',
  )
})

test('a missing file of the day stops the run before anything is loaded', async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace)
  await rm(path.join(workspace.root, `data/inbox/social_interactions-${DAY}.csv`))
  const report = await runDay(worker, DAY)
  await worker.stop()
  expect(report.failure).toMatchObject({ type: 'FileMissing' })
  expect(report.failure?.message).toContain(`social_interactions-${DAY}.csv does not exist`)
  expect(report.steps.map(({ state }) => state)).toEqual([
    'skipped',
    'skipped',
    'skipped',
    'skipped',
    'skipped',
    'succeeded',
  ])
  const log = await query(workspace, 'select success, failure_type from analytics_dev.dbt_refresh_log')
  expect(log).toEqual([{ success: false, failure_type: 'FileMissing' }])
})
