// The dbt of a pipeline: which program, on which project, with which caches; and its manifest and packages.
import { access } from 'node:fs/promises'
import path from 'node:path'
import { discardEvents, runDbt, type DbtInvocation, type DbtPlace, type DbtWatcher } from '../dbt/command.ts'
import { chooseLauncher, type DbtHosts, type LauncherChoice } from '../dbt/launcher.ts'
import { cachedManifest, readManifestFile, type Manifest } from '../dbt/manifest.ts'
import { ensurePackages } from '../dbt/packages/install.ts'
import type { ProfileTarget } from '../dbt/profile.ts'
import { judge } from '../dbt/verdict.ts'
import type { DbtOptions } from '../pipeline/dbt-command.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import type { DbtProject } from '../pipeline/plan.ts'
import type { DbtReport } from '../pipeline/report.ts'
import { secretVariables } from '../platform/environment.ts'
import { knownRedactor, redactor } from '../platform/redaction.ts'
import type { Workspace } from '../platform/workspace.ts'
import { bigQueryPython } from './bigquery-dbt.ts'

/**
 * `executable` is relative to the workspace, null for the dbt that Millrace brings; `python` is of its environment. A
 * BigQuery target has an environment of its own, installed here when it is first needed. Fails with DbtMissing.
 */
export async function dbtPlace(
  { root, stateDir }: Workspace,
  project: Pick<DbtProject, 'projectDir' | 'profilesDir' | 'executable' | 'env'> & {
    readonly launcher?: LauncherChoice
  },
  target: ProfileTarget,
  python: string,
  hosts?: DbtHosts,
): Promise<DbtPlace> {
  const ours = project.executable === null && target.type === 'bigquery' ? await bigQueryPython() : python
  const projectDir = path.resolve(root, project.projectDir)
  const executable =
    project.executable === null ? path.join(path.dirname(ours), 'dbt') : path.resolve(root, project.executable)
  const ownPython = path.join(path.dirname(executable), 'python')
  const hasOwnPython = await access(ownPython).then(
    () => true,
    () => false,
  )
  const secrets = [...target.secrets, ...secretVariables()]
  const cacheName = path.relative(root, projectDir).replaceAll(/[^\w-]+/g, '_') || 'root'
  return {
    target: target.target,
    projectDir,
    profilesDir: path.resolve(root, project.profilesDir),
    partialParseFile: path.join(stateDir, 'cache', 'dbt', `${cacheName}-${target.target}.msgpack`),
    python: hasOwnPython ? ownPython : ours,
    executable,
    ...(project.env === undefined ? {} : { env: project.env }),
    launch: chooseLauncher(project.launcher ?? 'auto', hosts),
    redact: redactor(secrets),
    redactKnown: knownRedactor(secrets),
  }
}

export function selectionCache({ stateDir }: Workspace): string {
  return path.join(stateDir, 'cache', 'selections')
}

/** From the cache, or by `dbt parse`. Fails with DbtProjectInvalid and the other types of a dbt that could not start. */
export async function loadManifest(
  { stateDir }: Workspace,
  place: DbtPlace,
  target: ProfileTarget,
  outputDir: string,
  abort: AbortSignal,
): Promise<Manifest> {
  const origin = {
    projectDir: place.projectDir,
    target,
    executable: place.executable,
    ...(place.env === undefined ? {} : { env: place.env }),
  }
  return await cachedManifest(origin, path.join(stateDir, 'cache', 'manifests'), async () => {
    const command = { command: 'parse', select: [], exclude: [], options: {} } as const
    const evidence = await runDbt({ ...place, command, outputDir, runLabel: 'plan' }, {}, abort)
    abort.throwIfAborted()
    judge(evidence)
    await discardEvents(outputDir)
    return await readManifestFile(outputDir)
  })
}

/**
 * `dbt deps`, where the packages are not what the lock says; a failing one leaves them as they were. Undefined where
 * there was nothing to do. Fails with DbtPackagesFailed.
 */
export async function installDbtPackages(
  place: DbtPlace,
  attempt: Pick<DbtInvocation, 'outputDir' | 'runLabel'>,
  { watcher = {}, options = {} }: { readonly watcher?: DbtWatcher; readonly options?: DbtOptions },
  abort: AbortSignal,
): Promise<DbtReport | undefined> {
  let report: DbtReport | undefined
  const install = async () => {
    const command = { command: 'deps', select: [], exclude: [], options } as const
    const evidence = await runDbt({ ...place, ...attempt, command }, watcher, abort)
    abort.throwIfAborted()
    report = judge(evidence)
    await discardEvents(attempt.outputDir)
  }
  try {
    await ensurePackages(place.projectDir, install, abort)
    return report
  } catch (error) {
    abort.throwIfAborted()
    throw failure(
      'DbtPackagesFailed',
      `the dbt packages of ${path.relative(process.cwd(), place.projectDir) || '.'} could not be installed, and are as they were ` +
        `before (${describeFailure(error).message}); run dbt deps there by hand, or keep the packages beside the project`,
    )
  }
}
