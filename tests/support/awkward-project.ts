// A dbt project with everything in it that could confuse a verdict: as somebody else's project may come.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Two marts: `mart_good` of seed and snapshot, `mart_broken` behind a model that fails for good. A stale target/ of another dbt
 * version, a vendored package in another version than its lock says, a generate_schema_name of its own, a tag without
 * tests, hooks, a unit test, a test of severity warn that stores its failures, a source that is stale.
 */
export async function writeAwkwardProject(root: string, steps: readonly string[]): Promise<void> {
  const files: Record<string, string> = {
    'pipelines/awkward.yml': [
      'name: awkward',
      'dbt: { project_dir: shop }',
      'steps:',
      ...steps.map((step) => `  - ${step}`),
      '',
    ].join('\n'),
    'shop/dbt_project.yml': `name: shop
version: "1.0.0"
profile: shop
on-run-start: "create table if not exists main.audit (node varchar)"
on-run-end: "insert into main.audit values ('end')"
`,
    'shop/profiles.yml': `shop:
  target: dev
  outputs: { dev: { type: duckdb, path: ../.millrace/warehouse.duckdb, schema: base, threads: 2 } }
`,
    'shop/macros/generate_schema_name.sql':
      "{% macro generate_schema_name(custom, node) %}{{ 'dwh_' ~ (custom or 'base') }}{% endmacro %}\n",
    'shop/macros/count_rows.sql':
      "{% macro count_rows(relation) %}{{ log(run_query('select count(*) from ' ~ relation).columns[0].values()[0], info=true) }}{% endmacro %}\n",
    'shop/seeds/customers.csv': 'id,name\n1,Ann\n2,Bo\n',
    'shop/snapshots/customers_history.yml':
      "snapshots:\n  - name: customers_history\n    relation: ref('customers')\n    config: { unique_key: id, strategy: check, check_cols: [name] }\n",
    'shop/models/stg_customers.sql': "select id, name from {{ ref('customers') }}\n",
    'shop/models/mart_good.sql':
      "{{ config(materialized='table', schema='operationnel', tags=['P2']) }} select s.id, h.name from {{ ref('stg_customers') }} s join {{ ref('customers_history') }} h using (id)\n",
    'shop/models/int_failing.sql':
      "{{ config(materialized='table', tags=['broken']) }} select cast(name as int) as n from {{ ref('stg_customers') }}\n",
    'shop/models/mart_broken.sql':
      "{{ config(materialized='table', schema='financier', tags=['broken']) }} select * from {{ ref('int_failing') }}\n",
    'shop/models/schema.yml': `models:
  - name: stg_customers
    columns:
      - name: id
        data_tests:
          - unique
          - accepted_values: { arguments: { values: [1] }, config: { severity: warn, store_failures: true } }
unit_tests:
  - name: names_are_kept
    model: stg_customers
    given: [{ input: ref('customers'), rows: [{ id: 7, name: Cy }] }]
    expect: { rows: [{ id: 7, name: Cy }] }
sources:
  - name: raw
    schema: dwh_base
    loaded_at_field: "cast('2020-01-01' as timestamp)"
    freshness: { warn_after: { count: 1, period: hour } }
    tables: [{ name: customers }]
`,
    // Of another dbt, of another time: must neither be read nor touched.
    'shop/target/run_results.json': '{"metadata": {"invocation_id": "old", "dbt_version": "0.19.0"}, "results": []}',
    'shop/target/partial_parse.msgpack': 'not a message pack',
    'shop/packages.yml': 'packages:\n  - local: ../helpers\n',
    'shop/package-lock.yml':
      'packages:\n  - local: ../somewhere/else\n    name: helpers\nsha1_hash: 0000000000000000000000000000000000000000\n',
    'shop/dbt_packages/helpers/dbt_project.yml': 'name: helpers\nversion: "0.0.1"\n',
    'helpers/dbt_project.yml': 'name: helpers\nversion: "2.0.0"\n',
  }
  await mkdir(path.join(root, '.millrace'), { recursive: true })
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true })
    await writeFile(path.join(root, file), text)
  }
}
