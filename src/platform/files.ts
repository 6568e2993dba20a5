// Files written so that a reader never meets half of one, and errors of the file system in words.
import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
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
    throw asDiskFailure(error, file)
  }
}

/** A full disk becomes DiskFull, anything else stays what it is. */
export function asDiskFailure(error: unknown, what: string): unknown {
  if (errorCode(error) !== 'ENOSPC' && errorCode(error) !== 'EDQUOT') return error
  return failure('DiskFull', `no space left on the disk while writing ${what}; free some and start the run again`)
}

/** Node's error code (ENOENT, EACCES, …) of a system error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
