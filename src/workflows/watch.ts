// The dead-man's watch: a scheduled workflow that looks whether pipelines that should have succeeded did.
import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'

/** What it looked at, a line each. Tells the alert workflow of each pipeline and target; that one knows when it last went well. */
export async function watch(): Promise<readonly string[]> {
  const { watchPipelines } = proxyActivities<Activities>({
    startToCloseTimeout: '2m',
    // The next watch comes soon.
    scheduleToCloseTimeout: '8m',
    summary: 'is every pipeline up to date?',
  })
  return await watchPipelines({})
}
