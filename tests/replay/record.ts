// Saves a run's history for the replay test: node tests/replay/record.ts WORKFLOW_ID NAME (with TEMPORAL_ADDRESS set).
// Do it for each new shape of run, and never for one that is there: old histories are the promise.
import { writeFileSync } from 'node:fs'
import { Client, Connection } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'

const [workflowId = '', name = ''] = process.argv.slice(2)
const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233' })
const history = await new Client({ connection }).workflow.getHandle(workflowId).fetchHistory()
// Who polled, from which machine and folder, is no part of a replay.
const LEFT_OUT: Record<string, string> = { identity: 'worker', stackTrace: '' }
const text = JSON.stringify(JSON.parse(historyToJSON(history)), (key, value: unknown) => {
  const stickyQueue = typeof value === 'string' && /^\d+@/.test(value)
  return LEFT_OUT[key] ?? (stickyQueue ? '1@worker' : value)
})
writeFileSync(new URL(`histories/${name}.json`, import.meta.url), `${text}\n`)
await connection.close()
