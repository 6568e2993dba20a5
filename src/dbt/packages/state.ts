// Whether a dbt project's packages are there as its lock says.
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { errorCode } from '../../platform/files.ts'
import { findPlaces, putBackAbandoned, type Places } from './aside.ts'
import { packagesAskedFor, packagesIn, readYaml, type AskedFor, type Entry } from './hash.ts'

/**
 * What a project's packages are like: none asked for; all there as the lock says; `missing`, dbt would refuse to parse;
 * `outdated`, dbt would run, but not with what is asked for. `what` says in words what is wrong.
 */
export type PackagesState =
  | { readonly kind: 'none' }
  | { readonly kind: 'satisfied' }
  | { readonly kind: 'missing'; readonly what: readonly string[] }
  | { readonly kind: 'outdated'; readonly what: readonly string[] }

/**
 * Looks at the packages of a project (absolute folder). Writes nothing, but for putting back what a killed
 * installPackages left aside; where another one is at work, the packages are `missing` now. Fails with
 * DbtProjectInvalid where dbt itself could not read the files.
 */
export async function packagesState(projectDir: string): Promise<PackagesState> {
  const places = await findPlaces(projectDir)
  const installer = await putBackAbandoned(places)
  if (installer !== undefined) return { kind: 'missing', what: [`process ${installer} is installing them now`] }
  const asked = await packagesAskedFor(projectDir)
  const lock = await readLock(places.lockFile)
  const installed = await installedFolders(places.packages)
  // dbt goes by the lock wherever it names packages, even when none are asked for any more.
  const expected = lock !== undefined && lock.packages.length > 0 ? lock.packages : asked.entries
  const missing = whatIsMissing(expected, installed, path.basename(places.packages))
  if (missing.length > 0) return { kind: 'missing', what: missing }
  if (expected.length === 0) return { kind: 'none' }
  const outdated = [...whatLockLacks(asked, lock), ...(await whatIsNotAsLocked(lock, installed, places))]
  return outdated.length > 0 ? { kind: 'outdated', what: outdated } : { kind: 'satisfied' }
}

interface Lock {
  readonly packages: readonly Entry[]
  readonly hash: unknown
}

async function readLock(file: string): Promise<Lock | undefined> {
  const lock = await readYaml(file)
  return lock && { packages: packagesIn(lock, file), hash: lock['sha1_hash'] }
}

/** The folders that dbt takes for packages (RuntimeConfig._get_project_directories), by the name it compares. */
async function installedFolders(packages: string): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(packages).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  const folders = new Map<string, string>()
  for (const name of names.filter((each) => !each.startsWith('__')).sort()) {
    const folder = path.join(packages, name)
    // A link whose target is gone is no folder.
    const found = await stat(folder).catch(() => undefined)
    if (found?.isDirectory()) folders.set(path.parse(name).name, folder)
  }
  return folders
}

/** dbt's own test (RuntimeConfig.load_dependencies): it counts, and refuses to parse when the numbers differ. */
function whatIsMissing(expected: readonly Entry[], installed: ReadonlyMap<string, string>, folder: string): string[] {
  if (expected.length === installed.size) return []
  const absent = expected.flatMap(({ name }) =>
    typeof name === 'string' && !installed.has(name) ? [`${name} is not in ${folder}`] : [],
  )
  return absent.length > 0 ? absent : [`dbt expects ${expected.length} packages in ${folder}, it has ${installed.size}`]
}

/** With none asked for, `dbt deps` leaves an old lock as it is: installing again would change nothing. */
function whatLockLacks(asked: AskedFor, lock: Lock | undefined): string[] {
  if (asked.entries.length === 0) return []
  if (lock === undefined) return ['there is no package-lock.yml']
  if (asked.hash === undefined || asked.hash === lock.hash) return []
  return [`${asked.file} has changed since package-lock.yml was made`]
}

/**
 * Locked packages that are not there, or in another version than locked. What counts is the lock of the last
 * installation by us; packages that came otherwise have only their dbt_project.yml to say their version, which many do
 * not keep up to date (dbt_utils 1.3.0 says 0.1.0): those are installed once more, and known from then on.
 */
async function whatIsNotAsLocked(
  lock: Lock | undefined,
  installed: ReadonlyMap<string, string>,
  { packages, installedFrom }: Places,
): Promise<string[]> {
  const last = await readLock(installedFrom)
  const wrong: string[] = []
  for (const entry of lock?.packages ?? []) {
    const name = lockedName(entry)
    const folder = installed.get(name)
    if (folder === undefined) {
      if (entry['name'] !== undefined) wrong.push(`${name} is not in ${path.basename(packages)}`)
    } else if (last !== undefined) {
      if (!last.packages.some((each) => isDeepStrictEqual(each, entry))) {
        wrong.push(`package-lock.yml has another version of ${name} than is installed`)
      }
    } else if (entry['package'] !== undefined) {
      const project: Entry = { version: 'of no version', ...(await readYaml(path.join(folder, 'dbt_project.yml'))) }
      const [is, locked] = [project['version'], entry['version']]
      if (is !== locked) wrong.push(`${name} is ${String(is)}, package-lock.yml says ${String(locked)}`)
    }
  }
  return wrong
}

/** Without a name in the lock, as dbt before 1.8 wrote it, the folder is a guess. */
function lockedName({ name, package: fromHub }: Entry): string {
  if (typeof name === 'string') return name
  return typeof fromHub === 'string' ? path.basename(fromHub) : ''
}
