// A file of the workspace, opened safely: a regular file, not reached through a link, the same from open to close.
import { open, realpath, type FileHandle } from 'node:fs/promises'
import { constants } from 'node:fs'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import { errorCode } from '../platform/files.ts'

export interface OpenFile {
  /** Absolute. */
  readonly path: string
  readonly sizeBytes: number
  readonly handle: FileHandle
  /** Fails with FileChanged when the file was written to since it was opened. */
  assertUnchanged(): Promise<void>
}

/**
 * Opens a file below the workspace. Fails with FileMissing, or FileRefused for a link, a folder, a device, or a path
 * that leads out of the workspace. The caller closes the handle.
 */
export async function openLocalFile(workspaceRoot: string, relativePath: string): Promise<OpenFile> {
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
  const handle = await open(resolved, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const atOpen = await handle.stat({ bigint: true })
    if (!atOpen.isFile()) throw failure('FileRefused', `${relativePath} is not a regular file; put a CSV file there`)
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
