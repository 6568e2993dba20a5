// `millrace check` and `run --dry-run`: what a pipeline would do, and whether everything it names exists.
import { rm } from 'node:fs/promises'
import { makePlan, type DraftPlan } from '../activities/make-plan.ts'
import { columnTypeText } from '../pipeline/column-type.ts'
import { commandText } from '../pipeline/dbt-command.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { describeFailure } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import type { IngestEntry, PlannedStep, RunRequest } from '../pipeline/plan.ts'
import { makeScratchDir } from '../platform/scratch.ts'
import { INSTALLATION, type Workspace } from '../platform/workspace.ts'
import type { Cli } from './cli.ts'
import { runTimeOf } from './start-run.ts'
import { color, pad, say, sayError } from './terminal.ts'

/** Prints the plan of a run that is not started. */
export async function dryRunCommand(cli: Cli, pipeline: string, request: RunRequest, json: boolean): Promise<number> {
  const definition = await loadPipeline(cli.workspace.pipelinesDir, pipeline)
  const drafted = await withPlanningFolder(cli.workspace, (outputDir) =>
    draft(cli.workspace, definition, request, outputDir),
  )
  const { plan, address } = drafted
  if (json) say(JSON.stringify({ ...plan, warehouse: address }, null, 2))
  else
    say(...planLines(plan), color.dim(`warehouse: ${address.kind} ${address.label}`), color.dim('nothing was started'))
  for (const problem of selectionProblems(drafted)) sayError(`${color.red('✖')} ${problem}`)
  return 0
}

/** What a check found of one pipeline; `plan` where nothing is wrong with it. */
interface Checked {
  readonly pipeline: string
  readonly problems: readonly string[]
  readonly plan?: DraftPlan['plan']
}

/** Every pipeline (or one) against its dbt project. All problems of all of them; exit code 1 when there is any. */
export async function checkCommand(
  cli: Cli,
  only: string | undefined,
  target: string | undefined,
  json: boolean,
): Promise<number> {
  const names = only === undefined ? await listPipelines(cli.workspace.pipelinesDir) : [only]
  if (names.length === 0) sayError(`there are no pipelines in ${cli.workspace.pipelinesDir}`)
  const all: Checked[] = []
  for (const name of names) {
    const checked = await checkPipeline(cli.workspace, name, target)
    all.push(checked)
    if (!json) sayChecked(checked)
  }
  if (json) say(JSON.stringify(all, null, 2))
  return all.length > 0 && all.every(({ problems }) => problems.length === 0) ? 0 : 1
}

function sayChecked({ pipeline, problems, plan }: Checked): void {
  if (plan !== undefined) say(`${color.green('✔')} ${pipeline}`, ...planLines(plan).slice(1))
  sayError(...problems.flatMap((problem) => problem.split('\n')).map((line) => `${color.red('✖')} ${line}`))
}

async function checkPipeline(workspace: Workspace, pipeline: string, target: string | undefined): Promise<Checked> {
  try {
    const drafted = await draftPlan(workspace, await loadPipeline(workspace.pipelinesDir, pipeline), target)
    const problems = selectionProblems(drafted).map((problem) => `${pipeline}: ${problem}`)
    return { pipeline, problems, ...(problems.length === 0 ? { plan: drafted.plan } : {}) }
  } catch (error) {
    return { pipeline, problems: [describeFailure(error).message] }
  }
}

export function selectionProblems({ plan, emptySelections }: DraftPlan): string[] {
  return emptySelections.map(({ index, message }) => `step ${plan.steps[index]?.id ?? index}: ${message}`)
}

/** The plan with stand-ins for params that have no default: for commands that are about a part of it. */
export async function draftPlan(
  workspace: Workspace,
  definition: PipelineDefinition,
  target?: string,
): Promise<DraftPlan> {
  const request = { params: standIns(definition), ...(target === undefined ? {} : { target }) }
  return await withPlanningFolder(workspace, (outputDir) => draft(workspace, definition, request, outputDir))
}

