import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DefaultLogger } from '@temporalio/worker'
import { expect, onTestFinished, test } from 'vitest'
import { sourcesDigest, workflowBundle } from './workflow-bundle.ts'

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bundle-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

const SILENT = new DefaultLogger('ERROR', () => undefined)

test('the bundle is made once, takes the place of an older one, and is read from then on', async () => {
  const folder = await emptyFolder()
  await writeFile(path.join(folder, 'of-older-sources.js'), '')
  const { code } = await workflowBundle(SILENT, folder)
  expect(code.includes('optionsFor')).toBe(true)
  const [name = '', ...others] = await readdir(folder)
  expect([name, others]).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.js$/), []])
  expect(await readFile(path.join(folder, name), 'utf8')).toBe(code)

  await writeFile(path.join(folder, name), 'what is kept')
  expect(await workflowBundle(SILENT, folder)).toEqual({ code: 'what is kept' })
})

test('where it cannot be kept it is made all the same, and that is said', async () => {
  const folder = path.join(await emptyFolder(), 'a-file')
  await writeFile(folder, '')
  const said: string[] = []
  const logger = new DefaultLogger('WARN', ({ message }) => said.push(message))
  expect((await workflowBundle(logger, folder)).code.includes('optionsFor')).toBe(true)
  expect(said).toEqual(['the bundle of the workflows is made again at the next start'])
})

test('other sources, other names of sources and other packages are another digest; tests are not', async () => {
  const root = await emptyFolder()
  await mkdir(path.join(root, 'src', 'workflows'), { recursive: true })
  const write = (name: string, text: string) => writeFile(path.join(root, name), text)
  await write('package-lock.json', '{}')
  await write('src/workflows/index.ts', 'one')
  await write('src/plan.ts', 'two')
  const digests = [await sourcesDigest(root)]
  await write('src/plan.test.ts', 'a test')
  expect(await sourcesDigest(root)).toBe(digests[0])

  await write('src/plan.ts', 'three')
  digests.push(await sourcesDigest(root))
  await rename(path.join(root, 'src/plan.ts'), path.join(root, 'src/workflows/plan.ts'))
  digests.push(await sourcesDigest(root))
  await write('package-lock.json', '{ }')
  digests.push(await sourcesDigest(root))
  expect(new Set(digests).size).toBe(4)
})
