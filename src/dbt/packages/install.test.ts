// No way of failing loses packages, and one process at a time installs. With the real dbt: tests/dbt/packages.test.ts.
import { rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import {
  ASKED_FOR,
  contents,
  INSTALLED,
  LOCK,
  makeProject,
  SATISFIED,
  startInstaller,
  write,
} from '../../../tests/support/packages-project.ts'
import { ensurePackages, installPackages } from './install.ts'
import { packagesState } from './state.ts'

/** What a `dbt deps` does that fails half-way: it has emptied the folder and written another lock. */
async function failingDeps(project: string): Promise<void> {
  await rm(path.join(project, 'dbt_packages'), { recursive: true, force: true })
  await write(project, { 'dbt_packages/half/x.sql': 'select', 'package-lock.yml': 'packages: []\n' })
  throw new Error('no network')
}

async function makeProjectWithLinks(): Promise<string> {
  const project = await makeProject({ ...SATISFIED, 'dbt_packages/b/logo.png': '\u0000\u00ff\r\n', 'local/m.sql': '' })
  await symlink('../local', path.join(project, 'dbt_packages/relative'))
  await symlink(path.join(project, 'local'), path.join(project, 'dbt_packages/absolute'))
  return project
}

test('a failing installation leaves every byte and link as it was', async () => {
  const project = await makeProjectWithLinks()
  const before = await contents(project)
  await expect(installPackages(project, () => failingDeps(project))).rejects.toThrow('no network')
  expect(await contents(project)).toEqual(before)
})

test('a failing first installation leaves neither packages nor a lock', async () => {
  const project = await makeProject({ 'packages.yml': ASKED_FOR })
  const before = await contents(project)
  await expect(installPackages(project, () => failingDeps(project))).rejects.toThrow('no network')
  expect(await contents(project)).toEqual(before)
})

test('a successful installation finds the lock, replaces the packages and leaves nothing else behind', async () => {
  const project = await makeProject({ ...SATISFIED, 'dbt_packages/b/gone.sql': '' })
  await installPackages(project, async () => {
    expect(await contents(project)).toMatchObject({ 'package-lock.yml': LOCK })
    expect(await contents(project)).not.toHaveProperty('dbt_packages')
    await write(project, INSTALLED)
  })
  const after = await contents(project)
  expect(after).not.toHaveProperty(['dbt_packages/b/gone.sql'])
  expect(Object.keys(after).filter((name) => !name.includes('/') && name.includes('millrace'))).toEqual([])
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
})

test('packages that a killed installation left aside are put back by whoever looks next', async () => {
  const project = await makeProjectWithLinks()
  const before = await contents(project)
  const installer = await startInstaller(project)
  expect(await packagesState(project)).toEqual({
    kind: 'missing',
    what: [`process ${installer.pid} is installing them now`],
  })
  await installer.kill()
  await packagesState(project)
  expect(await contents(project)).toEqual(before)
})

test('packages that a killed installation left aside are put back before the next one, which may fail', async () => {
  const project = await makeProjectWithLinks()
  const before = await contents(project)
  await (await startInstaller(project)).kill()
  await expect(installPackages(project, () => failingDeps(project))).rejects.toThrow('no network')
  expect(await contents(project)).toEqual(before)
})

test('after a killed installation nothing is installed where the former packages do', async () => {
  const project = await makeProject(SATISFIED)
  await (await startInstaller(project)).kill()
  const install = vi.fn<() => Promise<void>>()
  expect(await ensurePackages(project, install)).toEqual({ kind: 'satisfied' })
  expect(install).not.toHaveBeenCalled()
})

test('a package that keeps an old version in its dbt_project.yml is installed once', async () => {
  // As dbt_utils does: 1.3.0 of the hub says 0.1.0.
  const stale = { ...INSTALLED, 'dbt_packages/b/dbt_project.yml': "name: b\nversion: '0.1.0'\n" }
  const project = await makeProject({ ...SATISFIED, ...stale })
  const install = () => write(project, stale)
  expect((await ensurePackages(project, install)).kind).toBe('outdated')
  expect((await ensurePackages(project, install)).kind).toBe('satisfied')
})

test('cleaning up that was interrupted, after success or putting back, does not undo what is there', async () => {
  const project = await makeProject({
    ...SATISFIED,
    'dbt_packages.millrace-saved/package-lock.yml': 'old',
    'dbt_packages.millrace-saved/discarded/b/old.sql': '',
  })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
  expect(await contents(project)).not.toHaveProperty(['dbt_packages.millrace-saved'])
})

test('a lock of a predecessor that had the number of this process counts as abandoned', async () => {
  const project = await makeProject({ ...SATISFIED, [`dbt_packages.millrace-lock/${process.pid}-00000000`]: '' })
  const install = vi.fn<() => Promise<void>>()
  await installPackages(project, install)
  expect(install).toHaveBeenCalledTimes(1)
})

test('installations of one project run one after the other', async () => {
  const project = await makeProject(SATISFIED)
  const events: string[] = []
  const install = (name: string) => async () => {
    events.push(`${name} starts`)
    await pause(30)
    events.push(`${name} ends`)
  }
  await Promise.all(['a', 'b', 'c'].map((name) => installPackages(project, install(name))))
  for (let at = 0; at < events.length; at += 2) {
    expect(events[at + 1]).toBe(events[at]?.replace('starts', 'ends'))
  }
  expect(events).toHaveLength(6)
})

test('of several who find packages missing at the same time one installs', async () => {
  const project = await makeProject({ 'packages.yml': ASKED_FOR, 'package-lock.yml': LOCK })
  const install = vi.fn<() => Promise<void>>(async () => {
    await pause(30)
    await write(project, INSTALLED)
  })
  const found = await Promise.all([1, 2, 3].map(() => ensurePackages(project, install)))
  expect(install).toHaveBeenCalledTimes(1)
  expect(found.map(({ kind }) => kind).sort()).toEqual(['missing', 'satisfied', 'satisfied'])
})

test('waiting for another installation ends when the signal aborts', async () => {
  const project = await makeProject(SATISFIED)
  const abort = new AbortController()
  await installPackages(project, async () => {
    const waiting = installPackages(project, () => failingDeps(project), abort.signal)
    abort.abort(new Error('cancelled'))
    await expect(waiting).rejects.toThrow('aborted')
    await write(project, INSTALLED)
  })
  expect(await packagesState(project)).toEqual({ kind: 'satisfied' })
})
