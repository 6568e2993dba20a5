// dbt's manifest, reduced; and a cache of it that is never older than what it depends on. On real files.
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cachedManifest, findMart, martNames, readManifest, readManifestFile, sourceNames } from './manifest.ts'
import type { ProfileTarget } from './profile.ts'

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
    'operation.shop.start': hook('on-run-start'),
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

function hook(tag: string) {
  return { ...ORDERS, unique_id: 'operation.shop.start', resource_type: 'operation', config: {}, tags: [tag] }
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

  test("says whether something is done at a command's end, and whether a selector applies by itself", () => {
    const atEnd = MANIFEST.replace('on-run-start', 'on-run-end')
    const byDefault = MANIFEST.replace('"default":false', '"default":true')

    expect([manifest.hasEndHooks, readManifest(atEnd).hasEndHooks]).toEqual([false, true])
    expect([manifest.hasDefaultSelector, readManifest(byDefault).hasDefaultSelector]).toEqual([false, true])
  })

  test('of another form is not read', () => {
    expect(() => readManifest('{"nodes": {}}')).toThrow('sources')
  })
})

describe('the cache', () => {
  const folders: string[] = []
  const target: ProfileTarget = {
    profile: 'shop',
    target: 'dev',
    type: 'duckdb',
    profilesDir: '/',
    settings: { type: 'duckdb', schema: 'dev', path: 'w.duckdb', threads: 1 },
    secrets: [],
  }
  let project = ''
  beforeEach(async () => {
    project = await mkdtemp(path.join(tmpdir(), 'millrace-manifest-'))
    folders.push(project)
    await write('dbt_project.yml', 'name: shop\n')
    await write('models/orders.sql', "select '{{ env_var('MILLRACE_TEST_REGION', 'eu') }}' as region")
  })
  afterEach(() => vi.unstubAllEnvs())
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

  async function write(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(path.join(project, file)), { recursive: true })
    await writeFile(path.join(project, file), text)
  }

  const origin = (of: ProfileTarget, executable: string) => ({ projectDir: project, target: of, executable })

  /** Whether the project had to be parsed. */
  async function isParsed(of: ProfileTarget = target, executable = '/no/dbt'): Promise<boolean> {
    let parsed = false
    const manifest = await cachedManifest(origin(of, executable), path.join(project, 'target', 'cache'), () => {
      parsed = true
      return Promise.resolve(MANIFEST)
    })
    expect(manifest).toEqual({ digest: expect.stringMatching(/^[0-9a-f]{32}$/), ...readManifest(MANIFEST) })
    return parsed
  }

  test('saves the second parse', async () => {
    expect([await isParsed(), await isParsed()]).toEqual([true, false])
  })

  test.each<[string, () => Promise<void> | void, ProfileTarget?]>([
    ['a file changes', () => write('models/orders.sql', 'select 2')],
    ['a file comes', () => write('models/new.sql', 'select 1')],
    ['a file goes', () => rm(path.join(project, 'models/orders.sql'))],
    ['a file moves', () => write('models/more/orders.sql', 'select 1')],
    ["a model's folder is called logs", () => write('models/logs/orders.sql', 'select 1')],
    ["a model's folder is called target", () => write('models/target/orders.sql', 'select 1')],
    ['a variable changes that a model names', () => void vi.stubEnv('MILLRACE_TEST_REGION', 'us')],
    ['it is another target', () => undefined, { ...target, target: 'prod' }],
    ['the target has another schema', () => undefined, { ...target, settings: { ...target.settings, schema: 'x' } }],
  ])('parses again when %s', async (_what, change, of) => {
    await isParsed()

    await change()

    expect([await isParsed(of), await isParsed(of)]).toEqual([true, false])
  })

  test.each<[string, () => Promise<void> | void, ProfileTarget?]>([
    ['what dbt writes changes', () => write('target/run_results.json', '{}')],
    ["dbt's log changes", () => write('logs/dbt.log', 'x')],
    ['a variable changes that nothing names', () => void vi.stubEnv('MILLRACE_TEST_OTHER', 'us')],
    ['the number of threads changes', () => undefined, { ...target, settings: { ...target.settings, threads: 8 } }],
  ])('does not parse again when %s', async (_what, change, of) => {
    await isParsed()

    await change()

    expect(await isParsed(of)).toBe(false)
  })

  test("parses again with another dbt, and when the project's own dbt was installed anew", async () => {
    const own = path.join(project, '.venv/bin/dbt')
    await write('.venv/bin/dbt', '')
    const atFirst = [await isParsed(), await isParsed(target, own), await isParsed(target, own)]

    await utimes(own, 1, 1)

    expect(atFirst).toEqual([true, true, false])
    expect(await isParsed(target, own)).toBe(true)
  })

  test('keeps nothing of a parse that failed', async () => {
    const failing = cachedManifest(origin(target, '/no/dbt'), path.join(project, 'target', 'cache'), () =>
      Promise.reject(new Error('no')),
    )

    await expect(failing).rejects.toThrow('no')
    expect(await isParsed()).toBe(true)
  })

  test('a parse that left no manifest is a failure of the project', async () => {
    await expect(readManifestFile(project)).rejects.toMatchObject({ type: 'DbtProjectInvalid' })
  })
})
