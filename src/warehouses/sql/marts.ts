// What a mart holds: rows, NULLs in its key columns, repeated keys, its newest value.
import { failure } from '../../pipeline/failure.ts'
import { didYouMean } from '../../pipeline/near-match.ts'
import type { MartCheck } from '../../pipeline/plan.ts'
import type { MartMeasures } from '../warehouse.ts'
import { countOf, relationSql, type FoundRelation, type Session } from './dialect.ts'

export async function measureMart(session: Session, check: MartCheck): Promise<MartMeasures> {
  const { schema, name } = check.relation
  const found = await session.look(check.relation)
  if (found === undefined) {
    throw failure('MartUnknown', `${schema}.${name} does not exist in the warehouse; run the step that builds it first`)
  }
  const known = found.columns.map((column) => column.name)
  const asked = [...check.key, ...(check.maxAge === undefined ? [] : [check.maxAge.column])]
  const unknown = asked.filter((column) => !known.includes(column))
  if (unknown.length > 0) {
    const names = unknown.map((column) => `'${column}'${didYouMean(column, known)}`).join(', ')
    throw failure('MartUnknown', `${schema}.${name} has no column ${names}; correct its check in the pipeline file`)
  }
  const relation = relationSql(session, check.relation)
  const key = check.key.map((column) => session.dialect.name(column))
  const nulls = key.map((column, index) => `count(*) - count(${column}) AS nulls_${index}`)
  const measures = ['count(*) AS mart_rows', ...nulls, `${newestSql(session, check, found)} AS newest`]
  const [row] = await session.rows(`SELECT ${measures.join(', ')} FROM ${relation}`)
  const newest = row?.['newest']
  const rows = countOf(row?.['mart_rows'])
  const distinct = check.unique
    ? await session.rows(`SELECT count(*) AS n FROM (SELECT DISTINCT ${key.join(', ')} FROM ${relation}) AS keys`)
    : []
  return {
    rows,
    nulls: Object.fromEntries(check.key.map((column, index) => [column, countOf(row?.[`nulls_${index}`])])),
    duplicates: check.unique ? rows - countOf(distinct[0]?.['n']) : null,
    newest: typeof newest === 'string' ? newest : null,
  }
}

/** Of the column that says how old the mart is, as text. Fails with MartUnknown where its type tells no time. */
function newestSql({ dialect }: Session, { maxAge, relation }: MartCheck, { columns }: FoundRelation): string {
  if (maxAge === undefined) return 'NULL'
  const type = columns.find(({ name }) => name === maxAge.column)?.type ?? ''
  const newest = dialect.instantOf(`max(${dialect.finite(dialect.name(maxAge.column))})`, dialect.catalogueType(type))
  if (newest !== undefined) return dialect.isoText(newest)
  throw failure(
    'MartUnknown',
    `${relation.schema}.${relation.name}: column '${maxAge.column}' is ${type}, which tells no age; ` +
      'name a date or timestamp as `max_age: { column }` in the pipeline file',
  )
}
