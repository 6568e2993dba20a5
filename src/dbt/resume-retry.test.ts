// How dbt is made to do just what is missing of a command.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dbt, madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import type { LedgerNode } from './ledger.ts'
import type { Manifest, ManifestNode } from './manifest.ts'
import { doneNodes, prepareRetry, resumeByName } from './resume.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-retry-'))
})
afterAll(() => rm(folder, { recursive: true }))

const id = (name: string) => `model.shop.${name}`

test('done is what went well, of what is selected, in its order', () => {
  const states = { a: 'success', b: 'warn', c: 'error', d: 'skipped', e: undefined, f: 'pass', g: 'success' }
  const nodes = new Map<string, LedgerNode>(
    Object.entries(states).map(([name, status]) => [id(name), madeNode(id(name), status)]),
  )

  expect(doneNodes({ nodes }, ['f', 'e', 'd', 'c', 'b', 'a', 'x'].map(id))).toEqual([id('f'), id('b'), id('a')])
})

describe('dbt retry', () => {
  test('finds what is to be done as skipped and the rest as done, in an artifact of dbt itself', async () => {
    const state = path.join(folder, 'state')
    const command = dbt('build', {
      select: ['tag:nightly'],
      options: {
        fullRefresh: true,
        failFast: true,
        storeFailures: true,
        threads: 4,
        vars: { region: 'eu' },
        eventTime: { start: '2026-11-18', end: '2026-11-19' },
      },
    })
    const nodes = { todo: [id('b'), 'test.shop.t2'], done: [id('a'), 'test.shop.t1'] }

    expect(await prepareRetry(state, command, { target: 'dev' }, nodes, '2026-11-18T02:00:00Z')).toEqual({
      kind: 'dbt retry',
      stateDir: state,
    })

    const written = JSON.parse(await readFile(path.join(state, 'run_results.json'), 'utf8'))
    expect(written.metadata).toMatchObject({
      dbt_schema_version: 'https://schemas.getdbt.com/dbt/run-results/v6.json',
      invocation_started_at: '2026-11-18T02:00:00Z',
    })
    expect(written.results.map((each: { unique_id: string; status: string }) => [each.unique_id, each.status])).toEqual(
      [
        [id('a'), 'success'],
        ['test.shop.t1', 'pass'],
        [id('b'), 'skipped'],
        ['test.shop.t2', 'skipped'],
      ],
    )
    expect(written.args).toMatchObject({
      which: 'build',
      target: 'dev',
      full_refresh: true,
      fail_fast: true,
      store_failures: true,
      threads: 4,
      vars: { region: 'eu' },
      event_time_start: '2026-11-18',
      event_time_end: '2026-11-19',
    })
    // It would select again, and other nodes than those that were left.
    expect(Object.keys(written.args)).not.toEqual(expect.arrayContaining(['select']))
  })

  test('gets no option that the command did not have', async () => {
    await prepareRetry(folder, dbt('run'), { target: 'dev' }, { todo: [id('a')], done: [] }, undefined)

    const { args } = JSON.parse(await readFile(path.join(folder, 'run_results.json'), 'utf8'))
    expect(args).toEqual({
      which: 'run',
      target: 'dev',
      log_format: 'json',
      log_level: 'debug',
      log_level_file: 'none',
      use_colors: false,
      send_anonymous_usage_stats: false,
    })
  })
})

describe('by name', () => {
  /** Nodes `x` at these addresses. */
  function manifestOf(addresses: Readonly<Record<string, string>>): Manifest {
    const nodes = Object.entries(addresses).map(([name, fqn]) => ({ uniqueId: id(name), fqn }) as ManifestNode) // nothing else is looked at
    return { digest: 'd', sources: [], nodes, endHooks: [], hasDefaultSelector: false, exposed: [] }
  }

  test('each node has its own address; one that the manifest does not know, its name', () => {
    expect(resumeByName(manifestOf({ a: 'shop.staging.a' }), [id('a'), id('b')])).toEqual({
      kind: 'by name',
      select: ['fqn:shop.staging.a', 'fqn:b'],
      exclude: [],
    })
  })

  test('what lies in a folder of the same name is taken out, where it is not asked for itself', () => {
    const manifest = manifestOf({
      orders: 'shop.orders',
      done: 'shop.orders.done',
      deep: 'shop.orders.daily.deep',
      missing: 'shop.orders.missing',
      // Its address begins so, but it is in no such folder.
      orders_by_day: 'shop.orders_by_day',
      other: 'shop.other.orders',
    })

    expect(resumeByName(manifest, [id('orders'), id('missing')])).toEqual({
      kind: 'by name',
      select: ['fqn:shop.orders', 'fqn:shop.orders.missing'],
      exclude: ['fqn:shop.orders.done', 'fqn:shop.orders.daily.deep'],
    })
  })
})
