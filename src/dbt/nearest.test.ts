// What a selection that matches nothing may have meant.
import { describe, expect, test } from 'vitest'
import type { Manifest, ManifestNode } from './manifest.ts'
import { nearest } from './selection.ts'

function model(name: string, folder: string, tags: readonly string[] = []): ManifestNode {
  return {
    uniqueId: `model.shop.${name}`,
    name,
    resourceType: 'model',
    database: 'w',
    schema: 'main',
    alias: name,
    materialized: 'table',
    packageName: 'shop',
    file: `models/${folder}/${name}.sql`,
    tags,
    fqn: `shop.${folder}.${name}`,
    dependsOn: [],
  }
}

const MANIFEST: Manifest = {
  digest: 'd',
  endHooks: [],
  hasDefaultSelector: false,
  exposed: [],
  sources: [
    {
      uniqueId: 'source.shop.feed.logs',
      schema: 'raw',
      table: 'logs',
      file: 'models/sources.yml',
      sourceName: 'feed',
      tags: ['hourly'],
      columns: [],
    },
  ],
  nodes: [model('stg_orders', 'staging'), model('mart_orders', 'marts', ['nightly', 'finance'])],
}

describe('the nearest name', () => {
  test.each([
    ['stg_order', 'stg_orders'],
    ['mart_ordrs', 'mart_orders'],
    ['shop.staging.stg_order', 'shop.staging.stg_orders'],
    ['fqn:stg_oders', 'stg_orders'],
    // Operators say how much around it; they are not part of the name.
    ['stg_order+', 'stg_orders'],
    ['+mart_ordrs', 'mart_orders'],
    ['2+mart_ordrs+1', 'mart_orders'],
    ['@stg_order', 'stg_orders'],
    ['tag:nightli', 'nightly'],
    ['tag:houry', 'hourly'],
    ['+tag:finanze+', 'finance'],
    ['path:models/stagin', 'models/staging'],
    ['path:models/marts/mart_order.sql', 'models/marts/mart_orders.sql'],
    ['file:stg_order.sql', 'stg_orders.sql'],
    ['source:fed', 'feed'],
    ['source:feed.log', 'feed.logs'],
  ])('of %s is %s', (item, name) => {
    expect(nearest(item, MANIFEST)).toBe(` (did you mean '${name}'?)`)
  })

  test('of a word that is a tag is the tag', () => {
    expect(nearest('nightly', MANIFEST)).toBe(" (did you mean 'tag:nightly'?)")
    expect(nearest('nightly+12', MANIFEST)).toBe(" (did you mean 'tag:nightly'?)")
    expect(nearest('+finance', MANIFEST)).toBe(" (did you mean 'tag:finance'?)")
  })

  test.each(['customers', 'config.materialized:view', 'state:modified', 'package:other', 'source:elsewhere'])(
    'is none where nothing is near: %s',
    (item) => {
      expect(nearest(item, MANIFEST)).toBe('')
    },
  )
})

test('of a tag that nothing is near to, the tags there are', () => {
  expect(nearest('tag:zzz', MANIFEST)).toBe('; tags there are: nightly, finance, hourly')
  expect(nearest('tag:zzz', { ...MANIFEST, nodes: [], sources: [] })).toBe('; no node has a tag')
})

test('of a comma, what it means and how a union is written', () => {
  expect(nearest('stg_orders, mart_orders', MANIFEST)).toBe(
    ': a comma means what both sides have in common; for a union write [stg_orders, mart_orders]',
  )
})
