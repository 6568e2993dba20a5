// One load by the real activity, without Temporal and the rest of the stack: small enough to be killed in every round.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import type { ActivityDeps, RunContext } from '../../src/activities/context.ts'
import { createIngestTable } from '../../src/activities/ingest-table.ts'
import { identifier } from '../../src/pipeline/identifier.ts'
import type { PlannedWarehouse } from '../../src/pipeline/plan.ts'
import type { LoadReport } from '../../src/pipeline/report.ts'
import { workspaceAt } from '../../src/platform/workspace.ts'
import { contractOf, ingestEntry } from '../support/ingest-entry.ts'
import { writeProfiles, type ProfileOutput } from '../support/profiles.ts'

export interface LoadRequest {
  /** The workspace: its profile says where the warehouse is. */
  readonly root: string
  readonly kind: PlannedWarehouse['kind']
  readonly runId: string
  /** Of the activity, from 1. */
  readonly attempt: number
}

/** A workspace whose profile has this one target. */
export async function writeWorkspace(root: string, output: ProfileOutput): Promise<void> {
  await mkdir(path.join(root, 'dbt'), { recursive: true })
  await mkdir(path.join(root, 'in'), { recursive: true })
  await writeFile(path.join(root, 'dbt', 'dbt_project.yml'), 'name: p\nprofile: millrace\n')
  await writeProfiles(path.join(root, 'dbt'), { dev: output })
}

/** The batch's file: as many good records, each with the note, and a few whose id is no number. */
export async function writeBatch(root: string, batch: Batch): Promise<void> {
  const good = Array.from({ length: batch.rows }, (_, id) => `${id},${batch.note}`)
  const bad = Array.from({ length: batch.rejects }, (_, index) => `x${index},${batch.note}`)
  await writeFile(path.join(root, 'in', 'logs.csv'), ['id,note', ...good, ...bad, ''].join('\n'))
}

export interface Batch {
  readonly note: string
  readonly rows: number
  readonly rejects: number
}

/** Loads the file into raw.logs, replacing the day's batch. */
export async function loadOnce({ root, kind, runId, attempt }: LoadRequest): Promise<LoadReport> {
  const deps: ActivityDeps = {
    workspace: workspaceAt(root),
    python: 'none',
    searchAttributes: false,
    serveWarehouse: async () => 'queue',
  }
  const plan: RunContext = {
    pipeline: 'daily',
    target: 'dev',
    logicalDate: '2026-11-18',
    params: {},
    warehouse: { kind, label: 'w', schema: identifier('dev'), taskQueue: 'queue' },
    dbt: { projectDir: 'dbt', profilesDir: 'dbt', executable: null, digest: '', nodeBars: false, marts: [] },
    bigquery: { stagingBucket: null, maxBytesBilled: null },
  }
  const contract = contractOf({ id: 'int', note: 'string' })
  const entry = ingestEntry({ files: 'in/*.csv', inbox: 'in', contract, maxRejectShare: 0.01 })
  const environment = new MockActivityEnvironment(
    { workflowExecution: { workflowId: 'w', runId }, attempt },
    { logger: new DefaultLogger('ERROR', () => undefined) },
  )
  return await environment.run(createIngestTable(deps), { plan, entry })
}
