// A run's request held against its pipeline: params resolved, steps chosen, every mistake named at once.
import { STEP_KINDS, type IngestDefinition, type PipelineDefinition, type StepDefinition } from './definition.ts'
import { failure } from './failure.ts'
import { resolveDate } from './logical-date.ts'
import { didYouMean } from './near-match.ts'
import type { RunRequest } from './plan.ts'

export interface ResolvedRequest {
  readonly params: Readonly<Record<string, string>>
  /** YYYY-MM-DD: the first date param's value, else the day of the run's own time. */
  readonly logicalDate: string
  readonly steps: readonly ChosenStep[]
}

export interface ChosenStep {
  readonly id: string
  readonly definition: StepDefinition
  readonly skipped: boolean
}

/** Fails with RequestInvalid, naming all that is wrong with the params and the choice of steps. */
export function resolveRequest(
  definition: PipelineDefinition,
  request: RunRequest,
  runTimeMs: number,
): ResolvedRequest {
  const problems: string[] = []
  const params = resolveParams(definition, request.params ?? {}, runTimeMs, problems)
  const steps = chooseSteps(definition, request, problems)
  if (problems.length > 0) {
    throw failure('RequestInvalid', `pipeline '${definition.name}': ${problems.join('; ')}`)
  }
  const dateParam = Object.entries(definition.params).find(([, { type }]) => type === 'date')?.[0]
  const runDay = new Date(runTimeMs).toISOString().slice(0, 10)
  return { params, logicalDate: (dateParam === undefined ? undefined : params[dateParam]) ?? runDay, steps }
}

/** `{name}` → the param's value. `${NAME}` is a variable of the environment, not a param. */
export function fillIn(text: string, params: Readonly<Record<string, string>>): string {
  return text.replaceAll(/(?<!\$)\{(\w+)\}/g, (whole, name: string) => params[name] ?? whole)
}

/** Names used as {name} in a text. */
export function placeholders(text: string): string[] {
  return [...text.matchAll(/(?<!\$)\{(\w+)\}/g)].map((match) => match[1] ?? '')
}

/** The values of a param that may have several. */
export function valuesOf(text: string): string[] {
  return [...new Set(text.split(','))]
}

/** What an ingest entry is called in its pipeline: its table, and its own name where it has one. */
export function entryId({ into, name }: Pick<IngestDefinition, 'into' | 'name'>): string {
  return name === undefined ? into : `${into}#${name}`
}

/** The name of each step, unique in the pipeline: its own, else its kind (`dbt-run`), numbered when it repeats. */
export function stepIds(steps: readonly StepDefinition[]): string[] {
  const used = new Set<string>()
  return steps.map((step) => {
    const base =
      step.name ??
      (step.dbt === undefined
        ? (STEP_KINDS.find((kind) => step[kind] !== undefined) ?? '')
        : `dbt-${step.dbt.command.replaceAll(' ', '-')}`)
    let id = base
    for (let times = 2; used.has(id); times++) id = `${base}-${times}`
    used.add(id)
    return id
  })
}

function resolveParams(
  definition: PipelineDefinition,
  given: Readonly<Record<string, string>>,
  runTimeMs: number,
  problems: string[],
): Record<string, string> {
  const known = Object.keys(definition.params)
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    problems.push(`there is no param '${name}'${didYouMean(name, known)}, params: ${known.join(', ') || 'none'}`)
  }
  const params: Record<string, string> = {}
  for (const [name, { type, default: fallback, list }] of Object.entries(definition.params)) {
    const text = given[name] ?? (fallback === undefined ? undefined : String(fallback))
    if (text === undefined) {
      problems.push(`param '${name}' has no default; give --${name} VALUE`)
      continue
    }
    const values = (list === true ? valuesOf(text) : [text]).map((each) => paramValue(type, each.trim(), runTimeMs))
    if (values.includes(undefined)) {
      const expected = {
        date: 'an existing day written YYYY-MM-DD, nor today or yesterday',
        int: 'a whole number',
        string: 'a plain word (letters, digits, dot, dash and _)',
      }[type]
      problems.push(`--${name} '${text}' is not ${expected}`)
    } else {
      params[name] = [...new Set(values)].join(',')
    }
  }
  return params
}

function paramValue(type: 'date' | 'string' | 'int', text: string, runTimeMs: number): string | undefined {
  switch (type) {
    case 'date':
      return resolveDate(text, runTimeMs)
    case 'int':
      return /^-?\d{1,15}$/.test(text) ? text : undefined
    case 'string':
      // Params become parts of paths: nothing that could lead elsewhere.
      return /^(?!\.)[\w.-]{1,100}$/.test(text) ? text : undefined
  }
}

function chooseSteps(definition: PipelineDefinition, { only, from }: RunRequest, problems: string[]): ChosenStep[] {
  const ids = stepIds(definition.steps)
  const find = (option: string, name: string | undefined): number | undefined => {
    if (name === undefined) return undefined
    const index = ids.indexOf(name.trim().replaceAll(' ', '-'))
    if (index === -1)
      problems.push(`${option} '${name}' is not a step${didYouMean(name, ids)}, steps: ${ids.join(', ')}`)
    return index
  }
  const onlyIndex = find('--only', only)
  const fromIndex = find('--from', from)
  if (only !== undefined && from !== undefined) problems.push('give --only or --from, not both')
  const steps = definition.steps.map((step, index) => ({
    id: ids[index] ?? '',
    definition: step,
    skipped: (onlyIndex !== undefined && index !== onlyIndex) || (fromIndex !== undefined && index < fromIndex),
  }))
  problems.push(...uncheckedPublications(steps))
  return steps
}

/** What is published was checked by the very run that publishes it. */
function uncheckedPublications(steps: readonly ChosenStep[]): string[] {
  return steps.flatMap(({ id, definition, skipped }, index) => {
    if (definition.publish === undefined || skipped) return []
    const left = steps.slice(0, index).find((step) => step.definition.validate !== undefined && step.skipped)
    return left === undefined
      ? []
      : [`${id} takes only what the same run has checked; begin with it: --from ${left.id}`]
  })
}
