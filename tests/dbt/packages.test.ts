// What packagesState says about a project is what the real dbt does with it, and a `dbt deps` that fails costs nothing.
import { mkdir, mkdtemp, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensurePackages, installPackages } from '../../src/dbt/packages/install.ts'
import { packagesState } from '../../src/dbt/packages/state.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'

const LOCAL_ONLY = 'packages:\n  - local: ../shared\n'
const WITH_HUB = `${LOCAL_ONLY}  - package: dbt-labs/dbt_utils\n    version: 1.1.1\n`
/** As dbt would have locked WITH_HUB: then it does not look for versions, but empties the packages folder at once. */
const LOCK_WITH_HUB = `packages:
  - local: ../shared
    name: shared
  - name: dbt_utils
    package: dbt-labs/dbt_utils
    version: 1.1.1
sha1_hash: a96620829a07dc272d2d261881726265c7bd0e29
`
const FILES = {
  'shop/dbt_project.yml': "name: shop\nversion: '1.0'\nprofile: shop\n",
  'shop/profiles.yml': 'shop: {target: dev, outputs: {dev: {type: duckdb, path: ":memory:"}}}\n',
  'shop/packages.yml': LOCAL_ONLY,
  'shop/models/orders.sql': "select * from {{ ref('base') }}\n",
  'shared/dbt_project.yml': "name: shared\nversion: '2.0'\n",
  'shared/models/base.sql': 'select 1 as n\n',
}

let folder: string
let project: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-dbt-packages-')))
  project = path.join(folder, 'shop')
  for (const [name, text] of Object.entries(FILES)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
})

afterAll(() => rm(folder, { recursive: true }))

/** Rejects when dbt fails. Nothing listens where it would look for the hub. */
async function dbt(command: 'deps' | 'parse'): Promise<void> {
  await execa(path.join(path.dirname(INSTALLATION.python), 'dbt'), ['--no-partial-parse', command], {
    cwd: project,
    env: { DBT_PACKAGE_HUB_URL: 'http://127.0.0.1:1/', DBT_SEND_ANONYMOUS_USAGE_STATS: 'false' },
  })
}

test('dbt refuses a project whose packages are missing, and parses it when they have been installed', async () => {
  expect((await packagesState(project)).kind).toBe('missing')
  await expect(dbt('parse')).rejects.toThrow('dbt expects 1 package(s)')
  expect((await ensurePackages(project, () => dbt('deps'))).kind).toBe('missing')
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  await dbt('parse')
})

test('a `dbt deps` that cannot reach the hub leaves the project as it was', async () => {
  const before = await readdir(project)
  const packages = path.join(project, 'dbt_packages')
  await writeFile(path.join(project, 'packages.yml'), WITH_HUB)
  await writeFile(path.join(project, 'package-lock.yml'), LOCK_WITH_HUB)
  expect(await packagesState(project)).toEqual({ kind: 'missing', what: ['dbt_utils is not in dbt_packages'] })
  let leftByDbt: string[] = []
  const install = async () => {
    try {
      await dbt('deps')
    } finally {
      leftByDbt = await readdir(packages)
    }
  }
  await expect(installPackages(project, install)).rejects.toThrow('External connection exception')
  expect(leftByDbt).toEqual([])
  expect(await readlink(path.join(packages, 'shared'))).toBe(path.join(folder, 'shared'))
  expect(await readdir(project)).toEqual(before)
  await writeFile(path.join(project, 'packages.yml'), LOCAL_ONLY)
  await rm(path.join(project, 'package-lock.yml'))
  expect(await packagesState(project)).toEqual({ kind: 'outdated', what: ['there is no package-lock.yml'] })
  await dbt('parse')
})
