// What of a duckdb target concerns Millrace, and all that is wrong with it at once; the settings on a real engine.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openEngine } from '../../platform/duckdb.ts'
import { duckdbSettings } from './settings.ts'

const target = (settings: Readonly<Record<string, unknown>>) => ({
  profile: 'shop',
  target: 'dev',
  type: 'duckdb',
  profilesDir: path.join(process.cwd(), 'dbt'),
  settings: { type: 'duckdb', path: 'w.duckdb', schema: 'dev', ...settings },
  secrets: [],
})
const read = (settings: Readonly<Record<string, unknown>>) => duckdbSettings(target(settings), '/no/project')
const problemsOf = (settings: Readonly<Record<string, unknown>>): string[] => {
  try {
    read(settings)
    return []
  } catch (error) {
    expect(error).toMatchObject({ type: 'ProfileInvalid' })
    return String(error instanceof Error ? error.message : error)
      .split('\n')
      .map((line) => line.replace("dbt/profiles.yml, target 'dev': ", ''))
  }
}

test('the least that a target may say', () => {
  expect(duckdbSettings({ ...target({}), settings: { type: 'duckdb', path: '../w.duckdb' } }, '/no/project')).toEqual({
    file: '/no/w.duckdb',
    database: 'w',
    schema: 'main',
    engineSettings: {},
    attached: [],
    unsupportedAttached: [],
  })
})

test("what is dbt's own business is left to it", () => {
  const { engineSettings, attached, unsupportedAttached } = read({
    extensions: ['httpfs', { name: 'h3', repo: 'community' }],
    plugins: [{ module: 'gsheet' }],
    filesystems: [{ fs: 's3' }],
    secrets: [{ type: 's3', secret: 'x' }],
    settings: { s3_region: 'eu', timezone: 'Europe/Paris', temp_directory: '/x', enable_external_access: false },
    retries: { connect_attempts: 3 },
    external_root: 's3://x',
    keep_open: true,
  })

  expect({ engineSettings, attached, unsupportedAttached }).toEqual({
    engineSettings: {},
    attached: [],
    unsupportedAttached: [],
  })
})

describe('settings for our own connection', () => {
  test.each([
    [
      { memory_limit: '2GB', threads: 2 },
      { memory_limit: '2GB', threads: '2' },
    ],
    [
      { MAX_MEMORY: ' 1.5 GiB ', worker_threads: '4' },
      { memory_limit: '1.5 GiB', threads: '4' },
    ],
    [{ preserve_insertion_order: false }, { preserve_insertion_order: 'false' }],
    [{ preserve_insertion_order: 'True' }, { preserve_insertion_order: 'true' }],
    [{ wal_autocheckpoint: '64MB' }, { checkpoint_threshold: '64MB' }],
    [{ max_temp_directory_size: '10GB' }, { max_temp_directory_size: '10GB' }],
  ])('%j', (settings, engineSettings) => {
    expect(read({ settings })).toMatchObject({ engineSettings })
    expect(read({ config_options: settings })).toMatchObject({ engineSettings })
  })

  test('settings come after config_options, also under their other name', () => {
    expect(
      read({ config_options: { memory_limit: '1GB', threads: 1 }, settings: { max_memory: '2GB' } }),
    ).toMatchObject({
      engineSettings: { memory_limit: '2GB', threads: '1' },
    })
  })

  test('are taken by DuckDB as they are', async () => {
    const scratchDir = await mkdtemp(path.join(tmpdir(), 'millrace-settings-'))
    onTestFinished(() => rm(scratchDir, { recursive: true }))
    const engine = await openEngine({ scratchDir })
    onTestFinished(() => engine.close())
    const { engineSettings } = read({
      settings: {
        memory_limit: '500 MiB',
        threads: 1,
        preserve_insertion_order: false,
        checkpoint_threshold: '1MiB',
        max_temp_directory_size: '10 MiB',
      },
    })

    for (const [name, value] of Object.entries(engineSettings)) await engine.run(`SET ${name} = '${value}'`)

    const shown = Object.keys(engineSettings).map((name) => `current_setting('${name}') AS ${name}`)
    expect(await engine.rows(`SELECT ${shown.join(', ')}`)).toEqual([
      {
        memory_limit: '500.0 MiB',
        threads: 1n,
        preserve_insertion_order: false,
        checkpoint_threshold: '1.0 MiB',
        max_temp_directory_size: '10.0 MiB',
      },
    ])
  })
})

