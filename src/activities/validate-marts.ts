// validateMarts: what each mart holds, against what the pipeline file asks of it.
import type { MartCheck } from '../pipeline/plan.ts'
import { formatCount, type MartCheckReport, type MartReport, type MartVerdict } from '../pipeline/report.ts'
import type { MartMeasures } from '../warehouses/warehouse.ts'
import type { ActivityDeps, Billed, RunContext } from './context.ts'
import { withHeartbeat } from './heartbeat.ts'
import { withWarehouse } from './with-warehouse.ts'

export interface ValidateMartsInput {
  readonly plan: RunContext
  readonly marts: readonly MartCheck[]
}

/** A report per mart, in order. Broken bounds are verdicts, not errors: all marts are looked at. */
export function createValidateMarts(deps: ActivityDeps) {
  return async function validateMarts({ plan, marts }: ValidateMartsInput): Promise<Billed<MartReport[]>> {
    return await withHeartbeat((_show, abort) =>
      withWarehouse(deps, plan, abort, async ({ open }) => {
        const warehouse = await open()
        const reports: MartReport[] = []
        for (const mart of marts) reports.push(judgeMart(mart, await warehouse.measureMart(mart)))
        return { result: reports, bytesBilled: warehouse.bytesBilled() }
      }),
    )
  }
}

/**
 * Row count within its bounds (else FAILED); NULLs per key column within their share (else FAILED, and a WARNING for
 * any at all); keys unique where asked (else FAILED). The mart's verdict is its worst check.
 */
export function judgeMart(check: MartCheck, measures: MartMeasures): MartReport {
  const checks = [rowsCheck(check, measures.rows), ...check.key.map((column) => nullCheck(check, column, measures))]
  if (measures.duplicates !== null) checks.push(uniqueCheck(check, measures.duplicates))
  const verdicts = checks.map(({ verdict }) => verdict)
  return {
    mart: check.mart,
    relation: `${check.relation.schema}.${check.relation.name}`,
    verdict: verdicts.includes('FAILED') ? 'FAILED' : verdicts.includes('WARNING') ? 'WARNING' : 'VALID',
    rows: measures.rows,
    checks,
  }
}

function rowsCheck({ minRows, maxRows }: MartCheck, rows: number): MartCheckReport {
  const tooFew = minRows !== undefined && rows < minRows
  const tooMany = maxRows !== undefined && rows > maxRows
  const bound = tooFew
    ? `, at least ${formatCount(minRows)} expected`
    : tooMany
      ? `, at most ${formatCount(maxRows)} expected`
      : ''
  return { check: 'rows', verdict: tooFew || tooMany ? 'FAILED' : 'VALID', detail: `${formatCount(rows)} rows${bound}` }
}

function nullCheck({ maxNullShare }: MartCheck, column: string, { rows, nulls }: MartMeasures): MartCheckReport {
  const count = nulls[column] ?? 0
  const share = rows === 0 ? 0 : count / rows
  const verdict: MartVerdict = share > maxNullShare ? 'FAILED' : count > 0 ? 'WARNING' : 'VALID'
  const detail =
    count === 0
      ? `no NULL in ${column}`
      : `${formatCount(count)} NULLs in ${column} (${(share * 100).toFixed(1)} %, ${(maxNullShare * 100).toFixed(1)} % allowed)`
  return { check: `${column} not null`, verdict, detail }
}

function uniqueCheck({ key }: MartCheck, duplicates: number): MartCheckReport {
  const columns = key.join(', ')
  return duplicates === 0
    ? { check: 'key unique', verdict: 'VALID', detail: `${columns} unique` }
    : { check: 'key unique', verdict: 'FAILED', detail: `${formatCount(duplicates)} rows repeat a key (${columns})` }
}
