// The marts of a plan: which relations they are, what is asked of them, and where they are published.
import { findMart, martNames, type Manifest } from '../dbt/manifest.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { durationMs } from '../pipeline/duration.ts'
import { failure } from '../pipeline/failure.ts'
import { identifier } from '../pipeline/identifier.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import type { MartCheck, PlannedStep, Relation } from '../pipeline/plan.ts'
import type { ChosenStep, ResolvedRequest } from '../pipeline/request.ts'

type WrittenCheck = NonNullable<PipelineDefinition['steps'][number]['validate']>[number]

/** Fails with MartUnknown, naming all of them. */
export function planMarts(checks: readonly WrittenCheck[], manifest: Manifest): MartCheck[] {
  const unknown = checks.filter(({ mart }) => findMart(manifest, mart) === undefined)
  if (unknown.length > 0) {
    throw unknownMarts(
      manifest,
      unknown.map(({ mart }) => mart),
    )
  }
  return checks.map((check) => ({
    mart: check.mart,
    relation: requireMart(manifest, check.mart),
    key: check.key,
    unique: check.unique,
    maxNullShare: check.max_null_share,
    ...(check.rows.min === undefined ? {} : { minRows: check.rows.min }),
    ...(check.rows.max === undefined ? {} : { maxRows: check.rows.max }),
    ...(check.max_age === undefined ? {} : { maxAge: maxAgeOf(check.max_age) }),
    ...(check.max_drop === undefined ? {} : { maxDrop: maxDropOf(check.max_drop) }),
    ...(check.on_empty === undefined ? {} : { onEmpty: check.on_empty }),
  }))
}

function maxAgeOf({ column, warn, fail }: NonNullable<WrittenCheck['max_age']>): NonNullable<MartCheck['maxAge']> {
  return {
    column,
    ...(warn === undefined ? {} : { warnMs: durationMs(warn) }),
    ...(fail === undefined ? {} : { failMs: durationMs(fail) }),
  }
}

function maxDropOf({ warn, fail }: NonNullable<WrittenCheck['max_drop']>): NonNullable<MartCheck['maxDrop']> {
  return { ...(warn === undefined ? {} : { warn }), ...(fail === undefined ? {} : { fail }) }
}

function requireMart(manifest: Manifest, mart: string): Relation {
  const node = findMart(manifest, mart)
  if (node === undefined) throw unknownMarts(manifest, [mart])
  return { database: node.database, schema: node.schema, name: node.alias }
}

function unknownMarts(manifest: Manifest, marts: readonly string[]) {
  const names = martNames(manifest)
  return failure(
    'MartUnknown',
    `${marts.map((mart) => `'${mart}'${didYouMean(mart, names)}`).join(', ')}: no such model, seed or snapshot ` +
      `in the dbt project; it has: ${names.join(', ')}`,
  )
}

/** Fails with PipelineInvalid where the live schema is the candidates' own. A target that has no live schema leaves the step out. */
export function planPublish(
  { id, definition, skipped }: ChosenStep,
  { steps }: ResolvedRequest,
  manifest: Manifest,
  targetName: string,
): PlannedStep {
  const publish = definition.publish
  const before = steps.slice(
    0,
    steps.findIndex((step) => step.id === id),
  )
  const names = publish?.marts ?? [
    ...new Set(before.flatMap((step) => (step.definition.validate ?? []).map(({ mart }) => mart))),
  ]
  const to = typeof publish?.to === 'string' ? publish.to : publish?.to[targetName]
  const marts = names.map((mart) => ({ mart: identifier(mart), relation: requireMart(manifest, mart) }))
  const own = marts.find(({ relation }) => relation.schema === to)
  if (own !== undefined) {
    throw failure(
      'PipelineInvalid',
      `step ${id} would publish ${own.mart} into ${own.relation.schema}, where dbt builds it; give \`to\` another schema, ` +
        `such as ${own.relation.schema}_live`,
    )
  }
  return {
    id,
    onFailure: definition.on_failure,
    skipped: skipped || to === undefined,
    kind: 'publish',
    to: identifier(to ?? 'none'),
    marts,
    copyTo: publish?.publish_copy ?? null,
  }
}
