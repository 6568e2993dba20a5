// What activities are given: the composition root makes one of these, tests another.
import { failure } from '../pipeline/failure.ts'
import type { DbtHosts } from '../dbt/launcher.ts'
import type { Plan } from '../pipeline/plan.ts'
import type { Workspace } from '../platform/workspace.ts'
import type { WarehouseAddress } from '../warehouses/warehouse.ts'

export interface ActivityDeps {
  readonly workspace: Workspace
  /** Python of the environment that holds dbt. */
  readonly python: string
  /** Where dbt is kept warm; without it each command is a process of its own. */
  readonly dbtHosts?: DbtHosts
  /** Whether the server knows Millrace's search attributes. */
  readonly searchAttributes: boolean
  /** Makes sure that a worker of this process serves the warehouse's task queue, and returns the queue's name. */
  readonly serveWarehouse: (address: WarehouseAddress) => Promise<string>
  /** A run's page in Temporal's UI, for alerts; left out where nobody said where that is. */
  readonly runLink?: (workflowId: string, runId: string) => string | undefined
}

/** Fails with ProfileInvalid when the profile means another warehouse now than when the run was planned. */
export function requirePlannedWarehouse(context: RunContext, taskQueueNow: string): void {
  if (taskQueueNow === context.warehouse.taskQueue) return
  throw failure(
    'ProfileInvalid',
    `target '${context.target}' now means another warehouse than when this run was planned (${context.warehouse.label}); ` +
      `set the profile or its variables back, or start a new run`,
  )
}

/** What was done, and what the warehouse bills for it; null where it does not bill by bytes. */
export interface Billed<Result> {
  readonly result: Result
  readonly bytesBilled: number | null
}

/** The part of a plan that each activity gets besides its own step. */
export type RunContext = Pick<Plan, 'pipeline' | 'target' | 'logicalDate' | 'params' | 'warehouse' | 'dbt' | 'bigquery'>
