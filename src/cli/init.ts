// `millrace init`: a first pipeline file for a dbt project, checked before it is written.
import { randomBytes } from 'node:crypto'
import { link, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { listTargets } from '../dbt/profile.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import { listPipelines, parsePipeline, problemText } from '../pipeline/load.ts'
import type { PipelineDefinition } from '../pipeline/definition.ts'
import { errorCode } from '../platform/files.ts'
import { INSTALLATION, type Workspace } from '../platform/workspace.ts'
import { firstPipeline } from '../setup/first-pipeline.ts'
import type { Cli } from './cli.ts'
import { draftPlan, selectionProblems } from './plan.ts'
import { say } from './terminal.ts'

export interface InitFlags {
  readonly projectDir: string
  readonly profilesDir?: string
  readonly target?: string
  readonly print: boolean
}

/** Writes nothing when the project cannot be read, or when there is a pipeline of that name: it fails and says why. */
export async function initCommand({ workspace }: Cli, pipeline: string, flags: InitFlags): Promise<number> {
  const file = path.join(workspace.pipelinesDir, `${pipeline}.yml`)
  const inWorkspace = (folder: string) => path.relative(workspace.root, path.resolve(folder)) || '.'
  const dbt = {
    project_dir: inWorkspace(flags.projectDir),
    ...(flags.profilesDir === undefined ? {} : { profiles_dir: inWorkspace(flags.profilesDir) }),
  }
  // JSON is YAML: names and folders are held to the schema before anything is looked at.
  const smallest = JSON.stringify({ name: pipeline, dbt, steps: [{ dbt: { command: 'parse' } }] })
  const probe = definitionOf(smallest, file, pipeline)
  if (!flags.print && (await listPipelines(workspace.pipelinesDir)).includes(pipeline)) throw exists(pipeline)

  const text = await checkedText(workspace, probe, file, flags.target).catch((error: unknown) => {
    throw withNextCommand(error, pipeline, flags)
  })
  if (flags.print) {
    say(text.trimEnd())
    return 0
  }
  await writeNew(file, text, pipeline)
  const on = flags.target === undefined ? '' : ` --target ${flags.target}`
  say(
    `${path.relative(process.cwd(), file)} is written; next:`,
    `  npx millrace check ${pipeline}${on}`,
    `  npx millrace run ${pipeline}${on} --dry-run`,
    `  npx millrace run ${pipeline}${on}`,
  )
  return 0
}

/** What the file will hold, planned once already as a run of it would be. `probe` names the project and nothing else. */
async function checkedText(
  workspace: Workspace,
  probe: PipelineDefinition,
  file: string,
  targetName: string | undefined,
): Promise<string> {
  const { name: pipeline, dbt } = probe
  const { manifest, address, target } = await draftPlan(workspace, probe, targetName)
  if (!manifest.nodes.some(({ resourceType }) => resourceType === 'model')) {
    throw failure(
      'DbtProjectInvalid',
      `${dbt.project_dir} has no models; look at what dbt finds there: dbt ls --project-dir ${dbt.project_dir}`,
    )
  }
  const projectDir = path.resolve(workspace.root, dbt.project_dir)
  const { targets } = await listTargets({ projectDir, profilesDir: target.profilesDir })
  const text = firstPipeline({
    pipeline,
    schemaFile: path.relative(path.dirname(file), path.join(INSTALLATION.root, 'schema', 'pipeline.schema.json')),
    projectDir: dbt.project_dir,
    ...(dbt.profiles_dir === undefined ? {} : { profilesDir: dbt.profiles_dir }),
    targets,
    target: target.target,
    warehouse: address.kind,
    hasPackages: await hasPackages(projectDir),
    manifest,
  })
  const drafted = await draftPlan(workspace, definitionOf(text, file, pipeline), targetName)
  const problems = selectionProblems(drafted)
  if (problems.length > 0) throw failure('DbtProjectInvalid', problems.join('\n'))
  return text
}

function withNextCommand(error: unknown, pipeline: string, { projectDir }: InitFlags): unknown {
  if (!(error instanceof ApplicationFailure)) return error
  const { type, message } = describeFailure(error)
  return failure(
    type,
    `${message}\nnothing was written; then: npx millrace init ${pipeline} --project-dir ${projectDir}`,
  )
}

function definitionOf(text: string, file: string, pipeline: string): PipelineDefinition {
  const parsed = parsePipeline(text, path.relative(process.cwd(), file), pipeline)
  if ('definition' in parsed) return parsed.definition
  throw failure('PipelineInvalid', parsed.problems.map(problemText).join('\n'))
}

async function hasPackages(projectDir: string): Promise<boolean> {
  const files = ['packages.yml', 'dependencies.yml'].map((name) => path.join(projectDir, name))
  const found = await Promise.all(
    files.map((file) =>
      stat(file).then(
        () => true,
        () => false,
      ),
    ),
  )
  return found.includes(true)
}

function exists(pipeline: string) {
  return failure(
    'RequestInvalid',
    `there is a pipeline '${pipeline}' already, and it stays as it is; choose another name, or look with --print`,
  )
}

/** The whole file or none, and never over one that somebody else has written meanwhile. */
async function writeNew(file: string, text: string, pipeline: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, text)
    await link(temporary, file)
  } catch (error) {
    throw errorCode(error) === 'EEXIST' ? exists(pipeline) : error
  } finally {
    await rm(temporary, { force: true })
  }
}
