// Resolves a pipeline for one run: request, profile, manifest, contracts. Used by planRun, `check` and `--dry-run`.
import path from 'node:path'
import { dialectOf, type IngestDefinition, type PipelineDefinition } from '../pipeline/definition.ts'
import type { IngestEntry, Plan, PlannedStep, RunRequest } from '../pipeline/plan.ts'
import type { DbtPlace } from '../dbt/command.ts'
import type { Manifest } from '../dbt/manifest.ts'
import type { DbtHosts } from '../dbt/launcher.ts'
import { refuseProfileVariables } from '../dbt/profile-variables.ts'
import { packagesState } from '../dbt/packages/state.ts'
import { profileLocation } from '../dbt/profile-location.ts'
import { readProfileTarget, type ProfileTarget } from '../dbt/profile.ts'
import { emptySelections, type EmptySelection } from '../dbt/selection.ts'
import { resolveContract } from '../ingest/contract.ts'
import { planAlerts } from '../pipeline/alerts.ts'
import { parseByteSize } from '../pipeline/byte-size.ts'
import { httpName, httpTexts, planHttp } from '../pipeline/http-source.ts'
import { durationMs } from '../pipeline/duration.ts'
import type { LeaseOf } from '../pipeline/lease.ts'
import { mergedEnv } from '../pipeline/dbt-env.ts'
import { dbtCommandOf } from '../pipeline/dbt-step.ts'
import { parseTableName, type TableName } from '../pipeline/identifier.ts'
import { DEFAULT_POLICIES } from '../pipeline/policies.ts'
import { plannedRefreshLog } from '../pipeline/refresh-log.ts'
import {
  entryId,
  fillIn,
  placeholders,
  resolveRequest,
  valuesOf,
  type ChosenStep,
  type ResolvedRequest,
} from '../pipeline/request.ts'
import { warmWorkOf } from '../pipeline/warm-step.ts'
import type { Workspace } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import type { WarehouseAddress } from '../warehouses/warehouse.ts'
import { dbtPlace, installDbtPackages, loadManifest, selectionCache } from './dbt-place.ts'
import { planMarts, planPublish } from './plan-marts.ts'

/** What planning needs to know of its surroundings. */
export interface PlanningPlace {
  readonly workspace: Workspace
  /** Of the environment that holds the dbt that Millrace brings. */
  readonly python: string
  /** For what dbt writes while it parses. */
  readonly outputDir: string
  /** A worker's. */
  readonly dbtHosts?: DbtHosts
}

/** A plan without what only a worker knows: the task queues, what the server can do, what is taken over. */
export interface DraftPlan {
  readonly plan: Omit<Plan, 'warehouse' | 'searchAttributes' | 'obstacle' | 'takeOver' | 'lease'> & {
    readonly lease: LeaseOf
  }
  readonly address: WarehouseAddress
  readonly target: ProfileTarget
  readonly manifest: Manifest
  /** What dbt steps ask for in vain, by the step's index. */
  readonly emptySelections: readonly EmptySelection[]
}

/**
 * Fails with RequestInvalid, TargetUnknown, ProfileMissing, ProfileInvalid, DbtProjectInvalid, DbtPackagesFailed,
 * ContractUnknown or MartUnknown, before anything is done.
 */
export async function makePlan(
  definition: PipelineDefinition,
  request: RunRequest,
  runTimeMs: number,
  place: PlanningPlace,
  abort: AbortSignal,
): Promise<DraftPlan> {
  const resolved = resolveRequest(definition, request, runTimeMs)
  const { root } = place.workspace
  const location = profileLocation(definition, root)
  const target = await readProfileTarget(location, request.target)
  const address = warehouseAddress(target, location.projectDir)
  const executable = definition.dbt.executable ?? null
  const { launcher } = definition.dbt
  const dbtSteps = definition.steps.flatMap((step) => step.dbt ?? [])
  const env = mergedEnv(dbtSteps, (text) => fillIn(text, resolved.params))
  await refuseProfileVariables(target.profilesDir, Object.keys(env))
  const given = Object.keys(env).length === 0 ? {} : { env }
  const dbt = await dbtPlace(
    place.workspace,
    { ...location, profilesDir: target.profilesDir, executable, launcher, ...given },
    target,
    place.python,
    place.dbtHosts,
  )
  await ensureInstalled(dbt, place.outputDir, abort)
  const manifest = await loadManifest(place.workspace, dbt, target, place.outputDir, abort)
  const alerts = planAlerts(definition.alerts)
  const steps = resolved.steps.map((chosen) => planStep(chosen, resolved, manifest, target.target))
  return {
    plan: {
      pipeline: definition.name,
      description: definition.description,
      target: target.target,
      logicalDate: resolved.logicalDate,
      runTime: new Date(runTimeMs).toISOString(),
      params: resolved.params,
      lease: { lock: definition.lock ?? definition.name, target: target.target },
      dbt: {
        projectDir: path.relative(root, location.projectDir),
        profilesDir: path.relative(root, target.profilesDir),
        executable,
        ...given,
        digest: manifest.digest,
        nodeBars: definition.dbt.node_bars,
        ...(launcher === 'auto' ? {} : { launcher }),
        marts: steps.flatMap((step) => (step.kind === 'validate' ? step.marts.map(({ mart }) => mart) : [])),
      },
      steps,
      ...plannedRefreshLog(definition.refresh_log),
      ...(alerts === undefined ? {} : { alerts }),
      bigquery: {
        stagingBucket: definition.bigquery.staging_bucket ?? null,
        maxBytesBilled: definition.bigquery.max_bytes_billed
          ? parseByteSize(definition.bigquery.max_bytes_billed)
          : null,
      },
      timeoutMs: durationMs(definition.timeout),
      policies: { ...DEFAULT_POLICIES, ...request.policies },
    },
    address,
    target,
    manifest,
    emptySelections: await findEmptySelections(steps, place, dbt, manifest, abort),
  }
}

