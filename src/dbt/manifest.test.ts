// dbt's manifest, reduced to what is read of it.
import { describe, expect, test } from 'vitest'
import { findMart, martNames, readManifest, sourceNames } from './manifest.ts'

const ORDERS = { unique_id: 'model.shop.orders', name: 'orders', resource_type: 'model', database: 'w', schema: 'dev' }

/** As dbt writes it (manifest v12), without the hundred fields that nothing reads. */
const MANIFEST = JSON.stringify({
  metadata: { dbt_schema_version: 'manifest/v12.json' },
  sources: {
    'source.shop.raw.logs': {
      unique_id: 'source.shop.raw.logs',
      name: 'logs',
      source_name: 'raw',
      tags: ['nightly'],
      identifier: 'viewing_logs',
      schema: 'raw',
      original_file_path: 'models/sources.yml',
      columns: {
        log_id: { name: 'log_id', data_type: 'bigint', meta: {} },
        device: { name: 'device', data_type: null },
      },
    },
  },
  nodes: {
    'model.shop.orders': {
      ...ORDERS,
      alias: 'orders_v2',
      config: { materialized: 'table', tags: [] },
      package_name: 'shop',
      original_file_path: 'models/marts/orders.sql',
      tags: ['nightly'],
      fqn: ['shop', 'marts', 'orders'],
      depends_on: { nodes: ['source.shop.raw.logs'], macros: [] },
    },
    'model.shop.labels': {
      ...ORDERS,
      unique_id: 'model.shop.labels',
      name: 'labels',
      config: { materialized: 'ephemeral' },
    },
    'seed.shop.codes': {
      ...ORDERS,
      unique_id: 'seed.shop.codes',
      name: 'codes',
      resource_type: 'seed',
      database: null,
      config: {},
    },
    'test.shop.unique': {
      ...ORDERS,
      unique_id: 'test.shop.unique',
      name: 'unique',
      resource_type: 'test',
      config: { materialized: 'test' },
      tags: 'nightly',
      depends_on: { nodes: ['model.shop.orders'] },
    },
    'operation.shop.start': hook('start', 'on-run-start'),
    'operation.shop.grants': hook('grants', 'on-run-end'),
    'operation.shop.log': hook('log', 'on-run-end'),
  },
  unit_tests: {
    'unit_test.shop.orders.ut': {
      unique_id: 'unit_test.shop.orders.ut',
      name: 'ut',
      resource_type: 'unit_test',
      config: {},
      depends_on: { nodes: ['model.shop.orders'] },
    },
  },
  selectors: { nightly: { name: 'nightly', default: false, definition: {} } },
})

function hook(name: string, tag: string) {
  return { ...ORDERS, unique_id: `operation.shop.${name}`, resource_type: 'operation', config: {}, tags: [tag] }
}

describe('a manifest', () => {
  const manifest = { digest: 'd', ...readManifest(MANIFEST) }

  test("gives each source its table's own name, its file and its columns", () => {
    expect(manifest.sources).toEqual([
      {
        uniqueId: 'source.shop.raw.logs',
        schema: 'raw',
        table: 'viewing_logs',
        file: 'models/sources.yml',
        sourceName: 'raw',
        tags: ['nightly'],
        columns: [
          { name: 'log_id', dataType: 'bigint' },
          { name: 'device', dataType: null },
        ],
      },
    ])
    expect(sourceNames(manifest)).toEqual(['raw.viewing_logs'])
  })

  test('finds a mart by its name, and where dbt puts it; tests and ephemeral models are none', () => {
    expect(martNames(manifest)).toEqual(['orders', 'codes'])
    expect(findMart(manifest, 'orders')).toMatchObject({ database: 'w', schema: 'dev', alias: 'orders_v2' })
    expect(findMart(manifest, 'codes')).toMatchObject({ database: '', alias: 'codes', materialized: '' })
    expect(findMart(manifest, 'labels')).toBeUndefined()
  })

  test('has models, tests and unit tests, each with what it is made of; hooks are no nodes', () => {
    expect(manifest.nodes.map(({ uniqueId }) => uniqueId)).toEqual([
      'model.shop.orders',
      'model.shop.labels',
      'seed.shop.codes',
      'test.shop.unique',
      'unit_test.shop.orders.ut',
    ])
    expect(manifest.nodes[0]).toMatchObject({
      packageName: 'shop',
      file: 'models/marts/orders.sql',
      tags: ['nightly'],
      fqn: 'shop.marts.orders',
      dependsOn: ['source.shop.raw.logs'],
    })
    expect(manifest.nodes[3]).toMatchObject({ tags: ['nightly'], dependsOn: ['model.shop.orders'] })
  })

  test("says what is done at a command's end: hooks at its beginning are none of these", () => {
    expect(manifest.endHooks).toEqual(['operation.shop.grants', 'operation.shop.log'])
    expect(readManifest(MANIFEST.replaceAll('on-run-end', 'on-run-start')).endHooks).toEqual([])
  })

  test('says whether a selector applies by itself', () => {
    const byDefault = MANIFEST.replace('"default":false', '"default":true')

    expect([manifest.hasDefaultSelector, readManifest(byDefault).hasDefaultSelector]).toEqual([false, true])
  })

  test('of another form is not read', () => {
    expect(() => readManifest('{"nodes": {}}')).toThrow('sources')
  })
})
