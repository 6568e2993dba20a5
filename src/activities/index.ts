// The activities of a worker, by the names that histories hold, in the order of the story.
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { DBT_ACTIVITIES } from '../pipeline/dbt-command.ts'
import { failure, withoutStack } from '../pipeline/failure.ts'
import { diskFailure } from '../platform/files.ts'
import { redactor } from '../platform/redaction.ts'
import { createReadAlerts, createSendEmail, createSendSlack } from './alerts.ts'
import type { ActivityDeps } from './context.ts'
import { createEndLeftRuns } from './end-left-runs.ts'
import { createFindFiles } from './find-files.ts'
import { createIngestTable } from './ingest-table.ts'
import { createGoodDays, createPlanBackfill } from './good-days.ts'
import { LEASE_ACTIVITIES } from './lease-holder.ts'
import { DBT_STORY, LOAD_STORY, logged, MARTS_STORY, PLAN_STORY, PUBLISH_STORY, WARM_STORY } from './logged.ts'
import { BAR_ACTIVITIES, endBars } from './node-bars.ts'
import { createPlanRun } from './plan-run.ts'
import { createPublishMarts } from './publish-marts.ts'
import { createRecordRefresh } from './record-refresh.ts'
import { createRunDbt } from './run-dbt.ts'
import { createValidateMarts } from './validate-marts.ts'
import { createWatchPipelines } from './watch-pipelines.ts'
import { createWarmCaches } from './warm-caches.ts'

export type Activities = ReturnType<typeof createActivities>

export function createActivities(deps: ActivityDeps) {
  return {
    planRun: logged(deps, typed(createPlanRun(deps)), PLAN_STORY),
    findFiles: typed(createFindFiles(deps)),
    leaseHolder: typed(LEASE_ACTIVITIES.leaseHolder),
    endLeftRuns: typed(createEndLeftRuns(deps)),
    ingestTable: logged(deps, typed(createIngestTable(deps)), LOAD_STORY),
    ...dbtActivities(logged(deps, typed(createRunDbt(deps)), DBT_STORY)),
    ...BAR_ACTIVITIES,
    endBars: typed(endBars),
    validateMarts: logged(deps, typed(createValidateMarts(deps)), MARTS_STORY),
    publishMarts: logged(deps, typed(createPublishMarts(deps)), PUBLISH_STORY),
    warmCaches: logged(deps, typed(createWarmCaches()), WARM_STORY),
    recordRefresh: typed(createRecordRefresh(deps)),
    readAlerts: typed(createReadAlerts(deps)),
    sendEmail: typed(createSendEmail(deps)),
    sendSlack: typed(createSendSlack(deps)),
    watchPipelines: typed(createWatchPipelines(deps)),
    planBackfill: typed(createPlanBackfill(deps)),
    goodDays: typed(createGoodDays(deps)),
  }
}

/** The same work under the name of each command: a timeline then says which one it was. */
function dbtActivities<Activity>(activity: Activity) {
  const names = Object.values(DBT_ACTIVITIES)
  return Object.fromEntries(names.map((name) => [name, activity])) as Record<(typeof names)[number], Activity> // fromEntries forgets the keys
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
