// Asks dbt how many nodes a selection matches: only dbt knows its selector language.
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import { runShort } from '../platform/subprocess.ts'
import { bringPartialParse, type DbtInvocation } from './command.ts'

export interface Selection {
  readonly select: readonly string[]
  readonly exclude: readonly string[]
  /** dbt's resource types that the command would act on. */
  readonly types: readonly string[]
}

/** What `dbt run` and `dbt test` act on. */
export const COMMAND_TYPES = { run: ['model'], test: ['test', 'unit_test'] } as const

const SCRIPT = fileURLToPath(new URL('check_selection.py', import.meta.url))
const answerSchema = z.union([z.object({ counts: z.array(z.int()) }), z.object({ error: z.string() })])

type Project = Pick<
  DbtInvocation,
  'projectDir' | 'profilesDir' | 'target' | 'outputDir' | 'partialParseFile' | 'python'
>

/** The number of nodes that each selection matches, in order. Fails with DbtProjectInvalid when dbt cannot list. */
export async function countSelected(project: Project, selections: readonly Selection[]): Promise<number[]> {
  if (selections.length === 0) return []
  await bringPartialParse(project)
  const args = [
    '--project-dir',
    project.projectDir,
    '--profiles-dir',
    project.profilesDir,
    '--target',
    project.target,
    '--target-path',
    project.outputDir,
    '--log-level-file',
    'none',
  ]
  const { stdout, stderr } = await runShort({
    file: project.python,
    args: [SCRIPT],
    cwd: project.projectDir,
    env: { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false' },
    input: JSON.stringify({ arguments: args, selections }),
  })
  const answer = answerSchema.safeParse(parseLastLine(stdout)).data
  if (answer !== undefined && 'counts' in answer) return answer.counts
  const reason = answer?.error ?? (stderr.trim().split('\n').at(-1) || 'dbt gave no answer')
  throw failure('DbtProjectInvalid', `dbt ls failed: ${reason}; run it by hand in ${project.projectDir}`)
}

function parseLastLine(stdout: string): unknown {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } catch {
    return undefined
  }
}
