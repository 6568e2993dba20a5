// Made-up dbt projects with packages, what is in their folders, and a process that is installing there.
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { onTestFinished } from 'vitest'

/** A dbt project of these files, in a folder that goes when the test ends. */
export async function makeProject(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-packages-')))
  onTestFinished(() => rm(folder, { recursive: true }))
  await write(folder, { 'dbt_project.yml': 'name: shop\n', ...files })
  return folder
}

export async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
}

/** Every file, link and folder under it, with what is in it. */
export async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    const name = path.relative(folder, file)
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(file)}`
    else found[name] = entry.isDirectory() ? 'folder' : await readFile(file, 'latin1')
  }
  return found
}

/** dbt's hash of ASKED_FOR: recorded as the ones of hash.test.ts. */
const HASH = '3d46f7cefb57cb132be730c2a46ed5d1f4b43029'
export const ASKED_FOR = `packages:
  - package: a/b
    version: 1.0.0
  - local: ../shared
  - git: https://example.org/x.git
`
export const LOCK = `packages:
  - name: b
    package: a/b
    version: 1.0.0
  - local: ../shared
    name: shared
  - git: https://example.org/x.git
    name: x
    revision: 0f0f0f
sha1_hash: ${HASH}
`
export const INSTALLED = {
  'dbt_packages/b/dbt_project.yml': "name: b\nversion: '1.0.0'\n",
  'dbt_packages/shared/dbt_project.yml': 'name: shared\n',
  'dbt_packages/x/dbt_project.yml': 'name: x\n',
}
export const SATISFIED = { 'packages.yml': ASKED_FOR, 'package-lock.yml': LOCK, ...INSTALLED }

const SOURCE = fileURLToPath(new URL('../../src/dbt/packages/install.ts', import.meta.url))

/** Another process that has put the packages aside and started to install others; it does not end by itself. */
export async function startInstaller(project: string) {
  const script = `
    import { mkdirSync, writeFileSync } from 'node:fs'
    import { installPackages } from ${JSON.stringify(SOURCE)}
    await installPackages(process.cwd(), async () => {
      mkdirSync('dbt_packages/half', { recursive: true })
      writeFileSync('package-lock.yml', 'packages: []')
      console.log('installing')
      await new Promise((resolve) => setTimeout(resolve, 60_000))
    })`
  const child = execa(process.execPath, ['--input-type=module', '-e', script], { cwd: project, reject: false })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  await once(child.stdout, 'data')
  const kill = async () => {
    child.kill('SIGKILL')
    await child
  }
  return { pid: child.pid, kill }
}
