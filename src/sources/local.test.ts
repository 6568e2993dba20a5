// Files of the workspace are found by patterns, and opened safely or refused with what to do. On real files.
import { appendFile, link, mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runShort } from '../platform/subprocess.ts'
import { findLocalFiles, openLocalFile } from './local.ts'

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

async function opened(relativePath: string, root = workspace, inbox?: string) {
  const file = await openLocalFile(root, relativePath, inbox)
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

  test('a device, without reading it', async () => {
    // No user but root can make one below a folder; what stands under /dev is one for sure.
    await expect(openLocalFile('/dev', 'zero')).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(notRegular),
    })
  })

  test('a link that leads to itself', async () => {
    await symlink('loop.csv', path.join(workspace, 'inbox/loop.csv'))

    await expect(opened('inbox/loop.csv')).rejects.toMatchObject({
      type: 'FileRefused',
      message: 'inbox/loop.csv is a link that leads to itself',
    })
  })

  test.each([
    ['a file beside its inbox', 'other/real.csv', 'inbox'],
    ['a path that goes up out of it', 'inbox/../other/real.csv', 'inbox'],
    ['a folder whose name only begins like it', 'inbox-2/real.csv', 'inbox'],
    ['a file above it', 'inbox/real.csv', 'inbox/deeper'],
  ])('%s', async (_what, relativePath, inbox) => {
    for (const folder of ['other', 'inbox-2', 'inbox/deeper']) {
      await mkdir(path.join(workspace, folder), { recursive: true })
      await writeFile(path.join(workspace, folder, 'real.csv'), 'a\n')
    }

    await expect(opened(relativePath, workspace, inbox)).rejects.toMatchObject({
      type: 'FileRefused',
      message: `${relativePath} leads out of its inbox ${inbox}; put the file itself there`,
    })
    expect(await opened('inbox/deeper/real.csv', workspace, 'inbox')).toMatchObject({ sizeBytes: 2 })
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

describe('a pattern finds', () => {
  let root = ''
  const FILES = [
    'in/a-2026-01-01.csv',
    'in/a-2026-01-02.csv',
    'in/b.csv',
    'in/.hidden.csv',
    'in/[1].csv',
    'in/1.csv',
    'in/(2)+{3}^$|.csv',
    'in/x.csv.gz',
    'in/xacsv',
    'in/B.csv',
    'in/é.csv',
    'in/Z.csv',
    'in/😀.csv',
    'in/ｆ.csv',
    'in/line\nend.csv',
    'in/back\\slash.csv',
    'day=1/north/a.csv',
    'day=1/south/a.csv',
    'day=2/north/a.csv',
    'day=2/north/b.txt',
    '.git/north/a.csv',
  ]
  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'millrace-find-'))
    for (const file of FILES) {
      await mkdir(path.dirname(path.join(root, file)), { recursive: true })
      await writeFile(path.join(root, file), '')
    }
    await mkdir(path.join(root, 'in/folder.csv'))
    await writeFile(path.join(root, 'plain'), '')
  })
  afterAll(() => rm(root, { recursive: true }))

  test.each<[string, string, string[]]>([
    ['the file itself', 'in/b.csv', ['in/b.csv']],
    ['nothing where there is none', 'in/c.csv', []],
    ['nothing in a folder that there is not', 'out/*.csv', []],
    ['nothing below what is no folder', 'plain/*.csv', []],
    ['nothing below what is no folder, without a wildcard', 'plain/a.csv', []],
    ['several files by *', 'in/a-*.csv', ['in/a-2026-01-01.csv', 'in/a-2026-01-02.csv']],
    [
      'one character by ?',
      'in/?.csv',
      ['in/1.csv', 'in/B.csv', 'in/Z.csv', 'in/b.csv', 'in/é.csv', 'in/ｆ.csv', 'in/😀.csv'],
    ],
    ['a dot as a dot', 'in/x?csv', ['in/xacsv']],
    ['brackets as brackets', 'in/[*].csv', ['in/[1].csv']],
    ['brackets as brackets, without a wildcard', 'in/[1].csv', ['in/[1].csv']],
    ['other special characters as themselves', 'in/(2)+{3}^$|.c*', ['in/(2)+{3}^$|.csv']],
    ['backslashes as themselves', 'in/back\\*', ['in/back\\slash.csv']],
    ['names with a line end', 'in/line*', ['in/line\nend.csv']],
    ['hidden files only where the pattern begins with a dot', 'in/.*.csv', ['in/.hidden.csv']],
    ['files in folders by wildcards, but in no hidden one', '*/n*/*.csv', ['day=1/north/a.csv', 'day=2/north/a.csv']],
    ['a fixed name in folders by wildcards', 'day=?/south/a.csv', ['day=1/south/a.csv']],
    [
      'the same by a path that goes up and comes back',
      'in/../day=1/*/a.csv',
      ['day=1/north/a.csv', 'day=1/south/a.csv'],
    ],
    ['nothing where a folder is named with two stars but files lie deeper', '**/a.csv', []],
  ])('%s', async (_what, pattern, found) => {
    expect(await findLocalFiles(root, pattern)).toEqual(found)
  })

  test('files in the order of their bytes, folders among them', async () => {
    const found = await findLocalFiles(root, 'in/*.csv')

    const names = [...FILES.filter((file) => /^in\/[^.].*\.csv$/s.test(file)), 'in/folder.csv']
    expect(found).toEqual(names.sort((a, b) => Buffer.from(a).compare(Buffer.from(b))))
    expect(found.indexOf('in/ｆ.csv')).toBeLessThan(found.indexOf('in/😀.csv'))
  })
})
