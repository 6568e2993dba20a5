// `dbt deps` run so that a failing or killed one loses nothing, and only where it is needed.
import { alone, findPlaces, installAside } from './aside.ts'
import { packagesState, type PackagesState } from './state.ts'

/**
 * Runs `install` (a `dbt deps`, which empties the packages folder before it knows that it can fill it) with the packages
 * folder put aside and package-lock.yml copied: both are as before when it throws, or when this process is killed and
 * packagesState or installPackages is called again. The lock itself stays, because dbt installs the versions it names.
 *
 * One at a time for a packages folder, over all processes of this machine. It runs `install` whatever the state is: a
 * caller that may have had to wait looks at the state again, as ensurePackages does.
 */
export async function installPackages(
  projectDir: string,
  install: () => Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  const places = await findPlaces(projectDir)
  await alone(places, () => installAside(places, install), signal)
}

/**
 * Runs `install` as installPackages does, but only when the packages are missing or outdated, also after waiting for
 * another one. Returns the state that was found: `missing` or `outdated` means that `install` has been run.
 */
export async function ensurePackages(
  projectDir: string,
  install: () => Promise<unknown>,
  signal?: AbortSignal,
): Promise<PackagesState> {
  const found = await packagesState(projectDir)
  if (isUsable(found)) return found
  const places = await findPlaces(projectDir)
  const ensure = async () => {
    const now = await packagesState(projectDir)
    if (!isUsable(now)) await installAside(places, install)
    return now
  }
  return await alone(places, ensure, signal)
}

function isUsable({ kind }: PackagesState): boolean {
  return kind === 'none' || kind === 'satisfied'
}
