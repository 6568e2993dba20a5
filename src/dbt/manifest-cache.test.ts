// A cache of dbt's manifest that is never older than what it depends on. On real files.
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cachedManifest, readManifest, readManifestFile } from './manifest.ts'
import type { ProfileTarget } from './profile.ts'

const ORDERS = { unique_id: 'model.shop.orders', name: 'orders', resource_type: 'model', config: {} }
const SMALL = JSON.stringify({ sources: {}, nodes: { 'model.shop.orders': ORDERS } })

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
      return Promise.resolve(SMALL)
    })
    expect(manifest).toEqual({ digest: expect.stringMatching(/^[0-9a-f]{32}$/), ...readManifest(SMALL) })
    return parsed
  }

  test("knows what the pipeline sets: each day's value is a project of its own, and an older one is found again", async () => {
    const withDay = async (day: string) => {
      let parsed = false
      const of = { ...origin(target, '/no/dbt'), env: { RUN_DATE: day } }
      const { digest } = await cachedManifest(of, path.join(project, 'target', 'cache'), () => {
        parsed = true
        return Promise.resolve(SMALL)
      })
      return { digest, parsed }
    }
    await write('models/dated.sql', "select '{{ env_var('RUN_DATE') }}' as day")
    vi.stubEnv('RUN_DATE', '1999-01-01')
    const monday = await withDay('2026-11-16')
    const tuesday = await withDay('2026-11-17')
    expect([monday.parsed, tuesday.parsed]).toEqual([true, true])
    expect(tuesday.digest).not.toBe(monday.digest)
    expect(await withDay('2026-11-16')).toEqual({ digest: monday.digest, parsed: false })
  })

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
