// Files written so that a reader never meets half of one, and errors of the file system in words.
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { ApplicationFailure } from '@temporalio/common'
import { failure } from '../pipeline/failure.ts'

/** Writes beside the target and renames: the file is the old one or the new one, never a part. */
export async function writeFileAtomically(file: string, data: string | Uint8Array): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, data)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** The content of a JSON file that we wrote; undefined when it is not there. */
export async function readJsonFile<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T // our own file
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The last bytes of a file, as text; what stands before them is not read. */
export async function readTail(file: string, bytes: number): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(Math.min(size, bytes)),
      0,
      Math.min(size, bytes),
      Math.max(0, size - bytes),
    )
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** DiskFull for an error of a full disk, wherever it was met; undefined for any other. */
export function diskFailure(error: unknown): ApplicationFailure | undefined {
  if (errorCode(error) !== 'ENOSPC' && errorCode(error) !== 'EDQUOT') return undefined
  const { dest, path: file } = error as NodeJS.ErrnoException & { dest?: string }
  return failure(
    'DiskFull',
    `no space left on the disk for ${dest ?? file ?? 'a file'}; free some and start the run again`,
  )
}

/** Node's error code (ENOENT, EACCES, …) of a system error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
