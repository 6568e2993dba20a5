// What is left of a command in the run's folder: what a person reads, without secrets, and nothing else is touched.
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { madeNode } from '../../tests/fixtures/dbt/evidence.ts'
import type { DbtVerb } from '../pipeline/dbt-command.ts'
import { knownRedactor } from '../platform/redaction.ts'
import { keepArtifacts } from './artifacts.ts'

const folders: string[] = []
let runDir = ''
let outputDir = ''
beforeEach(async () => {
  runDir = await mkdtemp(path.join(tmpdir(), 'millrace-artifacts-'))
  folders.push(runDir)
  outputDir = path.join(runDir, 'dbt-run', '1.1')
})
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(runDir, name)), { recursive: true })
    await writeFile(path.join(runDir, name), text)
  }
}

/** All files below the run's folder. */
async function filesLeft(): Promise<string[]> {
  const entries = await readdir(runDir, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(runDir, path.join(entry.parentPath, entry.name)))
    .toSorted()
}

const read = (name: string) => readFile(path.join(runDir, name), 'utf8')

/** As dbt leaves a folder behind. */
const LEFT_BY_DBT = Object.fromEntries(
  [
    'dbt.log',
    'ledger.json',
    'run_results.json',
    'manifest.json',
    'graph.gpickle',
    'graph_summary.json',
    'semantic_manifest.json',
    'partial_parse.msgpack',
    'dbt-events.jsonl',
    'stderr.txt',
    'state/run_results.json',
    'run/shop/models/bad.sql',
    'compiled/shop/models/bad.sql',
    'compiled/shop/models/good.sql',
    'compiled/shop/models/schema.yml/found.sql',
    'compiled/shop/models/schema.yml/warned.sql',
    'catalog.json',
    'index.html',
  ].map((name) => [`dbt-run/1.1/${name}`, name]),
)

const compiled = (name: string) => path.join(outputDir, 'compiled/shop/models', name)
const nodes = () => [
  madeNode('model.shop.good', 'success', {}, { compiledFile: compiled('good.sql') }),
  madeNode('model.shop.bad', 'error', {}, { compiledFile: compiled('bad.sql') }),
  madeNode('test.shop.found', 'fail', {}, { compiledFile: compiled('schema.yml/found.sql') }),
  madeNode('test.shop.warned', 'warn', {}, { compiledFile: compiled('schema.yml/warned.sql') }),
  madeNode('model.shop.gone', 'error', {}, { compiledFile: compiled('gone.sql') }),
]
const keep = (command: DbtVerb = 'run', redact = knownRedactor([])) =>
  keepArtifacts(command, outputDir, runDir, nodes(), redact)

const KEPT = ['dbt.log', 'ledger.json', 'run_results.json'].map((name) => `dbt-run/1.1/${name}`)
const SQL = ['bad.sql', 'schema.yml/found.sql', 'schema.yml/warned.sql'].map(
  (name) => `dbt-run/1.1/compiled/shop/models/${name}`,
)

describe('is kept', () => {
  test("log, ledger, results and the SQL of what did not go well; the manifest in the run's folder", async () => {
    await write(LEFT_BY_DBT)

    await keep()

    expect(await filesLeft()).toEqual([...KEPT, ...SQL, 'manifest.json'].toSorted())
    expect(await read('manifest.json')).toBe('manifest.json')
    expect(await read(SQL[0] ?? '')).toBe('compiled/shop/models/bad.sql')
  })

  test('the same when it is done twice', async () => {
    await write(LEFT_BY_DBT)
    await keep()
    const before = await filesLeft()

    await keep()

    expect(await filesLeft()).toEqual(before)
  })

  test('sources.json, and the word of a process that may still live', async () => {
    await write({ 'dbt-run/1.1/sources.json': '{}', 'dbt-run/1.1/process.json': '{}' })

    await keep('source freshness')

    expect(await filesLeft()).toEqual(['dbt-run/1.1/process.json', 'dbt-run/1.1/sources.json'])
  })

  test('what a command is run for: all compiled SQL of compile, the pages of docs generate', async () => {
    await write(LEFT_BY_DBT)
    await keep('docs generate')
    const pages = await filesLeft()
    await write(LEFT_BY_DBT)
    await keep('compile')

    expect(pages).toEqual(expect.arrayContaining(['dbt-run/1.1/catalog.json', 'dbt-run/1.1/index.html', ...SQL]))
    expect(pages.some((name) => name.endsWith('good.sql'))).toBe(false)
    expect(await filesLeft()).toEqual(expect.arrayContaining([...SQL, 'dbt-run/1.1/compiled/shop/models/good.sql']))
  })

  test("the manifest of the run's last command", async () => {
    await write({ 'manifest.json': 'old', 'dbt-run/1.1/manifest.json': 'new' })

    await keep()

    expect(await read('manifest.json')).toBe('new')
  })
})

describe('secrets', () => {
  const SECRET = 'pa"ss\\wo\trd'
  const secret = { 'dbt-run/1.1/ledger.json': JSON.stringify({ message: `login as ${SECRET}!` }) }

  test('go from all that is kept, also where JSON escapes them', async () => {
    await write({
      ...secret,
      'dbt-run/1.1/manifest.json': JSON.stringify({ vars: { key: SECRET } }),
      'dbt-run/1.1/dbt.log': `login as ${SECRET}!\n`,
      'dbt-run/1.1/compiled/shop/models/bad.sql': `attach '${SECRET}'`,
    })

    await keep('run', knownRedactor([SECRET]))

    expect(JSON.parse(await read('dbt-run/1.1/ledger.json'))).toEqual({ message: 'login as [redacted]!' })
    expect(JSON.parse(await read('manifest.json'))).toEqual({ vars: { key: '[redacted]' } })
    expect(await read('dbt-run/1.1/dbt.log')).toBe('login as [redacted]!\n')
    expect(await read('dbt-run/1.1/compiled/shop/models/bad.sql')).toBe("attach '[redacted]'")
  })

  test("go also where they have other letters than ASCII, which dbt's JSON escapes", async () => {
    await write({ 'dbt-run/1.1/run_results.json': String.raw`{"message": "login as gr\u00fc\u00dfe123"}` })

    await keep('run', knownRedactor(['grüße123']))

    expect(JSON.parse(await read('dbt-run/1.1/run_results.json'))).toEqual({ message: 'login as [redacted]' })
  })
})

test('nothing outside of the folder is touched: no file beside it, none that a link or a node points to', async () => {
  const outside = {
    'dbt-run/ledger.json': 'SECRET1',
    'dbt-run/1.2/graph.gpickle': 'SECRET1',
    'project/models/bad.sql': 'SECRET1',
  }
  await write({ ...outside, 'dbt-run/1.1/dbt.log': 'SECRET1' })
  await symlink(path.join(runDir, 'project'), path.join(outputDir, 'dbt_packages'))
  await symlink(path.join(runDir, 'project/models/bad.sql'), path.join(outputDir, 'sources.json'))
  const stray = madeNode('model.shop.bad', 'error', {}, { compiledFile: path.join(runDir, 'project/models/bad.sql') })

  await keepArtifacts('run', outputDir, runDir, [stray], knownRedactor(['SECRET1']))

  expect(await filesLeft()).toEqual([...Object.keys(outside), 'dbt-run/1.1/dbt.log'].toSorted())
  for (const name of Object.keys(outside)) expect(await read(name)).toBe('SECRET1')
  expect(await read('dbt-run/1.1/dbt.log')).toBe('[redacted]')
})
