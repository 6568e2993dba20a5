// Which file a dbt target means: the same one that dbt opens, under one name.
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdbAddress } from './address.ts'

const target = (given: string) => ({
  profile: 'p',
  target: 'dev',
  type: 'duckdb',
  profilesDir: '/profiles',
  settings: { path: given, schema: 'analytics' },
  secrets: [],
})

test('a path is relative to the project, and ~ is the home folder, as dbt has it', () => {
  expect(duckdbAddress(target('../w.duckdb'), '/no/such/project').file).toBe('/no/such/w.duckdb')
  expect(duckdbAddress(target('~/w.duckdb'), '/no/such/project').file).toBe(path.join(homedir(), 'w.duckdb'))
})

test('a file that is not there yet is known by one name, whichever link leads to its folder', async () => {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-address-')))
  onTestFinished(() => rm(folder, { recursive: true }))
  await mkdir(path.join(folder, 'real'))
  await symlink(path.join(folder, 'real'), path.join(folder, 'link'))

  const [direct, linked] = ['real', 'link'].map((name) => duckdbAddress(target(`${name}/deep/w.duckdb`), folder))

  expect(linked).toEqual(direct)
  expect(direct?.file).toBe(path.join(folder, 'real/deep/w.duckdb'))
})

test("the database's name is that of the path that is given, as in dbt, not of what a link leads to", async () => {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-address-')))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(path.join(folder, 'real.duckdb'), '')
  await symlink(path.join(folder, 'real.duckdb'), path.join(folder, 'link.duckdb'))

  expect(duckdbAddress(target('link.duckdb'), folder)).toMatchObject({
    file: path.join(folder, 'real.duckdb'),
    identity: `duckdb:${path.join(folder, 'real.duckdb')}`,
    database: 'link',
    schema: 'analytics',
  })
})

test.each(['memory.duckdb', 'temp.duckdb', ':memory:', 'md:cloud'])('%s is refused', (given) => {
  expect(() => duckdbAddress(target(given), '/p')).toThrow(expect.objectContaining({ type: 'ProfileInvalid' }))
})
