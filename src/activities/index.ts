// The activities of a worker, by the names that histories hold, in the order of the story.
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { failure, withoutStack } from '../pipeline/failure.ts'
import { diskFailure } from '../platform/files.ts'
import { redactor } from '../platform/redaction.ts'
import type { ActivityDeps } from './context.ts'
import { createFindFiles } from './find-files.ts'
import { createIngestTable } from './ingest-table.ts'
import { createPlanRun } from './plan-run.ts'
import { createRecordRefresh } from './record-refresh.ts'
import { createRunDbt } from './run-dbt.ts'
import { createValidateMarts } from './validate-marts.ts'

export type Activities = ReturnType<typeof createActivities>

export function createActivities(deps: ActivityDeps) {
  const runDbt = createRunDbt(deps)
  return {
    planRun: typed(createPlanRun(deps)),
    findFiles: typed(createFindFiles(deps)),
    ingestTable: typed(createIngestTable(deps)),
    dbtRun: typed(runDbt),
    dbtTest: typed(runDbt),
    validateMarts: typed(createValidateMarts(deps)),
    recordRefresh: typed(createRecordRefresh(deps)),
  }
}

const redact = redactor([])

/** Nothing but our own failures leaves an activity: a foreign error's text may hold a command line or a secret. */
function typed<Input, Result>(activity: (input: Input) => Promise<Result>): (input: Input) => Promise<Result> {
  return async (input) => {
    try {
      return await activity(input)
    } catch (error) {
      if (error instanceof CancelledFailure) throw error
      const own = error instanceof ApplicationFailure ? error : (diskFailure(error) ?? asInternal(error))
      own.message = redact(own.message)
      throw withoutStack(own)
    }
  }
}

function asInternal(error: unknown): ApplicationFailure {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const place = error instanceof Error ? /\/(src\/[\w/.-]+:\d+)/.exec(error.stack ?? '')?.[1] : undefined
  return failure('Internal', `${message} (${place ?? 'place unknown'}); this is a bug of Millrace, please report it`)
}
