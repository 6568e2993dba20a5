// One run at a time as a user meets it, and a backfill whose worker is killed: real CLI, worker, dbt and warehouse.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { leaseHolderOf } from '../../src/activities/lease-holder.ts'
import { backfillId, type BackfillReport, type BackfillRequest } from '../../src/pipeline/backfill.ts'
import { leaseId } from '../../src/pipeline/lease.ts'
import { millrace, startWorkerProcess, taskQueueOf } from '../support/cli.ts'
import { QUICK_POLICIES } from '../support/quick-policies.ts'
import { query } from '../support/warehouse.ts'
import { makeWorkspace } from '../support/workspace.ts'

/** Writes what `daily` writes, so they share its lease. */
const LOADS_ONLY = `name: loads-only
lock: daily
dbt: { project_dir: dbt }
params:
  date: { type: date, default: yesterday }
steps:
  - ingest:
      - into: raw.viewing_logs
        files: data/inbox/viewing_logs-{date}.csv
        rejects: { max_share: 0.01 }
refresh_log: dbt_refresh_log
`

test(
  'a second run is refused or waits; a backfill does what is missing, in order, though its worker is killed',
  { timeout: 240_000 },
  async () => {
    const workspace = await makeWorkspace()
    const taskQueue = taskQueueOf(workspace)
    await writeFile(path.join(workspace.pipelinesDir, 'loads-only.yml'), LOADS_ONLY)
    const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
    onTestFinished(() => client.connection.close())
    const worker = await startWorkerProcess(workspace)

    const detached = await millrace(workspace, ['run', 'daily', '--date', '2026-11-18', '--detach', '--json'])
    const { workflowId } = JSON.parse(detached.stdout) as { workflowId: string }
    const lease = leaseId(taskQueue, { lock: 'daily', target: 'dev' })
    await vi.waitFor(async () => expect(await leaseHolderOf(client, lease)).toBe(workflowId), 30_000)

    const [refused, waited] = await Promise.all([
      millrace(workspace, ['run', 'loads-only', '--date', '2026-11-18']),
      // What was yesterday at that time.
      millrace(workspace, ['run', 'loads-only', '--at', '2026-11-19T02:00Z', '--wait']),
    ])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(`${workflowId} holds the lease of daily on dev`)
    expect(refused.stderr).toContain(`npx millrace follow ${workflowId}`)
    expect({ code: waited.code, said: waited.stdout }).toEqual({
      code: 0,
      said: expect.stringMatching(new RegExp(`waiting: ${workflowId} holds the lease[^]*2,885 loaded`)),
    })

    const request: BackfillRequest = {
      pipeline: 'loads-only',
      target: 'dev',
      from: '2026-11-17',
      to: '2026-11-19',
      dateParam: 'date',
      request: { target: 'dev', policies: QUICK_POLICIES },
      redo: false,
      keepGoing: false,
      daysPerExecution: 100,
      done: [],
    }
    const id = backfillId(taskQueue, 'loads-only', 'dev')
    const backfill = await client.workflow.start('backfill', { taskQueue, workflowId: id, args: [request] })
    await vi.waitFor(async () => {
      const { days } = await backfill.query<BackfillReport>('days')
      expect(days[0]?.state).toBe('running')
    }, 30_000)
    const second = await millrace(workspace, ['backfill', 'loads-only', '--from', '2026-11-17', '--to', '2026-11-17'])
    expect({ code: second.code, said: second.stderr }).toEqual({
      code: 2,
      said: expect.stringContaining(`follow ${id}`),
    })
    worker.process.kill('SIGKILL')
    await worker.ended
    await startWorkerProcess(workspace)
    const followed = await millrace(workspace, ['follow', id])
    expect(followed.code).toBe(0)
    expect(followed.stdout).toMatch(/2026-11-17 {2}succeeded[^]*2026-11-18 {2}good before[^]*2026-11-19 {2}succeeded/)
    const log =
      "select cast(logical_date as text) d from analytics_dev.dbt_refresh_log where pipeline = 'loads-only' order by run_date"
    expect((await query(workspace, log)).map(({ d }) => d)).toEqual(['2026-11-18', '2026-11-17', '2026-11-19'])
    const wrong = await millrace(workspace, ['backfill', 'loads-only', '--from', '2026-11-31', '--to', 'today'])
    expect({ code: wrong.code, said: wrong.stderr }).toEqual({
      code: 2,
      said: expect.stringMatching(/--from '2026-11-31' is not an existing day.*--to 'today' is not/),
    })
  },
)
