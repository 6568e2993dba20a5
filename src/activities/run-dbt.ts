// dbtRun and dbtTest: one dbt command, watched while it runs, believed only when all its traces agree.
import { activityInfo } from '@temporalio/activity'
import path from 'node:path'
import type { DbtCommand } from '../pipeline/plan.ts'
import type { DbtReport } from '../pipeline/report.ts'
import { formatDuration } from '../pipeline/duration.ts'
import { failure } from '../pipeline/failure.ts'
import { runDbt, tidyOutput } from '../dbt/command.ts'
import type { DbtLedger } from '../dbt/ledger.ts'
import { readProfileTarget } from '../dbt/profile.ts'
import { judge, nodeReports } from '../dbt/verdict.ts'
import { faultPoint } from '../platform/fault.ts'
import { writeFileAtomically } from '../platform/files.ts'
import { redactor } from '../platform/redaction.ts'
import { runFolder } from '../platform/workspace.ts'
import { warehouseAddress } from '../warehouses/open.ts'
import { requirePlannedWarehouse, type ActivityDeps, type RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { partialParseFile } from './make-plan.ts'

export interface RunDbtInput {
  readonly plan: RunContext
  readonly step: DbtCommand & { readonly id: string }
  /** Number of the step's attempt, from 1. */
  readonly attempt: number
}

export function createRunDbt(deps: ActivityDeps) {
  return async function runDbtCommand({ plan, step, attempt }: RunDbtInput): Promise<DbtReport> {
    return await withHeartbeat(async (show, cancelled) => {
      const info = activityInfo()
      if (info.workflowExecution === undefined) throw new Error('dbt runs as part of a workflow')
      const { workflowId, runId } = info.workflowExecution
      const { root } = deps.workspace
      const projectDir = path.resolve(root, plan.dbt.projectDir)
      const profilesDir = path.resolve(root, plan.dbt.profilesDir)
      const target = await readProfileTarget({ projectDir, profilesDir }, plan.target)
      requirePlannedWarehouse(plan, await deps.serveWarehouse(warehouseAddress(target, projectDir)))
      // A second Temporal attempt of the same command follows a lost worker: it gets a folder of its own, too.
      const outputDir = path.join(runFolder(deps.workspace, workflowId, runId), `${step.id}-${attempt}.${info.attempt}`)
      const timeIsUp = AbortSignal.timeout(step.timeoutMs)
      const evidence = await runDbt(
        {
          command: step.command,
          select: step.select,
          exclude: step.exclude,
          target: plan.target,
          projectDir,
          profilesDir,
          outputDir,
          partialParseFile: partialParseFile(deps.workspace, projectDir, plan.target),
          python: deps.python,
          runLabel: `${workflowId}/${runId}/${step.id}/${attempt}`,
          redact: redactor(target.secrets),
        },
        (ledger) => {
          show(progressOf(ledger))
          if (nodesDone(ledger) > 0) faultPoint(`dbt-${step.command}:after-first-node`)
        },
        AbortSignal.any([cancelled, timeIsUp]),
      ).catch((error: unknown) => {
        if (!timeIsUp.aborted || cancelled.aborted) throw error
        throw failure(
          'StepTimedOut',
          `dbt ${step.command} took longer than the step's timeout of ${formatDuration(step.timeoutMs)} and was stopped; ` +
            `find the slow model in ${path.relative(process.cwd(), outputDir)}/dbt.log, or raise \`timeout\` in the pipeline file`,
        )
      })
      await writeFileAtomically(
        path.join(outputDir, 'nodes.json'),
        `${JSON.stringify(nodeReports(evidence.ledger), null, 2)}\n`,
      )
      const report = judge(evidence)
      await tidyOutput(outputDir)
      return report
    })
  }
}

function nodesDone(ledger: DbtLedger): number {
  return [...ledger.nodes.values()].filter(({ result }) => result !== undefined).length
}

function progressOf(ledger: DbtLedger) {
  const nodes = [...ledger.nodes.values()]
  const running = nodes.filter(({ result }) => result === undefined).map(({ name }) => name)
  return {
    phase: 'dbt' as const,
    done: nodes.length - running.length,
    total: ledger.total,
    running: running.slice(0, 4),
  }
}
