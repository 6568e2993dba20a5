// A dbt project's packages put aside while others are installed, and back when that fails or is killed.
import { lstatSync } from 'node:fs'
import { access, constants, copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Template } from '@huggingface/jinja'
import { environmentVariable } from '../../platform/environment.ts'
import { errorCode } from '../../platform/files.ts'
import { projectInvalid, readYaml } from './hash.ts'
import { tryAlone } from './mutex.ts'

export interface Places {
  /** dbt's packages folder. */
  readonly packages: string
  readonly lockFile: string
  /** The lock from which we installed the packages; among them, where dbt looks at folders only. */
  readonly installedFrom: string
  /** Holds the former packages and lock while new ones are installed. */
  readonly saved: string
  readonly mutex: string
}

/** Absolute paths. Fails with DbtProjectInvalid. */
export async function findPlaces(projectDir: string): Promise<Places> {
  const packages = path.resolve(projectDir, await packagesInstallPath(path.join(projectDir, 'dbt_project.yml')))
  return {
    packages,
    lockFile: path.join(projectDir, 'package-lock.yml'),
    installedFrom: path.join(packages, 'millrace-installed.yml'),
    saved: `${packages}.millrace-saved`,
    mutex: `${packages}.millrace-lock`,
  }
}

async function packagesInstallPath(file: string): Promise<string> {
  const project = await readYaml(file)
  if (project === undefined) throw projectInvalid(file, 'does not exist')
  const setting = project['packages-install-path'] ?? 'dbt_packages'
  if (typeof setting !== 'string') throw projectInvalid(file, 'has a packages-install-path that is not a text')
  try {
    return new Template(setting).render({ env_var: requiredVariable })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw projectInvalid(file, `has a packages-install-path that cannot be read (${reason})`)
  }
}

function requiredVariable(name: string, fallback?: string): string {
  const value = environmentVariable(name) ?? fallback
  if (value === undefined) throw new Error(`$${name} is not set`)
  return value
}

const POLL_MS = 100

/** Waits until no other process installs here, puts back what a killed one left aside, and runs `work`. */
export async function alone<T>(places: Places, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  await mkdir(path.dirname(places.mutex), { recursive: true })
  for (;;) {
    const turn = await tryAlone(places.mutex, async () => {
      await putBack(places)
      return await work()
    })
    if ('result' in turn) return turn.result
    await pause(POLL_MS, undefined, { signal })
  }
}

/** Puts back what a killed installation left aside. Returns the process that is installing, where one is. */
export async function putBackAbandoned(places: Places): Promise<number | undefined> {
  if (!exists(places.saved)) return undefined
  // On a read-only disk the packages are what they are.
  const refusal = await access(path.dirname(places.saved), constants.W_OK).catch(errorCode)
  if (refusal !== undefined) return undefined
  const turn = await tryAlone(places.mutex, () => putBack(places))
  return 'holder' in turn ? turn.holder : undefined
}

/** A file instead of a folder where there was no packages folder. */
const SAVED_PACKAGES = 'packages'
const SAVED_LOCK = 'package-lock.yml'

/** Runs `install` with the packages aside. To be called within `alone`. */
export async function installAside(places: Places, install: () => Promise<unknown>): Promise<void> {
  const { packages, lockFile, installedFrom, saved } = places
  try {
    await putAside(places)
    await install()
    if (exists(packages) && exists(lockFile)) await copyFile(lockFile, installedFrom)
  } catch (error) {
    await putBack(places)
    throw error
  }
  // Removing a folder can be interrupted, renaming cannot: from here on putBack has nothing to do.
  await rename(path.join(saved, SAVED_PACKAGES), path.join(saved, 'discarded'))
  await rm(saved, { recursive: true })
}

async function putAside({ packages, lockFile, saved }: Places): Promise<void> {
  await mkdir(saved)
  if (exists(lockFile)) await copyFile(lockFile, path.join(saved, SAVED_LOCK))
  // From here on putBack has something to do: the copy of the lock is whole.
  if (exists(packages)) await rename(packages, path.join(saved, SAVED_PACKAGES))
  else await writeFile(path.join(saved, SAVED_PACKAGES), '')
}

/** Undoes putAside and what came after, however far it got; itself repeated from the start when interrupted. */
async function putBack({ packages, lockFile, saved }: Places): Promise<void> {
  const savedPackages = path.join(saved, SAVED_PACKAGES)
  const savedLock = path.join(saved, SAVED_LOCK)
  const former = lstatSync(savedPackages, { throwIfNoEntry: false })
  if (former !== undefined) {
    await rm(packages, { recursive: true, force: true })
    if (exists(savedLock)) await copyFile(savedLock, lockFile)
    else await rm(lockFile, { force: true })
    // The last step: without it, the copy of the lock counts for nothing.
    if (former.isFile()) await rm(savedPackages)
    else await rename(savedPackages, packages)
  }
  await rm(saved, { recursive: true, force: true })
}

/** Throws where it cannot be told: what seems absent would be lost. */
function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
