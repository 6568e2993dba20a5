// After a failure: which marts one can still rely on.
import { describe, expect, test } from 'vitest'
import { madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import type { LedgerNode } from './ledger.ts'
import type { Manifest, ManifestNode } from './manifest.ts'
import { martsAfterFailure } from './marts.ts'

function node(uniqueId: string, dependsOn: readonly string[], materialized = 'table'): ManifestNode {
  const [resourceType = '', packageName = '', name = ''] = uniqueId.split('.')
  const place = { database: 'w', schema: 'main', alias: name, packageName, file: `models/${name}.sql` }
  return { uniqueId, name, resourceType, ...place, materialized, tags: [], fqn: `shop.${name}`, dependsOn }
}

const model = (name: string, ...dependsOn: readonly string[]) => node(`model.shop.${name}`, dependsOn)

/**
 * logs → stg_logs → logs_by_day → mart_usage     orders → stg_orders → mart_orders     codes → mart_codes
 *                             └─→ mart_week (through an ephemeral model)
 */
const MANIFEST: Manifest = {
  digest: 'd',
  sources: [],
  endHooks: [],
  hasDefaultSelector: false,
  exposed: [],
  nodes: [
    model('stg_logs', 'source.shop.raw.logs'),
    model('logs_by_day', 'model.shop.stg_logs'),
    model('mart_usage', 'model.shop.logs_by_day'),
    node('model.shop.weeks', ['model.shop.logs_by_day'], 'ephemeral'),
    model('mart_week', 'model.shop.weeks'),
    model('stg_orders', 'source.shop.raw.orders'),
    model('mart_orders', 'model.shop.stg_orders'),
    node('seed.shop.codes', []),
    model('mart_codes', 'seed.shop.codes'),
    node('test.shop.unique_stg_logs', ['model.shop.stg_logs'], 'test'),
    node('test.shop.unique_mart_orders', ['model.shop.mart_orders'], 'test'),
    node('unit_test.shop.weeks.by_week', ['model.shop.weeks'], ''),
  ],
}

const states = (...all: readonly (readonly [id: string, status: string | undefined])[]): LedgerNode[] =>
  all.map(([id, status]) => madeNode(id, status))

describe('of a build in which a model fails', () => {
  const built = states(
    ['model.shop.stg_logs', 'error'],
    ['model.shop.logs_by_day', 'skipped'],
    ['model.shop.mart_usage', 'skipped'],
    ['model.shop.mart_week', 'skipped'],
    ['model.shop.stg_orders', 'success'],
    ['model.shop.mart_orders', 'success'],
  )

  test('marts behind it are broken because of it, those beside it are not, untouched ones are left out', () => {
    expect(martsAfterFailure(MANIFEST, built, [], ['mart_orders', 'mart_usage', 'mart_codes', 'mart_week'])).toEqual({
      unbroken: ['mart_orders'],
      broken: [
        { mart: 'mart_usage', because: 'stg_logs' },
        { mart: 'mart_week', because: 'stg_logs' },
      ],
    })
  })

  test('without named marts the last models are meant: no model that others are made of, none that tests look at', () => {
    const { unbroken, broken } = martsAfterFailure(MANIFEST, built, [], [])

    expect(unbroken).toEqual(['mart_orders'])
    expect(broken.map(({ mart }) => mart)).toEqual(['mart_usage', 'mart_week'])
  })

  test('a name that no mart has is passed over', () => {
    expect(martsAfterFailure(MANIFEST, built, [], ['mart_users', 'weeks'])).toEqual({ unbroken: [], broken: [] })
  })
})

test.each<[string, LedgerNode[], string, string]>([
  ['itself', states(['model.shop.mart_orders', 'error']), 'mart_orders', 'mart_orders'],
  ['a test of its own', states(['test.shop.unique_mart_orders', 'fail']), 'mart_orders', 'unique_mart_orders'],
  [
    'a test of what it is made of, though it was built before',
    states(['model.shop.mart_usage', 'success'], ['test.shop.unique_stg_logs', 'fail']),
    'mart_usage',
    'unique_stg_logs',
  ],
  ['a test that could not be asked', states(['test.shop.unique_stg_logs', 'error']), 'mart_usage', 'unique_stg_logs'],
  ['a unit test of what it is made of', states(['unit_test.shop.weeks.by_week', 'fail']), 'mart_week', 'by_week'],
  ['a stale source', states(['source.shop.raw.logs', 'error']), 'mart_usage', 'logs'],
  ['what was skipped, and nobody knows why', states(['model.shop.stg_logs', 'skipped']), 'mart_usage', 'stg_logs'],
  ['what began and did not end', states(['model.shop.logs_by_day', undefined]), 'mart_week', 'logs_by_day'],
])('a mart is broken by %s', (_what, nodes, mart, because) => {
  expect(martsAfterFailure(MANIFEST, nodes, [], [mart])).toEqual({ unbroken: [], broken: [{ mart, because }] })
})

test.each<[string, LedgerNode[], string]>([
  ['a warning of a test', states(['test.shop.unique_mart_orders', 'warn']), 'mart_orders'],
  [
    'a test of what is made of it',
    states(['test.shop.unique_mart_orders', 'fail'], ['model.shop.stg_orders', 'success']),
    'stg_orders',
  ],
  [
    'a unit test of a model beside it',
    states(['unit_test.shop.weeks.by_week', 'fail'], ['model.shop.mart_usage', 'success']),
    'mart_usage',
  ],
])('a mart is not broken by %s', (_what, nodes, mart) => {
  expect(martsAfterFailure(MANIFEST, nodes, [], [mart])).toEqual({ unbroken: [mart], broken: [] })
})

test('a mart that was asked for and not come to holds what it held before: it is broken', () => {
  const nodes = states(['model.shop.stg_logs', 'success'], ['model.shop.logs_by_day', undefined])
  const selected = ['model.shop.stg_orders', 'model.shop.mart_orders']

  expect(martsAfterFailure(MANIFEST, nodes, selected, ['mart_orders', 'mart_codes'])).toEqual({
    unbroken: [],
    broken: [{ mart: 'mart_orders', because: 'mart_orders' }],
  })
})

test('seeds are marts where they are named', () => {
  const nodes = states(['seed.shop.codes', 'success'], ['model.shop.mart_codes', 'error'])

  expect(martsAfterFailure(MANIFEST, nodes, [], ['codes', 'mart_codes'])).toEqual({
    unbroken: ['codes'],
    broken: [{ mart: 'mart_codes', because: 'mart_codes' }],
  })
})

test('of very many marts the first 50 of each kind are told', () => {
  const names = Array.from({ length: 120 }, (_, index) => `m${index}`)
  const manifest = { ...MANIFEST, nodes: names.map((name) => model(name)) }
  const nodes = names.map((name, index) => madeNode(`model.shop.${name}`, index < 60 ? 'success' : 'error'))

  const { unbroken, broken } = martsAfterFailure(manifest, nodes, [], names)

  expect([unbroken.length, broken.length, unbroken[0], broken[0]?.mart]).toEqual([50, 50, 'm0', 'm60'])
})
