// The state of a run as it goes: one report per step, shown as current details and answered to the live view.
import { defineQuery, setCurrentDetails, setHandler } from '@temporalio/workflow'
import type { PlannedStep, Plan, TakeOver } from '../pipeline/plan.ts'
import { stepsTable, type RunReport, type StepReport } from '../pipeline/report.ts'

/** What the live view asks for. */
export interface RunProgress {
  readonly target: string | null
  readonly logicalDate: string | null
  readonly steps: readonly StepReport[]
  /** What the run waits for before its first step: files, or another run. */
  readonly waiting: string | null
  readonly takeOver: TakeOver | null
  /** Once the run is over; a cancelled workflow has no result that could carry it. */
  readonly report: RunReport | null
}

export const progressQuery = defineQuery<RunProgress>('progress')

export interface RunState {
  readonly steps: StepReport[]
  /** Replaces fields of one step and shows the new table. */
  update(id: string, change: Partial<StepReport>): void
  /** The steps of the plan appear, all pending. */
  begin(plan: Plan): void
  /** What is waited for; null when it is over. */
  wait(waiting: string | null): void
  end(report: RunReport): void
}

export function openRunState(): RunState {
  const steps: StepReport[] = []
  let plan: Plan | undefined
  let report: RunReport | null = null
  let waiting: string | null = null
  const show = () => setCurrentDetails(`${waiting === null ? '' : `**${waiting}**\n\n`}${stepsTable(steps)}`)
  setHandler(progressQuery, () => ({
    target: plan?.target ?? null,
    logicalDate: plan?.logicalDate ?? null,
    steps,
    waiting,
    takeOver: plan?.takeOver ?? null,
    report,
  }))
  return {
    steps,
    begin(newPlan) {
      plan = newPlan
      steps.push(...newPlan.steps.map(pendingStep), recordStep(newPlan))
      show()
    },
    wait(now) {
      waiting = now
      show()
    },
    update(id, change) {
      const index = steps.findIndex((step) => step.id === id)
      const current = steps[index]
      if (current === undefined) return
      steps[index] = { ...current, ...change }
      show()
    },
    end(final) {
      report = final
      const why = final.note === null ? '' : `: ${final.note}`
      setCurrentDetails(`**${final.outcome}${why}**\n\n${stepsTable(final.steps)}`)
    },
  }
}

export const RECORD_STEP_ID = 'record'

const PENDING = {
  state: 'pending',
  startedAtMs: null,
  durationMs: null,
  attempts: 0,
  failure: null,
  loads: [],
  dbt: null,
  dbtProgress: null,
  marts: [],
  published: null,
  warmed: [],
  bytesBilled: null,
} as const

function pendingStep(step: PlannedStep): StepReport {
  const base = { id: step.id, kind: step.kind, title: stepTitle(step), ...PENDING }
  if (step.kind !== 'ingest') return base
  const loads = step.entries.map((entry) => ({
    into: `${entry.into.schema}.${entry.into.table}`,
    ...(entry.forEach === undefined ? {} : { forEach: entry.forEach }),
    file: entry.files,
    state: 'pending' as const,
    report: null,
    failure: null,
  }))
  return { ...base, loads }
}

function recordStep(plan: Plan): StepReport {
  return { id: RECORD_STEP_ID, kind: 'record', title: plan.refreshLog ?? 'report', ...PENDING }
}

function stepTitle(step: PlannedStep): string {
  if (step.kind !== 'dbt') return step.id
  const command = `dbt ${step.command}`
  return step.id === `dbt-${step.command.replaceAll(' ', '-')}` ? command : `${step.id} (${command})`
}
