// Resolves a pipeline for one run: request, profile, manifest, contracts. Used by planRun, `check` and `--dry-run`.
import path from 'node:path'
import { dialectOf, type IngestDefinition, type PipelineDefinition } from '../pipeline/definition.ts'
import type { DbtProject, IngestEntry, MartCheck, Plan, PlannedStep, RunRequest } from '../pipeline/plan.ts'
import { runDbt } from '../dbt/command.ts'
import { cachedManifest, findMart, martNames, readManifestFile, type Manifest } from '../dbt/manifest.ts'
import { readProfileTarget, type ProfileTarget } from '../dbt/profile.ts'
import { judgeParse } from '../dbt/verdict.ts'
import { resolveContract } from '../ingest/contract.ts'
import { durationMs } from '../pipeline/duration.ts'
import { failure } from '../pipeline/failure.ts'
import { parseTableName, type TableName } from '../pipeline/identifier.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { DEFAULT_POLICIES } from '../pipeline/policies.ts'
import {
  entryId,
  fillIn,
  placeholders,
  resolveRequest,
  type ChosenStep,
  type ResolvedRequest,
} from '../pipeline/request.ts'
import { redactor } from '../platform/redaction.ts'
import type { Workspace } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import type { WarehouseAddress } from '../warehouses/warehouse.ts'

/** What planning needs to know of its surroundings. */
export interface PlanningPlace {
  readonly workspace: Workspace
  readonly python: string
  /** For what dbt writes while it parses. */
  readonly outputDir: string
}

/** A plan without what only a worker knows: the warehouse's task queue and what the server can do. */
export interface DraftPlan {
  readonly plan: Omit<Plan, 'warehouse' | 'searchAttributes' | 'obstacle'>
  readonly address: WarehouseAddress
  readonly target: ProfileTarget
  readonly manifest: Manifest
}

/**
 * Fails with RequestInvalid, TargetUnknown, ProfileMissing, ProfileInvalid, DbtProjectInvalid, ContractUnknown or
 * MartUnknown, before anything is done.
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
  const projectDir = path.resolve(root, definition.dbt.project_dir)
  const target = await readProfileTarget(profileLocation(definition, root), request.target)
  const address = warehouseAddress(target, projectDir)
  const manifest = await loadManifest(projectDir, target, place, abort)
  const dbt: DbtProject = {
    projectDir: path.relative(root, projectDir),
    profilesDir: path.relative(root, target.profilesDir),
  }
  return {
    plan: {
      pipeline: definition.name,
      description: definition.description,
      target: target.target,
      logicalDate: resolved.logicalDate,
      params: resolved.params,
      dbt,
      steps: resolved.steps.map((chosen) => planStep(chosen, resolved, manifest)),
      ...(definition.refresh_log === undefined ? {} : { refreshLog: definition.refresh_log }),
      timeoutMs: durationMs(definition.timeout),
      policies: { ...DEFAULT_POLICIES, ...request.policies },
    },
    address,
    target,
    manifest,
  }
}

/** Where the pipeline's profile is looked for; absolute folders. */
export function profileLocation(definition: PipelineDefinition, root: string) {
  const { project_dir, profiles_dir } = definition.dbt
  return {
    projectDir: path.resolve(root, project_dir),
    ...(profiles_dir === undefined ? {} : { profilesDir: path.resolve(root, profiles_dir) }),
  }
}

/** dbt's parse cache of a project and target, shared by all its commands. */
export function partialParseFile(workspace: Workspace, projectDir: string, target: string): string {
  const project = path.relative(workspace.root, projectDir).replaceAll(/[^\w-]+/g, '_') || 'root'
  return path.join(workspace.stateDir, 'cache', 'dbt', `${project}-${target}.msgpack`)
}

function loadManifest(
  projectDir: string,
  target: ProfileTarget,
  { workspace, python, outputDir }: PlanningPlace,
  abort: AbortSignal,
): Promise<Manifest> {
  return cachedManifest(projectDir, target, path.join(workspace.stateDir, 'cache', 'manifests'), async () => {
    const evidence = await runDbt(
      {
        command: 'parse',
        select: [],
        exclude: [],
        target: target.target,
        projectDir,
        profilesDir: target.profilesDir,
        outputDir,
        partialParseFile: partialParseFile(workspace, projectDir, target.target),
        python,
        runLabel: 'plan',
        redact: redactor(target.secrets),
      },
      () => undefined,
      abort,
    )
    judgeParse(evidence)
    return await readManifestFile(outputDir)
  })
}

function planStep({ id, definition, skipped }: ChosenStep, resolved: ResolvedRequest, manifest: Manifest): PlannedStep {
  const base = { id, onFailure: definition.on_failure, skipped }
  if (definition.ingest !== undefined) {
    const entries = definition.ingest.map((entry) => planEntry(entry, resolved, manifest))
    return { ...base, kind: 'ingest', entries }
  }
  if (definition.dbt !== undefined) {
    const { command, select = [], exclude = [], retries, retry_delay, timeout } = definition.dbt
    const durations = { retryDelayMs: durationMs(retry_delay), timeoutMs: durationMs(timeout) }
    return { ...base, kind: 'dbt', command, select, exclude, retries, ...durations }
  }
  return { ...base, kind: 'validate', marts: planMarts(definition.validate ?? [], manifest) }
}

function planEntry(entry: IngestDefinition, { params }: ResolvedRequest, manifest: Manifest): IngestEntry {
  const into = parseTableName(entry.into) as TableName // the schema has checked its form
  const fill = (text: string) => fillIn(text, params)
  const texts = [entry.files, ...Object.values(entry.add).map(String)]
  return {
    id: entryId(entry),
    into,
    files: fill(entry.files),
    inbox: inboxOf(entry.files),
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

function planMarts(
  checks: NonNullable<PipelineDefinition['steps'][number]['validate']>,
  manifest: Manifest,
): MartCheck[] {
  const unknown = checks.filter(({ mart }) => findMart(manifest, mart) === undefined)
  if (unknown.length > 0) {
    const names = martNames(manifest)
    throw failure(
      'MartUnknown',
      `${unknown.map(({ mart }) => `'${mart}'${didYouMean(mart, names)}`).join(', ')}: no such model, seed or snapshot ` +
        `in the dbt project; it has: ${names.join(', ')}`,
    )
  }
  return checks.flatMap((check) => {
    const node = findMart(manifest, check.mart)
    if (node === undefined) return []
    return {
      mart: check.mart,
      relation: { database: node.database, schema: node.schema, name: node.alias },
      key: check.key,
      unique: check.unique,
      maxNullShare: check.max_null_share,
      ...(check.rows.min === undefined ? {} : { minRows: check.rows.min }),
      ...(check.rows.max === undefined ? {} : { maxRows: check.rows.max }),
    }
  })
}

function pickParams(params: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => names.includes(name)))
}
