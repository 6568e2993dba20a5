// What would be read is asked for only where SQL says it, a few questions at a time.
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { compiledSql, estimatedBytes, estimateNodes, readingNodes } from './estimate.ts'
import type { Manifest } from './manifest.ts'

function manifestOf(nodes: readonly (readonly [uniqueId: string, materialized: string])[]): Manifest {
  const node = {
    name: '',
    database: '',
    schema: '',
    alias: '',
    packageName: '',
    file: '',
    tags: [],
    fqn: '',
    dependsOn: [],
  }
  return {
    digest: 'd',
    sources: [],
    endHooks: [],
    hasDefaultSelector: false,
    exposed: [],
    nodes: nodes.map(([uniqueId, materialized]) => {
      const [resourceType = ''] = uniqueId.split('.')
      return { ...node, uniqueId, resourceType, materialized }
    }),
  }
}

test('seeds, unit tests, functions and views read no table when they are made', () => {
  const manifest = manifestOf([
    ['model.shop.orders', 'table'],
    ['model.shop.recent', 'view'],
    ['model.shop.history', 'incremental'],
    ['seed.shop.labels', 'seed'],
    ['snapshot.shop.users', 'snapshot'],
    ['test.shop.not_null', 'test'],
    ['unit_test.shop.orders.sums', 'unit'],
    ['function.shop.half', 'function'],
  ])
  const all = manifest.nodes.map(({ uniqueId }) => uniqueId)

  expect(readingNodes(manifest, all)).toEqual([
    'model.shop.orders',
    'model.shop.history',
    'snapshot.shop.users',
    'test.shop.not_null',
  ])
  expect(readingNodes(manifest, ['model.shop.recent', 'model.shop.orders'])).toEqual(['model.shop.orders'])
})

test('compiled SQL counts where it is the one that is run', () => {
  const node = (compiled_code: string | null, config: object = {}, language = 'sql') => ({
    compiled_code,
    config,
    language,
    resource_type: 'model',
  })
  const manifest = {
    metadata: {},
    nodes: {
      'model.shop.orders': node('select 1'),
      'model.shop.left_out': node(null),
      'model.shop.days': node('select * from all_days', { incremental_strategy: 'microbatch' }),
      'model.shop.merged': node('select 2', { incremental_strategy: 'merge' }),
      'model.shop.learned': node('def model(dbt, session): ...', {}, 'python'),
      'seed.shop.labels': { config: {}, resource_type: 'seed' },
    },
  }

  expect([...compiledSql(JSON.stringify(manifest))]).toEqual([
    ['model.shop.orders', 'select 1'],
    ['model.shop.merged', 'select 2'],
  ])
})

describe('an estimate', () => {
  const ids = Array.from({ length: 30 }, (_, index) => `model.shop.m${index}`)
  const sql = new Map(ids.slice(0, 28).map((id, index) => [id, String(index)]))

  test('is the sum of the nodes that can be told; the others are named', async () => {
    const estimate = await estimateNodes(ids, sql, async (text) => (text === '7' ? null : Number(text)))

    expect(estimatedBytes(estimate)).toBe((27 * 28) / 2 - 7)
    expect(estimate.unknown).toEqual(['model.shop.m7', 'model.shop.m28', 'model.shop.m29'])
  })

  test('asks eight questions at once, and never more', async () => {
    let open = 0
    let most = 0
    await estimateNodes(ids, sql, async () => {
      most = Math.max(most, ++open)
      await pause(1)
      open--
      return 0
    })

    expect(most).toBe(8)
  })

  test('that cannot be made asks nothing more', async () => {
    let asked = 0
    const estimating = estimateNodes(ids, sql, async () => {
      asked++
      await pause(1)
      throw new Error('no answer')
    })

    await expect(estimating).rejects.toThrow('no answer')
    await pause(20)
    expect(asked).toBe(8)
  })
})
