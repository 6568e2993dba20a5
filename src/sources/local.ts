// Files of the workspace: found by their pattern, and opened safely (regular, not reached through a link, unchanged).
import { lstat, open, readdir, realpath, stat, type FileHandle } from 'node:fs/promises'
import { constants } from 'node:fs'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import { errorCode } from '../platform/files.ts'

export interface OpenFile {
  /** Absolute, links resolved. */
  readonly path: string
  readonly sizeBytes: number
  readonly handle: FileHandle
  /** Fails with FileChanged when the file was written to since it was opened. */
  assertUnchanged(): Promise<void>
}

/**
 * The files of a pattern below the workspace, sorted by the bytes of their paths. `*` and `?` match within a name, and a
 * leading dot only where the pattern has one. A pattern without them is the file itself, where it exists.
 */
export async function findLocalFiles(workspaceRoot: string, pattern: string): Promise<string[]> {
  let found = ['']
  for (const part of path.posix.normalize(pattern).split('/')) {
    const next = await Promise.all(found.map((folder) => matching(workspaceRoot, folder, part)))
    found = next.flat()
  }
  return found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

async function matching(root: string, folder: string, part: string): Promise<string[]> {
  const below = (name: string) => (folder === '' ? name : `${folder}/${name}`)
  if (!/[*?]/.test(part)) {
    const there = await stat(path.resolve(root, below(part))).catch((error: unknown) => errorCode(error))
    return there === 'ENOENT' || there === 'ENOTDIR' ? [] : [below(part)]
  }
  const regular = part.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
  const shape = new RegExp(`^${regular.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su')
  const names = await readdir(path.resolve(root, folder)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    throw error
  })
  return names.filter((name) => shape.test(name) && name.startsWith('.') === part.startsWith('.')).map(below)
}

/**
 * Opens a file below the workspace. Fails with FileMissing, or FileRefused for a link, a folder, a device, or a path
 * that leads out of the workspace or of the inbox (a folder below it). The caller closes the handle.
 */
export async function openLocalFile(workspaceRoot: string, relativePath: string, inbox = '.'): Promise<OpenFile> {
  const absolute = path.resolve(workspaceRoot, relativePath)
  const resolved = await resolve(absolute, relativePath)
  const root = await realpath(workspaceRoot)
  const expected = path.join(root, path.relative(path.resolve(workspaceRoot), absolute))
  if (resolved !== expected || !resolved.startsWith(root + path.sep)) {
    throw failure(
      'FileRefused',
      `${relativePath} leads out of the workspace or through a link; put the file itself there`,
    )
  }
  if (inbox !== '.' && !resolved.startsWith(path.join(root, inbox) + path.sep)) {
    throw failure('FileRefused', `${relativePath} leads out of its inbox ${inbox}; put the file itself there`)
  }
  // Looked at before it is opened: opening a pipe or a device can disturb whoever is behind it.
  if (!(await lstat(resolved)).isFile()) throw notRegular(relativePath)
  const handle = await open(resolved, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const atOpen = await handle.stat({ bigint: true })
    if (!atOpen.isFile()) throw notRegular(relativePath)
    return {
      path: resolved,
      sizeBytes: Number(atOpen.size),
      handle,
      async assertUnchanged() {
        const now = await handle.stat({ bigint: true })
        if (now.size !== atOpen.size || now.mtimeNs !== atOpen.mtimeNs) {
          throw failure(
            'FileChanged',
            `${relativePath} was still being written while it was read; it will be read again`,
          )
        }
      },
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function notRegular(relativePath: string) {
  return failure('FileRefused', `${relativePath} is not a regular file; put a CSV file there`)
}

async function resolve(absolute: string, relativePath: string): Promise<string> {
  try {
    return await realpath(absolute)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ELOOP') throw failure('FileRefused', `${relativePath} is a link that leads to itself`)
    if (code === 'EACCES')
      throw failure('FileRefused', `${relativePath} may not be read by this user; change its permissions`)
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ENAMETOOLONG') throw error
    throw failure(
      'FileMissing',
      `${relativePath} does not exist; put the file there, or start the run for another date`,
    )
  }
}
