// validateMarts: what each mart holds, against what the pipeline file asks of it.
import type { Identifier } from '../pipeline/identifier.ts'
import type { MartCheck } from '../pipeline/plan.ts'
import type { MartReport } from '../pipeline/report.ts'
import type { ActivityDeps, Billed, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { judgeMart } from './judge-mart.ts'
import { withWarehouse } from './with-warehouse.ts'

export interface ValidateMartsInput {
  readonly plan: RunContext
  readonly marts: readonly MartCheck[]
  /** ISO 8601: what the age of a mart is counted from. */
  readonly runTime: string
  /** Knows the rows of earlier runs. */
  readonly refreshLog: Identifier | null
}

/** A report per mart, in order. Broken bounds are verdicts, not errors: all marts are looked at. */
export function createValidateMarts(deps: ActivityDeps) {
  return async function validateMarts({
    plan,
    marts,
    runTime,
    refreshLog,
  }: ValidateMartsInput): Promise<Billed<MartReport[]>> {
    return await withHeartbeat((_show, abort) =>
      withWarehouse(deps, plan, abort, async ({ open }) => {
        const warehouse = await open()
        const comparesRows = marts.some(({ maxDrop }) => maxDrop !== undefined)
        const lastGood =
          refreshLog !== null && comparesRows
            ? await warehouse.lastGoodMarts({ schema: plan.warehouse.schema, table: refreshLog }, plan)
            : new Map<string, never>()
        const reports: MartReport[] = []
        for (const mart of marts) {
          const measures = await warehouse.measureMart(mart)
          reports.push(judgeMart(mart, measures, { runTimeMs: Date.parse(runTime), lastGood: lastGood.get(mart.mart) }))
        }
        return { result: reports, bytesBilled: warehouse.bytesBilled() }
      }),
    )
  }
}