/** Only where dbt would refuse to parse: packages that are there in other versions are the project's own business. */
async function ensureInstalled(dbt: DbtPlace, outputDir: string, abort: AbortSignal): Promise<void> {
  const { kind } = await packagesState(dbt.projectDir)
  if (kind === 'missing') await installDbtPackages(dbt, { outputDir, runLabel: 'plan' }, {}, abort)
}

async function findEmptySelections(
  steps: readonly PlannedStep[],
  { workspace, outputDir }: PlanningPlace,
  dbt: DbtPlace,
  manifest: Manifest,
  abort: AbortSignal,
): Promise<EmptySelection[]> {
  const asked = steps.flatMap((step, index) => (step.kind === 'dbt' && !step.skipped ? { step, index } : []))
  const found = await emptySelections(
    { ...dbt, outputDir, cacheDir: selectionCache(workspace), abort },
    manifest,
    asked.map(({ step }) => step),
  )
  return found.map(({ index, message }) => ({ index: asked[index]?.index ?? 0, message }))
}

function planStep(chosen: ChosenStep, resolved: ResolvedRequest, manifest: Manifest, targetName: string): PlannedStep {
  const { id, definition, skipped } = chosen
  const base = { id, onFailure: definition.on_failure, skipped }
  if (definition.ingest !== undefined) {
    const entries = definition.ingest.flatMap((entry) => planEntries(entry, resolved, manifest))
    return { ...base, kind: 'ingest', entries }
  }
  if (definition.dbt !== undefined) {
    const { retries, retry_delay, retry_tests, timeout } = definition.dbt
    return {
      ...base,
      kind: 'dbt',
      ...dbtCommandOf(definition.dbt, (text) => fillIn(text, resolved.params)),
      retries,
      retryDelayMs: retry_delay === undefined ? null : durationMs(retry_delay),
      retryTests: retry_tests,
      timeoutMs: durationMs(timeout),
    }
  }
  if (definition.validate !== undefined) {
    return { ...base, kind: 'validate', marts: planMarts(definition.validate, manifest) }
  }
  if (definition.warm !== undefined) {
    return { ...base, onFailure: 'warn', kind: 'warm', ...warmWorkOf(definition.warm) }
  }
  return planPublish(chosen, resolved, manifest, targetName)
}

/** One, or one for each value of its `for_each`. */
export function planEntries(entry: IngestDefinition, { params }: ResolvedRequest, manifest: Manifest): IngestEntry[] {
  const param = entry.for_each
  if (param === undefined) return [planEntry(entry, params, manifest)]
  return valuesOf(params[param] ?? '').map((forEach) => ({
    ...planEntry(entry, { ...params, [param]: forEach }, manifest),
    forEach,
  }))
}

function planEntry(entry: IngestDefinition, params: ResolvedRequest['params'], manifest: Manifest): IngestEntry {
  const into = parseTableName(entry.into) as TableName // the schema has checked its form
  const fill = (text: string) => fillIn(text, params)
  const http = entry.http && planHttp(entry.http, fill)
  const files = entry.files ?? ''
  const texts = [files, ...(entry.http ? httpTexts(entry.http) : []), ...Object.values(entry.add).map(String)]
  return {
    id: entryId(entry),
    into,
    files: http === undefined ? fill(files) : httpName(http),
    ...(http === undefined ? {} : { http }),
    inbox: inboxOf(files),
    missing: entry.missing,
    waitForMs: durationMs(entry.wait_for),
    mode: entry.mode,
    params: pickParams(params, texts.flatMap(placeholders)),
    maxRejectShare: entry.rejects.max_share,
    maxRejects: entry.rejects.max_rows ?? null,
    ...resolveContract(entry, into, manifest, fill),
    dialect: dialectOf(entry.dialect),
    timeZone: entry.time_zone,
  }
}

/** The folder that `files` names before its first param or wildcard: nothing is read outside of it. */
function inboxOf(files: string): string {
  return path.posix.dirname(files.split(/[*?{]/)[0]?.concat('x') ?? '')
}

function pickParams(params: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => names.includes(name)))
}
