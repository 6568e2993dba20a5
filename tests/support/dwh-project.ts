// A data warehouse's dbt project of 60 models on Postgres as somebody else may have it: other names, schemas of its own, and parts that are broken for good.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stringify } from 'yaml'
import type { ProfileOutput } from './profiles.ts'

/** What our models, and a column of them, are called there. */
export const DWH_NAMES: Readonly<Record<string, string>> = {
  stg_sig__attributions: 'base_attributions',
  stg_sig__evenements: 'base_evenements',
  stg_sig__factures: 'base_factures',
  fait_implantations: 'f_implantations',
  fait_indemnisations: 'f_indemnisations',
  fait_emplois_crees: 'f_emplois',
  fait_factures: 'f_factures',
  mart_implantation_suivi: 'suivi_mensuel',
  mart_emplois_crees: 'emplois_mensuels',
  mart_indemnisations: 'indemnisations_mensuelles',
  mart_creances_agees: 'balance_agee',
  exportee_le: 'charge_le',
}

const MODELS = 60

/** No test bears a tag. One row in twenty of indemnisations_mensuelles lacks its month: a second key column. */
export async function writeDwhProject(folder: string, output: ProfileOutput): Promise<void> {
  const monthly = (from: string, month = 'n % 12 + 1') =>
    `select 'Z' || n as zone_id, 2026 as annee, ${month} as mois, n as nombre, current_date as charge_le from {{ ref('${from}') }}`
  const phase2: Record<string, string> = {
    base_attributions: 'select n from generate_series(1, 40) as n',
    base_evenements: 'select n from generate_series(1, 40) as n',
    base_factures: 'select n from generate_series(1, 40) as n',
    f_implantations: "select n from {{ ref('base_attributions') }}",
    f_indemnisations: "select n from {{ ref('base_evenements') }}",
    f_emplois: "select n from {{ ref('base_evenements') }}",
    f_factures: "select n from {{ ref('base_factures') }}",
    suivi_mensuel: `{{ config(schema='operationnel') }} ${monthly('f_implantations')}`,
    emplois_mensuels: `{{ config(schema='operationnel') }} ${monthly('f_emplois')}`,
    indemnisations_mensuelles: `{{ config(schema='financier') }} ${monthly('f_indemnisations', 'case when n % 20 <> 0 then n % 12 + 1 end')}`,
    balance_agee: `{{ config(schema='financier') }} select 'tranche ' || n as tranche_anciennete, 'faible' as niveau_risque, current_date as charge_le from {{ ref('f_factures') }}`,
  }
  const others = Array.from({ length: MODELS - Object.keys(phase2).length }, (_, index) => {
    // Every seventh fails whenever it is built, and with it all that is behind it.
    const before = index === 0 ? '(select 1 as n) as one' : `{{ ref('other_${index - 1}') }}`
    return [
      `other_${index}`,
      index % 7 === 6 ? `select cast('no number' as int) as n from ${before}` : `select n from ${before}`,
    ]
  })
  const files: Record<string, string> = {
    'dbt_project.yml':
      'name: dwh\nversion: "1.0.0"\nprofile: dwh\nmodels: { dwh: { +materialized: table, +tags: [nightly] } }\n',
    'profiles.yml': stringify({ dwh: { target: 'dwh', outputs: { dwh: output } } }),
    'macros/generate_schema_name.sql':
      "{% macro generate_schema_name(custom, node) %}{{ target.schema if custom is none else 'dwh_' ~ custom }}{% endmacro %}\n",
    'models/schema.yml': 'models:\n  - { name: other_0, columns: [{ name: n, data_tests: [not_null] }] }\n',
    ...Object.fromEntries(
      [...Object.entries(phase2), ...others].map(([name, sql]) => [`models/${name}.sql`, `${sql}\n`]),
    ),
  }
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true })
    await writeFile(path.join(folder, file), text)
  }
}
