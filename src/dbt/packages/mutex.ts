// One at a time, over all processes of this machine; a killed one keeps nobody out.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from '../../platform/files.ts'
import { isAlive } from '../../platform/subprocess.ts'

/** Names this process in a mutex: another one with our number was left by a predecessor. */
const OURS = `${process.pid}-${randomBytes(4).toString('hex')}`

/** Runs `work` while holding the mutex (a path for a folder); or says which living process holds it, at once. */
export async function tryAlone<T>(
  mutex: string,
  work: () => Promise<T>,
): Promise<{ readonly holder: number } | { readonly result: T }> {
  const holder = await takeMutex(mutex)
  if (holder !== undefined) return { holder }
  try {
    return { result: await work() }
  } finally {
    await releaseMutex(mutex)
  }
}

/**
 * The mutex is a folder with one file, which names the process. It comes about whole, by renaming a folder onto it,
 * which the system refuses when one with a file in it is there. An abandoned one is taken over by removing exactly that
 * file: of two who try, only one then succeeds in renaming. Returns who holds it instead.
 */
async function takeMutex(mutex: string): Promise<number | undefined> {
  for (;;) {
    const holder = await liveHolder(mutex)
    if (holder !== undefined) return holder
    const prepared = await mkdtemp(`${mutex}.`)
    try {
      await writeFile(path.join(prepared, OURS), '')
      await rename(prepared, mutex)
      return undefined
    } catch (error) {
      await rm(prepared, { recursive: true, force: true })
      if (!isTaken(error)) throw error
    }
  }
}

/** The living process that holds the mutex; what dead ones left in it is removed. */
async function liveHolder(mutex: string): Promise<number | undefined> {
  const names = await readdir(mutex).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) {
    const pid = Number(name.split('-')[0])
    if (pid === process.pid ? name === OURS : isAlive(pid)) return pid
    await rm(path.join(mutex, name), { force: true })
  }
  return undefined
}

async function releaseMutex(mutex: string): Promise<void> {
  await rm(path.join(mutex, OURS), { force: true })
  await rmdir(mutex).catch((error: unknown) => {
    // Somebody else has it by now, or has had it.
    if (!isTaken(error) && errorCode(error) !== 'ENOENT') throw error
  })
}

function isTaken(error: unknown): boolean {
  return errorCode(error) === 'ENOTEMPTY' || errorCode(error) === 'EEXIST'
}
