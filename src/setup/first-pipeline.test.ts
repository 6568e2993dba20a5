// The first pipeline file of a project: valid as it is written, and still so with everything in it that is a comment.
import { expect, test } from 'vitest'
import type { Manifest, ManifestNode, ManifestSource } from '../dbt/manifest.ts'
import { parsePipeline } from '../pipeline/load.ts'
import { firstPipeline, type FoundProject } from './first-pipeline.ts'

const SOURCE: ManifestSource = {
  uniqueId: 'source.shop.raw.orders',
  schema: 'raw',
  table: 'orders',
  file: 'models/sources.yml',
  sourceName: 'raw',
  tags: [],
  columns: [
    { name: 'id', dataType: 'int' },
    { name: 'note', dataType: null },
  ],
}

function model(name: string, more: Partial<ManifestNode> = {}): ManifestNode {
  return {
    uniqueId: `model.shop.${name}`,
    name,
    resourceType: 'model',
    database: 'shop',
    schema: 'main',
    alias: name,
    materialized: 'table',
    packageName: 'shop',
    file: `models/${name}.sql`,
    tags: [],
    fqn: `shop.${name}`,
    dependsOn: [],
    ...more,
  }
}

function keyTest(kind: string, of: string, columns: readonly string[]): ManifestNode {
  const name = `${kind}_${of}`
  const test = { kind, of: `model.shop.${of}`, columns }
  return model(name, { uniqueId: `test.shop.${name}`, resourceType: 'test', test })
}

function found(manifest: Partial<Manifest>, more: Partial<FoundProject> = {}): FoundProject {
  return {
    pipeline: 'shop',
    schemaFile: '../schema/pipeline.schema.json',
    projectDir: 'dbt',
    targets: ['dev'],
    target: 'dev',
    warehouse: 'duckdb',
    hasPackages: false,
    manifest: {
      digest: 'd',
      sources: [],
      nodes: [model('orders')],
      endHooks: [],
      hasDefaultSelector: false,
      exposed: [],
      ...manifest,
    },
    ...more,
  }
}

/** A comment whose words are YAML becomes YAML; prose stays. As somebody would do it: one `# ` of each such line goes. */
function uncommented(text: string): string {
  return text.replaceAll(/^( *)# ( *(?:- )?(?:\{ )?[a-z_]+: ?)/gm, '$1$2')
}

function definitionOf(text: string) {
  const parsed = parsePipeline(text, 'pipelines/shop.yml', 'shop')
  if ('definition' in parsed) return parsed.definition
  throw new Error(`${JSON.stringify(parsed.problems)}\n${text}`)
}

const stepKinds = (text: string) =>
  definitionOf(text).steps.map((step) => Object.keys(step).find((key) => key !== 'on_failure'))

test('what is certain are steps; the rest, uncommented, is valid and says what was found', () => {
  const text = firstPipeline(
    found(
      {
        sources: [SOURCE, { ...SOURCE, uniqueId: 'source.shop.raw.odd', table: 'Odd Name' }],
        nodes: [
          model('stg_orders', { tags: ['daily'] }),
          model('mart_orders', { fqn: 'shop.marts.mart_orders', tags: ['daily', 'core'] }),
          model('mart_days', { fqn: 'shop.marts.mart_days' }),
          model('mart_free', { fqn: 'shop.marts.mart_free' }),
          keyTest('not_null', 'mart_orders', ['note']),
          keyTest('unique', 'mart_orders', ['id']),
          keyTest('not_null', 'mart_days', ['day']),
        ],
      },
      { targets: ['dev', 'on', 'Prod 2'], target: 'Prod 2', hasPackages: true, profilesDir: 'my profiles' },
    ),
  )
  expect(stepKinds(text)).toEqual(['dbt', 'dbt', 'validate'])
  const written = definitionOf(text)
  expect(written.dbt).toMatchObject({ project_dir: 'dbt', profiles_dir: 'my profiles' })
  expect(written.steps.map(({ dbt }) => dbt?.command)).toEqual(['deps', 'build', undefined])
  expect(written.steps[2]?.validate).toMatchObject([
    { mart: 'mart_days', key: ['day'], unique: false },
    { mart: 'mart_orders', key: ['id'], unique: true },
  ])
  expect(written).toMatchObject({ schedules: {}, timeout: '1h' })
  expect(text).toContain('# Found: 4 models, 3 tests, 2 source tables.\n')
  expect(text).toContain('tags of the models: core, daily\n')
  expect(text).toContain('not loadable, names must be lower-case letters, digits and _: raw.Odd Name\n')

  const everything = definitionOf(uncommented(text))
  expect(stepKinds(uncommented(text))).toEqual(['ingest', 'dbt', 'dbt', 'validate', 'publish'])
  expect(everything.steps[0]?.ingest).toMatchObject([{ into: 'raw.orders', files: 'data/inbox/orders-{date}.csv' }])
  expect(everything.steps[3]?.validate?.map(({ mart }) => mart)).toEqual(['mart_days', 'mart_free', 'mart_orders'])
  expect(everything.steps[4]?.publish?.to).toEqual({
    dev: 'analytics_dev_live',
    on: 'analytics_on_live',
    'Prod 2': 'analytics_prod_2_live',
  })
  expect(everything).toMatchObject({
    refresh_log: expect.anything(),
    schedules: { nightly: { target: 'Prod 2', catchup: '6h' } },
    alerts: { on: ['failed', 'warned', 'recovered'], email: ['data@example.org'] },
  })
})

test('no source, no key, no publishing: nothing to uncomment but what works', () => {
  const text = firstPipeline(found({}))
  expect(stepKinds(text)).toEqual(['dbt'])
  expect(stepKinds(uncommented(text))).toEqual(['dbt', 'validate'])
  expect(text).toContain('# No sources: nothing to load before dbt.\n')
})

test("marts are what exposures are made of, before a folder's name and before the last models", () => {
  const nodes = [
    model('base', { fqn: 'shop.marts.base' }),
    model('shown', { dependsOn: ['model.shop.base'] }),
    model('last', { dependsOn: ['model.shop.shown'] }),
    ...['base', 'shown', 'last'].map((name) => keyTest('unique', name, ['id'])),
  ]
  const marts = (some: Partial<Manifest>) =>
    definitionOf(firstPipeline(found({ nodes, ...some }))).steps.flatMap(({ validate }) =>
      (validate ?? []).map(({ mart }) => mart),
    )
  expect(marts({ exposed: ['model.shop.shown'] })).toEqual(['shown'])
  expect(marts({})).toEqual(['base'])
  expect(marts({ nodes: nodes.map((node) => ({ ...node, fqn: 'shop.x' })) })).toEqual(['last'])
})

test("a project's words cannot become keys of the file", () => {
  const text = firstPipeline(
    found(
      { nodes: [model('m', { tags: ['a\ntimeout: 1s', '# x'] })], sources: [{ ...SOURCE, table: 'x\nsteps: []' }] },
      { warehouse: 'duckdb\nname: other', projectDir: 'it: # is\ta "folder"' },
    ),
  )
  expect(definitionOf(text)).toMatchObject({
    name: 'shop',
    timeout: '1h',
    dbt: { project_dir: 'it: # is\ta "folder"' },
  })
})
