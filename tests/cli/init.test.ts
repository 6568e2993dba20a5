// `millrace init` on real dbt projects: what it writes passes the check, and where it refuses nothing is written.
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { writeAwkwardProject } from '../support/awkward-project.ts'
import { millrace, testEnvironment } from '../support/cli.ts'

/** A folder that is no workspace yet. */
async function freshFolder(): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-init-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  return workspaceAt(root)
}

/** As a person has it who sits in the folder: nothing names the workspace, and HOME holds no ~/.dbt. */
function init(workspace: Workspace, ...args: readonly string[]) {
  const { MILLRACE_WORKSPACE: _named, ...env } = testEnvironment(workspace, { HOME: workspace.root })
  return millrace(workspace, ['init', ...args], env)
}

const pipelinesOf = ({ pipelinesDir }: Workspace) => readdir(pipelinesDir).catch(() => 'none')

test('in a folder without pipelines/ a project of somebody else gets a file that passes the check, once', async () => {
  const workspace = await freshFolder()
  await writeAwkwardProject(workspace.root, [])
  await rm(workspace.pipelinesDir, { recursive: true })
  // init does not mend a project: this test is one that can be trusted to tell a key.
  await writeFile(
    path.join(workspace.root, 'shop/models/marts.yml'),
    'models: [{ name: mart_good, columns: [{ name: id, data_tests: [unique, not_null] }] }]\n',
  )

  const printed = await init(workspace, 'shop-daily', '--project-dir', 'shop', '--print')
  expect(printed.stderr).toBe('')
  expect(printed.code).toBe(0)
  expect(await pipelinesOf(workspace)).toBe('none')

  const written = await init(workspace, 'shop-daily', '--project-dir', 'shop')
  const file = path.join(workspace.pipelinesDir, 'shop-daily.yml')
  const text = await readFile(file, 'utf8')
  expect(written).toMatchObject({ code: 0, stderr: '' })
  expect(written.stdout.split('\n')).toEqual([
    'pipelines/shop-daily.yml is written; next:',
    '  npx millrace check shop-daily',
    '  npx millrace run shop-daily --dry-run',
    '  npx millrace run shop-daily',
    '',
  ])
  expect(text).toBe(printed.stdout)
  expect(await pipelinesOf(workspace)).toEqual(['shop-daily.yml'])
  expect(text).toContain('# Found: 4 models, 1 seed, 1 snapshot, 4 tests, 1 unit test, 1 source tables.\n')
  expect(text).toContain('  - dbt: { command: deps }')
  expect(text).toContain('      - { mart: mart_good, key: [id], unique: true, rows: { min: 1 } }\n')
  expect(text).toContain('      # - { mart: mart_broken, key: [its_key] }')
  expect(text).toContain('  #     - into: dwh_base.customers # 0 columns declared, 0 with data_type\n')

  const checked = await millrace(workspace, ['check', 'shop-daily'])
  expect(checked).toMatchObject({ code: 0, stderr: '' })
  expect(checked.stdout).toContain('✔ shop-daily')

  await writeFile(file, `${text}# mine\n`)
  const again = await init(workspace, 'shop-daily', '--project-dir', 'shop')
  expect(again).toMatchObject({ code: 2, stdout: '' })
  expect(again.stderr).toContain(
    "there is a pipeline 'shop-daily' already, and it stays as it is; choose another name, or look with --print",
  )
  expect(await readFile(file, 'utf8')).toBe(`${text}# mine\n`)
})

const PROJECT = 'name: p\nversion: "1.0.0"\nprofile: p\n'
const profile = (output: string) => `p: { target: dev, outputs: { dev: ${output} } }\n`
const DUCKDB = profile('{ type: duckdb, path: w.duckdb }')

const REFUSALS: readonly {
  readonly of: string
  readonly name?: string
  readonly files: Readonly<Record<string, string>>
  readonly says: readonly string[]
}[] = [
  {
    of: 'no dbt project',
    files: { 'p/readme.md': '' },
    says: ['there is no dbt project at p (no dbt_project.yml)'],
  },
  {
    of: 'a missing profile',
    files: { 'p/dbt_project.yml': PROJECT },
    says: ['there is no profiles.yml in p or .dbt', "create p/profiles.yml with a profile 'p'"],
  },
  {
    of: 'broken YAML',
    files: { 'p/dbt_project.yml': PROJECT, 'p/profiles.yml': 'p: { target: dev\n  outputs: [\n' },
    says: ['p/profiles.yml is not valid YAML: '],
  },
  {
    of: 'a warehouse of another kind',
    files: { 'p/dbt_project.yml': PROJECT, 'p/profiles.yml': profile('{ type: snowflake, account: a }') },
    says: [
      "target 'dev' is a snowflake warehouse, which Millrace does not load; supported: duckdb, postgres, bigquery",
    ],
  },
  {
    of: 'no models',
    files: { 'p/dbt_project.yml': PROJECT, 'p/profiles.yml': DUCKDB, 'p/seeds/s.csv': 'id\n1\n' },
    says: ['p has no models; look at what dbt finds there: dbt ls --project-dir p'],
  },
  {
    of: 'a name that no pipeline may have',
    name: '../Outside',
    files: { 'p/dbt_project.yml': PROJECT, 'p/profiles.yml': DUCKDB },
    says: ['Outside.yml:1:9: name: expected lower-case letters, digits and dashes, starting with a letter'],
  },
]

test('what cannot be read is refused with what to do, and nothing is written', async () => {
  for (const { of, name = 'fresh', files, says } of REFUSALS) {
    const workspace = await freshFolder()
    for (const [file, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(workspace.root, file)), { recursive: true })
      await writeFile(path.join(workspace.root, file), text)
    }
    const { code, stdout, stderr } = await init(workspace, name, '--project-dir', 'p')
    expect({ of, code, stdout }).toEqual({ of, code: 2, stdout: '' })
    const next = name === 'fresh' ? ['nothing was written; then: npx millrace init fresh --project-dir p'] : []
    for (const words of [...says, ...next]) expect(stderr).toContain(words)
    expect(await pipelinesOf(workspace)).toBe('none')
  }
})
