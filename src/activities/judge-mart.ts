// What a mart's measures are worth: VALID, WARNING or FAILED, check by check.
import { formatSpan } from '../pipeline/duration.ts'
import type { MartCheck } from '../pipeline/plan.ts'
import { formatCount, type MartCheckReport, type MartReport, type MartVerdict } from '../pipeline/report.ts'
import type { MartMeasures } from '../warehouses/warehouse.ts'

/** What a mart is held against besides its own bounds. */
export interface JudgedAgainst {
  /** When the run was scheduled or started. */
  readonly runTimeMs: number
  /** Of the last good run of this pipeline and target; undefined where there was none. */
  readonly lastGood: { readonly rows: number; readonly startedAt: string } | undefined
}

/**
 * Row count within its bounds (else FAILED); NULLs per key column within their share (else FAILED, and a WARNING for
 * any at all); keys unique where asked (else FAILED); the newest value not older, and the rows not fewer, than the
 * thresholds say (else WARNING or FAILED, as the threshold). The mart's verdict is its worst check. What `onEmpty` says
 * of a mart without rows goes before all of them.
 */
export function judgeMart(check: MartCheck, measures: MartMeasures, against: JudgedAgainst): MartReport {
  const isEmpty = measures.rows === 0
  const judged = [
    rowsCheck(check, measures.rows),
    ...check.key.map((column) => (isEmpty ? empty(`${column} not null`) : nullCheck(check, column, measures))),
    ...(measures.duplicates === null ? [] : [isEmpty ? empty('key unique') : uniqueCheck(check, measures.duplicates)]),
    ...(check.maxAge === undefined ? [] : [ageCheck(check.maxAge, measures.newest, against.runTimeMs)]),
    ...(check.maxDrop === undefined ? [] : [dropCheck(check.maxDrop, measures.rows, against.lastGood)]),
  ]
  const checks = isEmpty && check.onEmpty === 'warn' ? judged.map(atMostWarning) : judged
  const verdicts = checks.map(({ verdict }) => verdict)
  return {
    mart: check.mart,
    relation: `${check.relation.schema}.${check.relation.name}`,
    verdict: verdicts.includes('FAILED') ? 'FAILED' : verdicts.includes('WARNING') ? 'WARNING' : 'VALID',
    rows: measures.rows,
    checks,
  }
}

function empty(check: string): MartCheckReport {
  return { check, verdict: 'VALID', detail: 'empty' }
}

function atMostWarning(check: MartCheckReport): MartCheckReport {
  return check.verdict === 'FAILED' ? { ...check, verdict: 'WARNING' } : check
}

function rowsCheck({ minRows, maxRows, onEmpty }: MartCheck, rows: number): MartCheckReport {
  const tooFew = minRows !== undefined && rows < minRows
  const tooMany = maxRows !== undefined && rows > maxRows
  const bound = tooFew
    ? `, at least ${formatCount(minRows)} expected`
    : tooMany
      ? `, at most ${formatCount(maxRows)} expected`
      : ''
  const detail = `${formatCount(rows)} rows${bound}`
  const verdict = tooFew || tooMany ? 'FAILED' : 'VALID'
  if (rows > 0 || onEmpty === undefined) return { check: 'rows', verdict, detail }
  return { check: 'rows', verdict: onEmpty === 'warn' ? 'WARNING' : 'FAILED', detail: bound === '' ? 'empty' : detail }
}

function nullCheck({ maxNullShare }: MartCheck, column: string, { rows, nulls }: MartMeasures): MartCheckReport {
  const count = nulls[column] ?? 0
  const share = count / rows
  const verdict: MartVerdict = share > maxNullShare ? 'FAILED' : count > 0 ? 'WARNING' : 'VALID'
  const detail =
    count === 0
      ? `no NULL in ${column}`
      : `${formatCount(count)} NULLs in ${column} (${percent(share)}, ${percent(maxNullShare)} allowed)`
  return { check: `${column} not null`, verdict, detail }
}

function uniqueCheck({ key }: MartCheck, duplicates: number): MartCheckReport {
  const columns = key.join(', ')
  return duplicates === 0
    ? { check: 'key unique', verdict: 'VALID', detail: `${columns} unique` }
    : { check: 'key unique', verdict: 'FAILED', detail: `${formatCount(duplicates)} rows repeat a key (${columns})` }
}

/** A mart without a value is as stale as can be. A value of the future is not: clocks and dates run ahead. */
function ageCheck(
  { column, warnMs, failMs }: NonNullable<MartCheck['maxAge']>,
  newest: string | null,
  runTimeMs: number,
): MartCheckReport {
  const check = `${column} not stale`
  const ageMs = newest === null ? Infinity : runTimeMs - Date.parse(newest)
  const { verdict, limit } = against(ageMs, { warn: warnMs, fail: failMs })
  const allowed = limit === undefined ? '' : `, ${formatSpan(limit)} allowed`
  if (newest === null) return { check, verdict, detail: `no value in ${column}${allowed}` }
  const age = ageMs < 0 ? `${formatSpan(-ageMs)} after the run's time` : `${formatSpan(ageMs)} old`
  return { check, verdict, detail: `newest ${column} ${age} (${newest})${allowed}` }
}

function dropCheck(
  thresholds: NonNullable<MartCheck['maxDrop']>,
  rows: number,
  lastGood: JudgedAgainst['lastGood'],
): MartCheckReport {
  const check = 'rows not dropped'
  if (lastGood === undefined) return { check, verdict: 'VALID', detail: 'no earlier run to compare with' }
  const before = `the last good run's ${formatCount(lastGood.rows)} (${lastGood.startedAt})`
  const drop = lastGood.rows === 0 ? 0 : (lastGood.rows - rows) / lastGood.rows
  if (drop <= 0) return { check, verdict: 'VALID', detail: `not fewer rows than ${before}` }
  const { verdict, limit } = against(drop, thresholds)
  const allowed = limit === undefined ? '' : `, ${percent(limit)} allowed`
  return { check, verdict, detail: `${percent(drop)} fewer rows than ${before}${allowed}` }
}

/** The worst threshold that is passed, and which one that is. Reaching it is not passing it. */
function against(
  value: number,
  { warn, fail }: { readonly warn?: number | undefined; readonly fail?: number | undefined },
): { readonly verdict: MartVerdict; readonly limit: number | undefined } {
  if (fail !== undefined && value > fail) return { verdict: 'FAILED', limit: fail }
  if (warn !== undefined && value > warn) return { verdict: 'WARNING', limit: warn }
  return { verdict: 'VALID', limit: undefined }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
