// The workflows as the one file that workers run, kept from start to start: making it takes two seconds.
import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, type Logger } from '@temporalio/worker'
import { writeFileAtomically } from '../platform/files.ts'
import { INSTALLATION } from '../platform/workspace.ts'

const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.ts', import.meta.url))

/** The code of the workflows as they stand. An installation that cannot be written to makes it at each start. */
export async function workflowBundle(
  logger: Logger,
  folder = path.join(INSTALLATION.cacheDir, 'workflows'),
): Promise<{ readonly code: string }> {
  const name = `${await sourcesDigest(INSTALLATION.root)}.js`
  const kept = await readFile(path.join(folder, name), 'utf8').catch(() => undefined)
  if (kept !== undefined) return { code: kept }
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS_PATH, logger })
  await keepOnly(folder, name, code).catch((error: unknown) => {
    logger.warn('the bundle of the workflows is made again at the next start', { error })
  })
  return { code }
}

/** SHA-256 of everything below that root that may get into the bundle, and of the packages that make it. */
export async function sourcesDigest(root: string): Promise<string> {
  const hash = createHash('sha256')
  const names = await readdir(path.join(root, 'src'), { recursive: true })
  const sources = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).sort()
  for (const name of ['package-lock.json', ...sources.map((source) => path.join('src', source))]) {
    const content = await readFile(path.join(root, name))
    hash.update(`${name} ${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}

async function keepOnly(folder: string, name: string, code: string): Promise<void> {
  await writeFileAtomically(path.join(folder, name), code)
  for (const other of await readdir(folder)) {
    if (other.endsWith('.js') && other !== name) await rm(path.join(folder, other), { force: true })
  }
}