function draft(workspace: Workspace, definition: PipelineDefinition, request: RunRequest, outputDir: string) {
  const place = { workspace, python: INSTALLATION.python, outputDir }
  return makePlan(definition, request, runTimeOf(request), place, new AbortController().signal)
}

/** What dbt wrote stays when planning fails, because messages name its log; the next worker start clears it. */
async function withPlanningFolder<T>(workspace: Workspace, work: (outputDir: string) => Promise<T>): Promise<T> {
  const folder = await makeScratchDir(workspace.stateDir)
  const result = await work(folder)
  await rm(folder, { recursive: true, force: true })
  return result
}

/** Values for params without a default, so that a check needs none. */
function standIns(definition: PipelineDefinition): Record<string, string> {
  const values = { date: 'today', string: 'x', int: '0' }
  const open = Object.entries(definition.params).filter(([, param]) => param.default === undefined)
  return Object.fromEntries(open.map(([name, { type }]) => [name, values[type]]))
}

function planLines(plan: DraftPlan['plan']): string[] {
  return [
    `${color.bold(plan.pipeline)} · ${plan.target} · ${plan.logicalDate}  ${color.dim(plan.description)}`,
    ...plan.steps.flatMap(stepPlanLines),
    ...envNotes(plan.dbt.env),
    ...(plan.refreshLog === undefined ? [] : [`   ${pad('record', 12)}${plan.refreshLog}`]),
  ]
}

function stepPlanLines(step: PlannedStep): string[] {
  const head = (text: string) => `   ${pad(step.id, 12)}${text}${step.skipped ? color.dim('  (left out)') : ''}`
  switch (step.kind) {
    case 'ingest':
      return step.entries.flatMap((entry) => [
        head(`${entry.files} → ${tableText(entry.into)} (${describeMode(entry)})`),
        ...(entry.contract?.map(({ name, type, origin }) => columnLine(name, columnTypeText(type), origin)) ?? [
          columnLine('all columns', 'string', 'the header of the first load'),
        ]),
        ...entry.added.map(({ name, type }) => columnLine(name, columnTypeText(type), 'added')),
      ])
    case 'dbt': {
      const { retries, retryDelayMs, timeoutMs } = step
      const apart = retryDelayMs === null ? 'as its failure asks for' : `${formatDuration(retryDelayMs)} apart`
      const again = retries === 0 ? 'no retries' : `${retries} ${retries === 1 ? 'retry' : 'retries'} ${apart}`
      const costs =
        step.options.vars === undefined ? [] : [note('vars: dbt parses the whole project for each other value')]
      return [
        head(`${commandText(step)}  ${color.dim(`${again}, at most ${formatDuration(timeoutMs)} each`)}`),
        ...costs,
      ]
    }
    case 'validate':
      return step.marts.map(({ mart, relation, key }) =>
        head(`${mart} (${relation.schema}.${relation.name}) by ${key.join(', ')}`),
      )
    case 'warm':
      return step.paths.map((path) => head(`GET ${step.baseUrl}${path}`))
    case 'publish':
      return step.marts.map(({ mart, relation }) => head(`${relation.schema}.${relation.name} → ${step.to}.${mart}`))
  }
}

/** Once a run: all of its dbt commands get them. */
function envNotes(env: Readonly<Record<string, string>> = {}): string[] {
  const set = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  if (set.length === 0) return []
  return [note(`env: ${set.join(', ')} for all dbt commands; each new value is a dbt parse while planning`)]
}

function note(text: string): string {
  return color.yellow(`     ${' '.repeat(10)}${text}`)
}

function columnLine(name: string, type: string, origin: string): string {
  return color.dim(`     ${' '.repeat(12)}${pad(name, 28)}${pad(type, 14)}${origin}`)
}

function describeMode({ mode, key, rawAsText }: IngestEntry): string {
  const what = {
    replace: "replaces the date's rows",
    append: 'appends what is new',
    upsert: `one row per ${key.join(', ')}`,
    snapshot: 'replaces all rows',
  }[mode]
  return rawAsText ? `${what}, kept as text` : what
}