describe('attached', () => {
  test('local DuckDB files are known by the name that DuckDB gives them, from the project on', () => {
    const { attached, unsupportedAttached } = read({
      attach: [
        { path: 'more.duckdb' },
        { path: '/abs/x.y.db', alias: null, read_only: true },
        { path: '../b.duckdb', alias: 'other', type: 'DuckDB', read_only: 'true' },
        { path: 'main.db', options: { READ_ONLY: true, block_size: 16384 } },
      ],
    })

    expect(attached).toEqual([
      { alias: 'more', file: '/no/project/more.duckdb', readOnly: false },
      { alias: 'x', file: '/abs/x.y.db', readOnly: true },
      { alias: 'other', file: '/no/b.duckdb', readOnly: true },
      { alias: 'main_db', file: '/no/project/main.db', readOnly: true },
    ])
    expect(unsupportedAttached).toEqual([])
  })

  test.each([
    [{ path: 'x.sqlite', type: 'sqlite' }, 'a database of type sqlite'],
    [{ path: 'dbname=x password=hush', type: 'postgres' }, 'a database of type postgres'],
    [{ path: 'x', options: { TYPE: 'mysql' } }, 'a database of type mysql'],
    [{ path: 'md:x?motherduck_token=hush' }, 'a MotherDuck database'],
    [{ path: 'motherduck:x' }, 'a MotherDuck database'],
    [{ path: 'ducklake:sqlite:x' }, 'a DuckLake'],
    [{ path: 'x.duckdb', is_ducklake: true }, 'a DuckLake'],
    [{ path: 's3://bucket/x.duckdb' }, 'a database at s3:'],
    [{ path: 'https://me:hush@host/x.duckdb' }, 'a database at https:'],
    [{ path: ':memory:' }, 'a database in memory'],
    [{ path: 'x.duckdb', secret: 'hush' }, 'a database behind a secret'],
    [{ path: 'x.duckdb', options: { encryption_key: 'hush' } }, 'an encrypted file'],
  ])('%j is named, not refused', (entry, why) => {
    const { attached, unsupportedAttached } = read({ attach: [{ alias: 'other', ...entry }] })

    expect(attached).toEqual([])
    expect(unsupportedAttached).toEqual([{ alias: 'other', why }])
  })

  test("names of DuckDB's own, and a second of one name, are not attached", () => {
    expect(
      read({
        attach: [
          { path: 'a.duckdb', alias: 'memory' },
          { path: 'a.duckdb', alias: 'twice' },
          { path: 'b.duckdb', alias: 'TWICE' },
          { path: 'c.duckdb', alias: 'w' },
        ],
      }),
    ).toMatchObject({
      attached: [{ alias: 'twice', file: '/no/project/a.duckdb' }],
      unsupportedAttached: [{ alias: 'memory', why: "a database with a name of DuckDB's own" }],
    })
  })
})

describe('refused', () => {
  test.each([
    [{ path: undefined }, /^path must be a file, because/],
    [{ path: ':memory:' }, /^path must be a file, because/],
    [{ path: 'md:shop' }, /^path is a MotherDuck database, which Millrace does not load into; give a local file/],
    [{ path: 'ducklake:x' }, /^path is a DuckLake/],
    [{ is_ducklake: true }, /^path is a DuckLake/],
    [{ path: 's3://x/w.duckdb' }, /^path is a database at s3:,/],
    [{ remote: { host: 'h', port: 1, user: 'u' } }, /^remote is a server of its own/],
    [{ path: 'main.duckdb' }, /^DuckDB keeps the name 'main' for itself/],
    [{ path: 'my.shop.duckdb' }, /^DuckDB calls this file's database 'my', dbt 'my\.shop'; name the file without/],
    [{ path: 'shop#1.duckdb' }, /^DuckDB calls this file's database 'shop#1', dbt 'shop'/],
    [{ database: 'other' }, /^database must be 'w', as dbt-duckdb derives it from path; leave it out/],
    [{ database: 'other', attach: [{ path: 'md:x', alias: 'other' }] }, /^database is one of attach; Millrace loads/],
    [{ schema: 'Dev' }, /^schema must be a name of lower-case/],
    [{ schema: 2024 }, /^schema must be a name of lower-case/],
    [{ threads: 'many' }, /^threads must be a whole number from 1/],
    [{ threads: 0 }, /^threads must be a whole number from 1/],
    [{ settings: ['x'] }, /^settings must be a mapping/],
    [{ settings: { memory_limit: '80%' } }, /^settings\.memory_limit must be a size such as 2GB/],
    [{ settings: { memory_limit: 1000000 } }, /^settings\.memory_limit must be a size such as 2GB/],
    [{ config_options: { Threads: 2.5 } }, /^config_options\.Threads must be a whole number from 1/],
    [{ settings: { preserve_insertion_order: 'maybe' } }, /^settings\.preserve_insertion_order must be true or false/],
    [{ attach: 'x.duckdb' }, /^attach must be a list/],
    [{ attach: ['x.duckdb'] }, /^attach\[0\] must have a path/],
    [{ attach: [{ path: 'x.duckdb' }, { alias: 'x' }] }, /^attach\[1\] must have a path/],
  ])('%j', (settings, problem) => {
    expect(problemsOf(settings)).toEqual([expect.stringMatching(problem)])
  })

  test('everything at once, with the place', () => {
    expect(
      problemsOf({ path: 'md:x', schema: '', threads: -1, settings: { threads: 'x' }, attach: [{}] }),
    ).toHaveLength(5)
    expect(() => read({ schema: '' })).toThrow("dbt/profiles.yml, target 'dev': schema must be")
  })

  test.each([{ threads: 4 }, { threads: '4' }, { database: 'w' }, { settings: null, attach: null, remote: null }])(
    'but not %j',
    (settings) => {
      expect(problemsOf(settings)).toEqual([])
    },
  )
})
