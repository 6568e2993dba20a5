// Where a run publishes its marts, target by target.
import { describe, expect, test } from 'vitest'
import type { Manifest, ManifestNode } from '../dbt/manifest.ts'
import { pipelineSchema } from '../pipeline/definition.ts'
import { resolveRequest } from '../pipeline/request.ts'
import { planPublish } from './plan-marts.ts'

function model(name: string): ManifestNode {
  return {
    uniqueId: `model.shop.${name}`,
    name,
    resourceType: 'model',
    database: 'w',
    schema: 'analytics_dev',
    alias: name,
    materialized: 'table',
    packageName: 'shop',
    file: `models/${name}.sql`,
    tags: [],
    fqn: `shop.${name}`,
    dependsOn: [],
  }
}

const MANIFEST: Manifest = {
  digest: 'd',
  sources: [],
  nodes: [model('mart_users'), model('mart_orders')],
  endHooks: [],
  hasDefaultSelector: false,
  exposed: [],
}

function plan(publish: unknown, target = 'dev') {
  const definition = pipelineSchema.parse({
    name: 'daily',
    dbt: { project_dir: 'dbt' },
    steps: [
      { validate: [{ mart: 'mart_users', key: ['user_id'] }] },
      { validate: [{ mart: 'mart_orders', key: ['order_id'] }] },
      { publish },
    ],
  })
  const resolved = resolveRequest(definition, {}, Date.UTC(2026, 10, 19))
  const [, , chosen] = resolved.steps
  if (chosen === undefined) throw new Error('the publish step')
  return planPublish(chosen, resolved, MANIFEST, target)
}

const relation = (name: string) => ({ database: 'w', schema: 'analytics_dev', name })

test('all marts that steps before it validate are published, unless it names some', () => {
  expect(plan({ to: 'analytics' })).toMatchObject({
    to: 'analytics',
    skipped: false,
    marts: [
      { mart: 'mart_users', relation: relation('mart_users') },
      { mart: 'mart_orders', relation: relation('mart_orders') },
    ],
  })
  expect(plan({ to: 'analytics', marts: ['mart_orders'] })).toMatchObject({
    marts: [{ mart: 'mart_orders', relation: relation('mart_orders') }],
  })
})

describe('a live schema for each target', () => {
  const to = { prod: 'analytics', staging: 'analytics_staging_live' }

  test('is the one of the run', () => {
    expect(plan({ to }, 'prod')).toMatchObject({ to: 'analytics', skipped: false })
    expect(plan({ to }, 'staging')).toMatchObject({ to: 'analytics_staging_live', skipped: false })
  })

  test('that the target has not leaves the step out', () => {
    expect(plan({ to }, 'dev')).toMatchObject({ skipped: true })
  })
})

test('marts are not published over their own candidates', () => {
  expect(() => plan({ to: 'analytics_dev' })).toThrow(
    'step publish would publish mart_users into analytics_dev, where dbt builds it; give `to` another schema, such as analytics_dev_live',
  )
})
