// Runs that are under way when the code changes must be able to go on: committed histories replay on today's workflow.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js'
import { Worker } from '@temporalio/worker'
import { DeterminismViolationError } from '@temporalio/workflow'
import { beforeAll, expect, test } from 'vitest'
import { workflowBundle } from '../../src/temporal/workflow-bundle.ts'
import { installQuietRuntime, SILENT } from '../support/quiet-runtime.ts'

const HISTORIES = fileURLToPath(new URL('histories', import.meta.url))
const names = readdirSync(HISTORIES).filter((name) => name.endsWith('.json'))

let bundle: { readonly code: string }

beforeAll(async () => {
  installQuietRuntime()
  bundle = await workflowBundle(SILENT)
})

interface JsonHistory {
  events: { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[]
}

function readHistory(name: string): JsonHistory {
  return JSON.parse(readFileSync(`${HISTORIES}/${name}`, 'utf8')) as JsonHistory
}

test('there is a history of each way a run can end', () => {
  expect(names.toSorted()).toEqual([
    'daily-cancelled.json',
    'daily-failed.json',
    'daily-retried.json',
    'daily-succeeded.json',
  ])
})

test.each(names)('%s replays', async (name) => {
  const history = historyFromJSON(readHistory(name))
  await expect(Worker.runReplayHistory({ workflowBundle: bundle }, history, 'replayed')).resolves.toBeUndefined()
})

test('a history of another story does not replay', async () => {
  const changed = readHistory('daily-succeeded.json')
  for (const { activityTaskScheduledEventAttributes: scheduled } of changed.events) {
    if (scheduled?.activityType.name === 'dbtTest') scheduled.activityType.name = 'dbtRun'
  }
  const replay = Worker.runReplayHistory({ workflowBundle: bundle }, historyFromJSON(changed), 'replayed')
  await expect(replay).rejects.toBeInstanceOf(DeterminismViolationError)
})
