// Makes dbt projects on DuckDB of any size, with a pipeline over them: for benchmarks, and for tests that kill things.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

export interface GeneratedProject {
  readonly models: number
  /** How many rows the slow query of each model counts: 60 million take about a second of one core. */
  readonly work?: number
  readonly threads?: number
  /** Further steps of the pipeline, as YAML of a step's inside: `{ command: test }`. */
  readonly commands?: readonly string[]
  /** Models (by number, from 0) that fail for good. */
  readonly failing?: readonly number[]
  /** Models that read `needed`, a table that dbt knows nothing of. */
  readonly needy?: readonly number[]
  readonly timeout?: string
  /** How its dbt is launched, where that matters. */
  readonly launcher?: 'warm' | 'cli'
}

/**
 * Writes `dbt/` and `pipelines/generated.yml` into a workspace. Model n is a table made from models n-1 and n/2, with a
 * not_null and a unique test; each adds its name to the table `audit` within its own transaction, so that one sees from
 * outside how often it was built.
 */
export async function writeGeneratedProject(root: string, options: GeneratedProject): Promise<void> {
  const {
    models,
    work = 0,
    threads = 1,
    commands = ['{ command: build }'],
    failing = [],
    needy = [],
    timeout = '30m',
    launcher = 'auto',
  } = options
  const dbt = path.join(root, 'dbt')
  await mkdir(path.join(dbt, 'models'), { recursive: true })
  await mkdir(path.join(root, 'pipelines'), { recursive: true })
  await mkdir(path.join(root, '.millrace'), { recursive: true })
  const names = Array.from({ length: models }, (_, index) => modelName(index))
  await Promise.all([
    writeFile(
      path.join(root, 'pipelines', 'generated.yml'),
      `name: generated\ndbt: { project_dir: dbt, launcher: ${launcher} }\nsteps:\n${commands.map((command) => `  - dbt: ${command}\n`).join('')}` +
        `refresh_log: dbt_refresh_log\ntimeout: ${timeout}\n`,
    ),
    writeFile(
      path.join(dbt, 'dbt_project.yml'),
      'name: generated\nversion: "1.0.0"\nprofile: generated\nmodels: { generated: { +materialized: table } }\n' +
        'on-run-start: "create table if not exists {{ target.schema }}.audit (node varchar)"\n',
    ),
    writeFile(
      path.join(dbt, 'profiles.yml'),
      'generated:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n' +
        `      path: "{{ env_var('MILLRACE_TEST_WAREHOUSE', '../.millrace/warehouse.duckdb') }}"\n      schema: main\n      threads: ${threads}\n`,
    ),
    writeFile(
      path.join(dbt, 'models', 'schema.yml'),
      `models:\n${names.map((name) => `  - { name: ${name}, columns: [{ name: id, data_tests: [not_null, unique] }] }\n`).join('')}`,
    ),
    ...names.map((name, index) =>
      writeFile(
        path.join(dbt, 'models', `${name}.sql`),
        modelSql(index, work, failing.includes(index), needy.includes(index)),
      ),
    ),
  ])
}

export function modelName(index: number): string {
  return `m_${String(index).padStart(4, '0')}`
}

function modelSql(index: number, work: number, fails: boolean, needs: boolean): string {
  const parents = [...new Set([index - 1, Math.floor(index / 2)])].filter((parent) => parent >= 0 && parent < index)
  const ids = parents.map((parent) => `select id from {{ ref('${modelName(parent)}') }}`)
  const slow = work > 0 ? `, (select count(*) from range(${work}) as r(i) where sqrt(i) < 0) as slow` : ''
  return (
    `{{ config(post_hook="insert into {{ target.schema }}.audit values ('{{ this.name }}')") }}\n` +
    `select distinct id${slow}${fails ? ", cast('no number' as int) as broken" : ''}${needs ? ', (select max(v) from needed) as v' : ''}\n` +
    `from (${ids.length === 0 ? 'select range as id from range(100)' : ids.join(' union all ')})\n`
  )
}
