// A file of the workspace is opened safely, or refused with what to do. On real files.
import { appendFile, link, mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runShort } from '../platform/subprocess.ts'
import { openLocalFile } from './local.ts'

let folder = ''
let workspace = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-local-'))
  workspace = path.join(folder, 'workspace')
  await mkdir(path.join(workspace, 'inbox'), { recursive: true })
  await writeFile(path.join(folder, 'outside.csv'), 'secret\n')
  await writeFile(path.join(workspace, 'inbox', 'real.csv'), 'a\n1\n')
})
afterAll(() => rm(folder, { recursive: true }))

async function opened(relativePath: string, root = workspace) {
  const file = await openLocalFile(root, relativePath)
  await file.handle.close()
  return file
}

describe('a regular file is opened', () => {
  test('by its path in the workspace, with its size', async () => {
    expect(await opened('inbox/real.csv')).toMatchObject({ path: path.join(workspace, 'inbox/real.csv'), sizeBytes: 4 })
  })

  test('by a path that goes up and comes back', async () => {
    expect(await opened('inbox/../inbox/real.csv')).toMatchObject({ sizeBytes: 4 })
  })

  test('in a workspace that is itself reached through a link', async () => {
    await symlink(workspace, path.join(folder, 'linked'))

    expect(await opened('inbox/real.csv', path.join(folder, 'linked'))).toMatchObject({
      path: path.join(workspace, 'inbox/real.csv'),
    })
  })

  test('also when another name leads to the same bytes', async () => {
    await link(path.join(workspace, 'inbox/real.csv'), path.join(workspace, 'inbox/hard.csv'))

    expect(await opened('inbox/hard.csv')).toMatchObject({ sizeBytes: 4 })
  })
})

test.each(['inbox/missing.csv', 'no/such/folder.csv', '../missing.csv'])('%s is missing', async (relativePath) => {
  await expect(opened(relativePath)).rejects.toMatchObject({
    type: 'FileMissing',
    message: `${relativePath} does not exist; put the file there, or start the run for another date`,
  })
})

describe('refused:', () => {
  const leadsOut = /leads out of the workspace or through a link; put the file itself there$/
  const notRegular = /is not a regular file; put a CSV file there$/

  test.each([
    ['a path out of the workspace', '../outside.csv'],
    ['an absolute path', '/etc/passwd'],
    ['the workspace itself', '.'],
  ])('%s', async (_what, relativePath) => {
    await expect(opened(relativePath)).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(leadsOut),
    })
  })

  test.each([
    ['a link out of the workspace', '../../outside.csv'],
    ['a link to a file beside it', 'real.csv'],
  ])('%s', async (_what, to) => {
    await rm(path.join(workspace, 'inbox/link.csv'), { force: true })
    await symlink(to, path.join(workspace, 'inbox/link.csv'))

    await expect(opened('inbox/link.csv')).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(leadsOut),
    })
  })

  test('a file in a folder that is a link', async () => {
    await symlink('inbox', path.join(workspace, 'linked'))

    await expect(opened('linked/real.csv')).rejects.toMatchObject({ type: 'FileRefused' })
  })

  test('a folder', async () => {
    await expect(opened('inbox')).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(notRegular),
    })
  })

  test('a pipe, without waiting for somebody to write to it', async () => {
    await runShort({ file: 'mkfifo', args: ['inbox/pipe.csv'], cwd: workspace, env: {}, input: '' })

    await expect(opened('inbox/pipe.csv')).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(notRegular),
    })
  })
})

describe('a file that was written to since it was opened is noticed', () => {
  test.each<[string, (file: string) => Promise<void>]>([
    ['when it grew', (file) => appendFile(file, '2\n')],
    ['when it shrank', (file) => truncate(file, 2)],
    ['when it was overwritten with as many bytes, later', (file) => utimes(file, new Date(), new Date(0))],
  ])('%s', async (_how, change) => {
    await writeFile(path.join(workspace, 'inbox/busy.csv'), 'a\n1\n')
    const file = await openLocalFile(workspace, 'inbox/busy.csv')
    await expect(file.assertUnchanged()).resolves.toBeUndefined()

    await change(file.path)

    await expect(file.assertUnchanged()).rejects.toMatchObject({
      type: 'FileChanged',
      message: expect.stringContaining('inbox/busy.csv was still being written'),
    })
    await file.handle.close()
  })
})
