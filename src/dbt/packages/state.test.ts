// What is said about made-up packages folders. With the real dbt: tests/dbt/packages.test.ts.
import { mkdir, rm, stat, symlink } from 'node:fs/promises'
import path from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  ASKED_FOR,
  contents,
  INSTALLED,
  LOCK,
  makeProject,
  SATISFIED,
  write,
} from '../../../tests/support/packages-project.ts'
import { packagesState } from './state.ts'

test('a project that asks for no packages has none to install', async () => {
  expect(await packagesState(await makeProject({}))).toEqual({ kind: 'none' })
  expect(await packagesState(await makeProject({ 'packages.yml': 'packages: []\n' }))).toEqual({ kind: 'none' })
  expect(await packagesState(await makeProject({ 'dependencies.yml': 'projects: [{name: other}]\n' }))).toEqual({
    kind: 'none',
  })
})

test('packages that are there as locked are satisfied, and looking at them changes nothing', async () => {
  const project = await makeProject(SATISFIED)
  const before = { files: await contents(project), changed: (await stat(project)).mtimeMs }
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  expect({ files: await contents(project), changed: (await stat(project)).mtimeMs }).toEqual(before)
})

test('packages are missing where dbt would count fewer than the lock names', async () => {
  const project = await makeProject({ 'packages.yml': ASKED_FOR, 'package-lock.yml': LOCK })
  expect(await packagesState(project)).toEqual({
    kind: 'missing',
    what: ['b is not in dbt_packages', 'shared is not in dbt_packages', 'x is not in dbt_packages'],
  })
  await write(project, INSTALLED)
  await rm(path.join(project, 'dbt_packages/shared'), { recursive: true })
  await symlink('/nowhere/at/all', path.join(project, 'dbt_packages/shared'))
  expect(await packagesState(project)).toEqual({ kind: 'missing', what: ['shared is not in dbt_packages'] })
})

test('without a lock dbt counts what is asked for itself', async () => {
  const project = await makeProject({ 'packages.yml': ASKED_FOR })
  expect(await packagesState(project)).toEqual({
    kind: 'missing',
    what: ['dbt expects 3 packages in dbt_packages, it has 0'],
  })
  await write(project, INSTALLED)
  expect(await packagesState(project)).toEqual({ kind: 'outdated', what: ['there is no package-lock.yml'] })
})

test('one package too many is refused by dbt as well, other files and folders named __ are not packages', async () => {
  const project = await makeProject({ ...SATISFIED, 'dbt_packages/README.md': '', 'dbt_packages/__cache/x': '' })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  await mkdir(path.join(project, 'dbt_packages/left_over'))
  expect(await packagesState(project)).toEqual({
    kind: 'missing',
    what: ['dbt expects 3 packages in dbt_packages, it has 4'],
  })
})

test('what dbt_project.yml names is the packages folder', async () => {
  vi.stubEnv('PACKAGES_AT', 'vendor')
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  const project = await makeProject({
    'dbt_project.yml': `packages-install-path: "{{ env_var('PACKAGES_AT') }}/{{ env_var('NOT_SET_HERE', 'dbt') }}"\n`,
    'packages.yml': 'packages:\n  - local: ../shared\n',
    'vendor/dbt/shared/dbt_project.yml': 'name: shared\n',
  })
  expect(await packagesState(project)).toEqual({ kind: 'outdated', what: ['there is no package-lock.yml'] })
})

test('a hub package in another version than locked is outdated, and so is one in place of another', async () => {
  const project = await makeProject({ ...SATISFIED, 'dbt_packages/b/dbt_project.yml': 'name: b\nversion: 0.9.0\n' })
  expect(await packagesState(project)).toEqual({ kind: 'outdated', what: ['b is 0.9.0, package-lock.yml says 1.0.0'] })
  const other = await makeProject({ ...SATISFIED, 'dbt_packages/y/dbt_project.yml': 'name: y\n' })
  await rm(path.join(other, 'dbt_packages/x'), { recursive: true })
  expect(await packagesState(other)).toEqual({ kind: 'outdated', what: ['x is not in dbt_packages'] })
})

test('a change of what is asked for is outdated, unless only dbt could say whether it is one', async () => {
  const changed = `${ASKED_FOR}    revision: main\n`
  expect(await packagesState(await makeProject({ ...SATISFIED, 'packages.yml': changed }))).toEqual({
    kind: 'outdated',
    what: ['packages.yml has changed since package-lock.yml was made'],
  })
  const rendered = `${ASKED_FOR}    revision: '{{ x }}'\n`
  expect(await packagesState(await makeProject({ ...SATISFIED, 'packages.yml': rendered }))).toEqual({
    kind: 'satisfied',
  })
})

test('where we installed the packages, another version in the lock is outdated', async () => {
  const project = await makeProject({ ...SATISFIED, 'dbt_packages/millrace-installed.yml': LOCK })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  await write(project, { 'package-lock.yml': LOCK.replace('0f0f0f', 'abcdef') })
  expect(await packagesState(project)).toEqual({
    kind: 'outdated',
    what: ['package-lock.yml has another version of x than is installed'],
  })
})

test('a lock without names, as older dbt wrote it, is checked as far as it goes', async () => {
  const lock = LOCK.replaceAll(/^ +name: .*\n/gm, '').replace('- name: b\n    package', '- package')
  const project = await makeProject({ ...SATISFIED, 'package-lock.yml': lock })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  await write(project, { 'dbt_packages/b/dbt_project.yml': 'version: 2.0.0\n' })
  expect(await packagesState(project)).toEqual({ kind: 'outdated', what: ['b is 2.0.0, package-lock.yml says 1.0.0'] })
})

test('packages of which none are asked for any more stay, as dbt goes by the lock', async () => {
  const project = await makeProject({ ...SATISFIED, 'packages.yml': 'packages: []\n' })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
})

test.each([
  ['packages.yml', 'packages: [', 'packages.yml is not valid YAML'],
  ['packages.yml', 'packages: 5', 'packages.yml is not a list of packages'],
  ['package-lock.yml', '- a', 'package-lock.yml is not a mapping'],
  ['dependencies.yml', 'packages: []', 'and so does dependencies.yml'],
  ['dbt_project.yml', 'packages-install-path: "{{ env_var(\'NOT_SET_HERE\') }}"', '$NOT_SET_HERE is not set'],
])('%s with `%s` fails by saying so', async (file, text, message) => {
  const project = await makeProject({ ...SATISFIED, [file]: text })
  await expect(packagesState(project)).rejects.toMatchObject({
    type: 'DbtProjectInvalid',
    message: expect.stringContaining(message),
  })
})
