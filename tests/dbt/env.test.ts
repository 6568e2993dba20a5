// A day that reaches dbt by the environment: each run gets its own, in the text of models and in where they are built.
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess } from '../support/cli.ts'
import { query } from '../support/warehouse.ts'

const FILES: Readonly<Record<string, string>> = {
  'pipelines/days.yml': `name: days
dbt: { project_dir: dbt }
params: { date: { type: date, default: yesterday } }
steps:
  - dbt: { command: build, env: { RUN_DATE: "{date}" } }
`,
  'dbt/dbt_project.yml': 'name: days\nversion: "1.0.0"\nprofile: days\nmodels: { days: { +materialized: table } }\n',
  'dbt/profiles.yml':
    'days: { target: dev, outputs: { dev: { type: duckdb, path: ../.millrace/warehouse.duckdb, schema: main } } }\n',
  'dbt/models/today.sql': "select '{{ env_var('RUN_DATE') }}' as day\n",
  // Read while parsing: a manifest of another day would build another day's table.
  'dbt/models/dated.sql':
    "{{ config(alias='dated_' ~ env_var('RUN_DATE') | replace('-', '_')) }} select day from {{ ref('today') }}\n",
  'dbt/tests/is_the_day.sql': "select day from {{ ref('dated') }} where day <> '{{ env_var('RUN_DATE') }}'\n",
}

async function makeWorkspace(): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-env-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await mkdir(path.join(root, '.millrace'))
  for (const [file, text] of Object.entries(FILES)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true })
    await writeFile(path.join(root, file), text)
  }
  return workspaceAt(root)
}

test("each run's models and tests get its own day: neither an earlier run's nor the worker's", async () => {
  const workspace = await makeWorkspace()
  const worker = await startWorkerProcess(workspace, { RUN_DATE: '1999-01-01' })
  const run = async (day: string) => {
    const { code, stdout, stderr } = await millrace(workspace, ['run', 'days', '--date', day])
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toContain('1 pass')
  }
  await run('2026-11-17')
  await run('2026-11-18')
  await run('2026-11-17') // its manifest is known by now, the other day's is the newest
  await worker.stop()

  const day = async (table: string) => (await query(workspace, `select * from ${table}`)).map((row) => row['day'])
  expect(await day('today')).toEqual(['2026-11-17'])
  expect(await day('dated_2026_11_17')).toEqual(['2026-11-17'])
  expect(await day('dated_2026_11_18')).toEqual(['2026-11-18'])
  const tables = await query(workspace, "select table_name from duckdb_tables() where schema_name = 'main' order by 1")
  expect(tables.map((row) => row['table_name'])).toEqual(['dated_2026_11_17', 'dated_2026_11_18', 'today'])
}, 300_000)
