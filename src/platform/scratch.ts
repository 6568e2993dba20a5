// Folders for files that end with the work that made them; a killed process leaves its own behind, the next start clears them.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isAlive } from './subprocess.ts'

/** A new folder below the workspace's state; whoever asked for it removes it. */
export async function makeScratchDir(stateDir: string): Promise<string> {
  const parent = scratchRoot(stateDir)
  await mkdir(parent, { recursive: true })
  return await mkdtemp(path.join(parent, `${process.pid}-`))
}

/** Removes the folders of processes that are gone; to be called before this process makes one. */
export async function clearAbandonedScratch(stateDir: string): Promise<void> {
  const parent = scratchRoot(stateDir)
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1])
    // Our own number, too: in a container every worker gets the same one.
    if (!Number.isInteger(pid) || (pid !== process.pid && isAlive(pid))) continue
    await rm(path.join(parent, name), { recursive: true, force: true })
  }
}

function scratchRoot(stateDir: string): string {
  return path.join(stateDir, 'scratch')
}
