// `millrace check` and `run --dry-run`: what a pipeline would do, and whether everything it names exists.
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { makePlan, partialParseFile, type DraftPlan } from '../activities/make-plan.ts'
import { COMMAND_TYPES, countSelected, type Selection } from '../dbt/selection.ts'
import { columnTypeText } from '../pipeline/column-type.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { describeFailure } from '../pipeline/failure.ts'
import { tableText } from '../pipeline/identifier.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import type { IngestEntry, PlannedStep, RunRequest } from '../pipeline/plan.ts'
import { makeScratchDir } from '../platform/scratch.ts'
import { INSTALLATION, type Workspace } from '../platform/workspace.ts'
import type { Cli } from './cli.ts'
import { color, pad, say, sayError } from './terminal.ts'

/** Prints the plan of a run that is not started. */
export async function dryRunCommand(cli: Cli, pipeline: string, request: RunRequest, json: boolean): Promise<number> {
  const definition = await loadPipeline(cli.workspace.pipelinesDir, pipeline)
  const { plan, address } = await withPlanningFolder(cli.workspace, (outputDir) =>
    draft(cli.workspace, definition, request, outputDir),
  )
  if (json) say(JSON.stringify({ ...plan, warehouse: address }, null, 2))
  else
    say(...planLines(plan), color.dim(`warehouse: ${address.kind} ${address.label}`), color.dim('nothing was started'))
  return 0
}

/** Every pipeline (or one) against its dbt project. All problems of all of them; exit code 1 when there is any. */
export async function checkCommand(cli: Cli, only: string | undefined, target: string | undefined): Promise<number> {
  const names = only === undefined ? await listPipelines(cli.workspace.pipelinesDir) : [only]
  if (names.length === 0) sayError(`there are no pipelines in ${cli.workspace.pipelinesDir}`)
  let broken = names.length === 0
  for (const name of names) {
    try {
      const problems = await checkPipeline(cli.workspace, name, target)
      for (const problem of problems) sayError(`${color.red('✖')} ${name}: ${problem}`)
      broken ||= problems.length > 0
    } catch (error) {
      broken = true
      sayError(
        ...describeFailure(error)
          .message.split('\n')
          .map((line) => `${color.red('✖')} ${line}`),
      )
    }
  }
  return broken ? 1 : 0
}

async function checkPipeline(workspace: Workspace, name: string, target: string | undefined): Promise<string[]> {
  const definition = await loadPipeline(workspace.pipelinesDir, name)
  const request: RunRequest = { params: standIns(definition), ...(target === undefined ? {} : { target }) }
  return await withPlanningFolder(workspace, async (outputDir) => {
    const drafted = await draft(workspace, definition, request, outputDir)
    const problems = await emptySelections(workspace, drafted, outputDir)
    if (problems.length === 0) say(`${color.green('✔')} ${name}`, ...planLines(drafted.plan).slice(1))
    return problems
  })
}

/** Each item of each `select` must match something on its own, and so must the whole. */
async function emptySelections(
  workspace: Workspace,
  { plan, target }: DraftPlan,
  outputDir: string,
): Promise<string[]> {
  const asked: { readonly text: string; readonly selection: Selection }[] = []
  for (const step of plan.steps) {
    if (step.kind !== 'dbt') continue
    const { select, exclude, command, id } = step
    const types = COMMAND_TYPES[command]
    for (const item of select.length > 1 ? select : []) {
      asked.push({ text: `step ${id}: select item '${item}'`, selection: { select: [item], exclude: [], types } })
    }
    const all = select.length === 0 ? 'without select' : `select [${select.join(', ')}]`
    asked.push({ text: `step ${id}: dbt ${command} ${all}`, selection: { select, exclude, types } })
  }
  const projectDir = path.resolve(workspace.root, plan.dbt.projectDir)
  const project = {
    projectDir,
    profilesDir: target.profilesDir,
    target: target.target,
    outputDir,
    partialParseFile: partialParseFile(workspace, projectDir, target.target),
    python: INSTALLATION.python,
  }
  const counts = await countSelected(
    project,
    asked.map(({ selection }) => selection),
  )
  return asked.filter((_, index) => counts[index] === 0).map(({ text }) => `${text} matches nothing in the dbt project`)
}

/** The plan with stand-ins for params that have no default: for commands that are about a part of it. */
export async function draftPlan(workspace: Workspace, definition: PipelineDefinition): Promise<DraftPlan> {
  return await withPlanningFolder(workspace, (outputDir) =>
    draft(workspace, definition, { params: standIns(definition) }, outputDir),
  )
}

function draft(workspace: Workspace, definition: PipelineDefinition, request: RunRequest, outputDir: string) {
  const place = { workspace, python: INSTALLATION.python, outputDir }
  return makePlan(definition, request, Date.now(), place, new AbortController().signal)
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
      const selection = step.select.length === 0 ? '' : ` --select ${step.select.join(' ')}`
      const retries =
        step.retries === 0 ? 'no retries' : `${step.retries} retries ${formatDuration(step.retryDelayMs)} apart`
      return [
        head(
          `dbt ${step.command}${selection}  ${color.dim(`${retries}, at most ${formatDuration(step.timeoutMs)} each`)}`,
        ),
      ]
    }
    case 'validate':
      return step.marts.map(({ mart, relation, key }) =>
        head(`${mart} (${relation.schema}.${relation.name}) by ${key.join(', ')}`),
      )
  }
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
