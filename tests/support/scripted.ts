// The real workflow on the real server with activities that a test scripts: for the story's own rules.
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import { inject, onTestFinished } from 'vitest'
import type { Activities } from '../../src/activities/index.ts'
import { BAR_ACTIVITIES } from '../../src/activities/node-bars.ts'
import { LEASE_ACTIVITIES } from '../../src/activities/lease-holder.ts'
import { DBT_ACTIVITIES } from '../../src/pipeline/dbt-command.ts'
import { identifier } from '../../src/pipeline/identifier.ts'
import type { Plan, PlannedStep, RunRequest } from '../../src/pipeline/plan.ts'
import { ingestEntry } from './ingest-entry.ts'
import { installQuietRuntime, SILENT } from './quiet-runtime.ts'
import { endOf, type RunEnd } from './run-end.ts'
import { DEFAULT_POLICIES } from '../../src/pipeline/policies.ts'
import { workflowBundle } from '../../src/temporal/workflow-bundle.ts'
import type { DbtReport, LoadReport } from '../../src/pipeline/report.ts'

installQuietRuntime()

export interface Scripted {
  readonly handle: WorkflowHandle
  readonly client: Client
  /** One more run of the same plan, on the same worker. */
  again(): Promise<Scripted>
  end(): Promise<RunEnd>
}

/** Starts a run of a plan with these activities; those left out succeed. */
export async function runScripted(plan: Plan, activities: Partial<Activities>): Promise<Scripted> {
  const { client, start } = await openScripted(plan, activities)
  const run = async (id: string): Promise<Scripted> => ({
    ...(await start({ id })),
    client,
    again: () => run(`${id}+`),
  })
  return await run(plan.warehouse.taskQueue)
}

export interface ScriptedQueue {
  readonly client: Client
  /** A run on the plan's task queue; the pipeline's name and the request are the plan's and empty when left out. */
  readonly start: (run?: {
    readonly id?: string
    readonly pipeline?: string
    readonly request?: RunRequest
  }) => Promise<Pick<Scripted, 'handle' | 'end'>>
  /** A worker that takes the place of the one that was stopped. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** A worker on the plan's task queue with these activities; those left out succeed. */
export async function openScripted(plan: Plan, activities: Partial<Activities>): Promise<ScriptedQueue> {
  const address = inject('temporalAddress')
  const connection = await NativeConnection.connect({ address })
  const taskQueue = plan.warehouse.taskQueue
  let worker: Worker
  let running: Promise<void>
  const restart = async () => {
    worker = await Worker.create({
      connection,
      taskQueue,
      workflowBundle: await workflowBundle(SILENT),
      activities: { ...succeeding(plan), ...activities },
      maxHeartbeatThrottleInterval: '200ms',
      defaultHeartbeatThrottleInterval: '200ms',
      stickyQueueScheduleToStartTimeout: '1s',
    })
    running = worker.run()
  }
  const stop = async () => {
    if (worker.getState() === 'RUNNING') worker.shutdown()
    await running
  }
  await restart()
  const client = new Client({ connection: await Connection.connect({ address }) })
  onTestFinished(async () => {
    await stop()
    await connection.close()
    await client.connection.close()
  })
  return {
    client,
    restart,
    stop,
    async start({ id = taskQueue, pipeline = plan.pipeline, request = {} } = {}) {
      const handle = await client.workflow.start(pipeline, { taskQueue, workflowId: id, args: [request] })
      return { handle, end: () => endOf(handle) }
    },
  }
}

export const dbtReport: DbtReport = {
  command: 'run',
  invocationId: 'i',
  counts: { success: 2 },
  total: 2,
  takenOver: 0,
  nodes: [],
  bytesBilled: null,
  bytesEstimated: null,
  notEstimated: 0,
  marts: null,
}

export const loadReport: LoadReport = {
  loadId: 'l',
  into: 'raw.events',
  file: 'events.csv',
  files: 1,
  status: 'loaded',
  read: 3,
  loaded: 3,
  superseded: 0,
  rejected: 0,
  removed: 0,
  identicalFiles: [],
  rejectReasons: [],
  rejectsTable: 'raw.events__rejects',
  bytesBilled: null,
  loadedAt: '2026-11-18T00:00:00.000Z',
  durationMs: 1,
}

function succeeding(plan: Plan): Activities {
  const activities = {
    planRun: async () => plan,
    findFiles: async () => 1,
    ...LEASE_ACTIVITIES,
    endLeftRuns: async () => 0,
    ingestTable: async () => loadReport,
    ...Object.fromEntries(
      Object.entries(DBT_ACTIVITIES).map(([command, name]) => [name, async () => ({ ...dbtReport, command })]),
    ),
    dbtTest: async () => ({ ...dbtReport, command: 'test', counts: { pass: 2 } }),
    ...BAR_ACTIVITIES,
    endBars: async () => undefined,
    validateMarts: async () => ({ result: [], bytesBilled: null }),
    publishMarts: async () => ({ result: { to: 'analytics', marts: [], copy: null }, bytesBilled: null }),
    warmCaches: async () => [],
    recordRefresh: async () => undefined,
    readAlerts: async () => ({ alerts: plan.alerts ?? null, target: plan.target }),
    planBackfill: async () => ({ plan, refreshLog: null }),
    goodDays: async () => [],
  }
  return activities as unknown as Activities // fromEntries forgets the names of the commands
}

const FAST = { heartbeatMs: 2_000, lostWorkerDelayMs: 100, retryDelayMs: 100 } as const

/** A plan of its own task queue, with short delays, and these steps. */
export function planOf(name: string, steps: readonly PlannedStep[], change: Partial<Plan> = {}): Plan {
  const taskQueue = `${name}-${Math.random().toString(36).slice(2, 8)}`
  const { ingest, dbt, validate, publish, warm, record } = DEFAULT_POLICIES
  return {
    pipeline: 'scripted',
    description: '',
    target: 'dev',
    logicalDate: '2026-11-18',
    runTime: '2026-11-19T02:00:00.000Z',
    params: {},
    lease: { lock: 'scripted', target: 'dev', taskQueue },
    warehouse: { kind: 'duckdb', label: 'w.duckdb', schema: identifier('analytics'), taskQueue },
    dbt: { projectDir: 'dbt', profilesDir: 'dbt', executable: null, digest: 'd', nodeBars: true, marts: [] },
    steps,
    bigquery: { stagingBucket: null, maxBytesBilled: null },
    timeoutMs: 60_000,
    policies: {
      ingest: { ...ingest, ...FAST },
      dbt: { ...dbt, ...FAST },
      validate: { ...validate, ...FAST },
      publish: { ...publish, ...FAST },
      warm: { ...warm, ...FAST },
      record: { ...record, ...FAST },
    },
    searchAttributes: true,
    takeOver: null,
    obstacle: null,
    ...change,
  }
}

export function dbtStep(
  command: 'run' | 'test',
  change: Partial<Extract<PlannedStep, { kind: 'dbt' }>> = {},
): PlannedStep {
  return {
    kind: 'dbt',
    id: `dbt-${command}`,
    onFailure: 'fail',
    skipped: false,
    command,
    select: [],
    exclude: [],
    options: {},
    retries: 0,
    retryDelayMs: 100,
    retryTests: false,
    timeoutMs: 60_000,
    ...change,
  }
}

export function ingestStep(...tables: readonly string[]): PlannedStep {
  return {
    kind: 'ingest',
    id: 'ingest',
    onFailure: 'fail',
    skipped: false,
    entries: tables.map((table) => ingestEntry({ into: { schema: identifier('raw'), table: identifier(table) } })),
  }
}
