// Publishing: checked marts are copied from where dbt built them into the live schema, and a row says where each came from.
import { failure } from '../../pipeline/failure.ts'
import { tableText, type Identifier, type TableName } from '../../pipeline/identifier.ts'
import type { Publication, PublishedMart } from '../warehouse.ts'
import { relationSql, runAll, tableSql, type FoundRelation, type Session, type Statement } from './dialect.ts'
import { insertRow, PUBLISHED_COLUMNS, tableChanges } from './tables.ts'

type Mart = Publication['marts'][number]
type Column = FoundRelation['columns'][number]

/** What is to be done with one mart's live table before its rows are replaced. */
export interface LiveTable {
  readonly mart: Mart
  readonly live: TableName
  /** The candidate's, in its order. */
  readonly columns: readonly Column[]
  readonly exists: boolean
  readonly added: readonly Column[]
  readonly retyped: readonly Column[]
  readonly dropped: readonly string[]
}

/** The row of each published mart, one table in each live schema. */
export function publishedOf(schema: Identifier): TableName {
  return { schema, table: 'millrace_published' as TableName['table'] }
}

/**
 * Publishes all marts, to be run in a transaction. `fill` makes a live table fit for its candidate's columns, replaces its
 * rows, and returns how many it has then.
 */
export async function publish(
  session: Session,
  publication: Publication,
  fill: (table: LiveTable) => Promise<number>,
): Promise<readonly PublishedMart[]> {
  await session.ensureSchema(publication.to)
  const tables = await planPublication(session, publication)
  await runAll(session, await tableChanges(session, publishedOf(publication.to), PUBLISHED_COLUMNS))
  const published: PublishedMart[] = []
  for (const table of tables) {
    const rows = await fill(table)
    published.push(requireCheckedRows(table.mart, rows))
    await runAll(session, publishedRow(session, publication, table.mart, rows))
  }
  return published
}

/**
 * Looks at all candidates and live tables. Fails with MartUnknown for a candidate that is not there, and with
 * PublishRefused where a live name is a view, or belongs to the marts of another schema; all of them at once.
 */
export async function planPublication(session: Session, publication: Publication): Promise<readonly LiveTable[]> {
  const published = await publishedBefore(session, publication.to)
  const tables: LiveTable[] = []
  const missing: string[] = []
  const refused: string[] = []
  for (const mart of publication.marts) {
    const live: TableName = { schema: publication.to, table: mart.mart }
    const candidate = await session.look(mart.relation)
    if (candidate === undefined) {
      missing.push(`${mart.relation.schema}.${mart.relation.name}`)
      continue
    }
    const found = await session.look(live)
    const before = published.get(mart.mart)
    if (found?.kind === 'view') {
      refused.push(`${tableText(live)} is a view; drop it, then start the run again: DROP VIEW ${tableText(live)}`)
    }
    if (before !== undefined && before.candidate !== candidateText(mart))
      refused.push(othersMart(publication, mart, before))
    tables.push({ mart, live, ...differences(session, candidate, found) })
  }
  if (missing.length > 0) {
    throw failure('MartUnknown', `${missing.join(', ')}: not in the warehouse; run the step that builds it first`)
  }
  if (refused.length > 0) throw failure('PublishRefused', `${refused.join('\n')}. Nothing was published`)
  return tables
}

function differences({ dialect }: Session, candidate: FoundRelation, live: FoundRelation | undefined) {
  const { columns } = candidate
  if (live === undefined) return { columns, exists: false, added: [], retyped: [], dropped: [] }
  const there = new Map(live.columns.map(({ name, type }) => [name, dialect.catalogueType(type)]))
  const wanted = new Set(columns.map(({ name }) => name))
  return {
    columns,
    exists: true,
    added: columns.filter(({ name }) => !there.has(name)),
    retyped: columns.filter(({ name, type }) => there.has(name) && there.get(name) !== dialect.catalogueType(type)),
    dropped: [...there.keys()].filter((name) => !wanted.has(name)),
  }
}

function candidateText({ relation: { database, schema, name } }: Mart): string {
  return `${database}.${schema}.${name}`
}

interface PublishedBefore {
  readonly candidate: string
  readonly pipeline: string
  readonly target: string
}

async function publishedBefore(session: Session, schema: Identifier): Promise<ReadonlyMap<string, PublishedBefore>> {
  const table = publishedOf(schema)
  if ((await session.look(table)) === undefined) return new Map()
  const rows = await session.rows(`SELECT mart, candidate, pipeline, target FROM ${tableSql(session, table)}`)
  return new Map(
    rows.map((row) => [
      String(row['mart']),
      { candidate: String(row['candidate']), pipeline: String(row['pipeline']), target: String(row['target']) },
    ]),
  )
}

/** So that a run on dev does not put its marts before the people who read prod's. */
function othersMart({ to, target }: Publication, mart: Mart, before: PublishedBefore): string {
  return (
    `${to}.${mart.mart} comes from ${before.candidate} (pipeline ${before.pipeline}, target ${before.target}), and this run would put ` +
    `${candidateText(mart)} there. Give target ${target} a live schema of its own in the pipeline file ` +
    `(publish: { to: { ${before.target}: ${to}, ${target}: ${to}_${target} } }); or, if it is to change hands: ` +
    `DELETE FROM ${tableText(publishedOf(to))} WHERE mart = '${mart.mart}'`
  )
}

/** Takes all rows out and puts the candidate's in; the second statement's count is the mart's rows. */
export function replaceRows(session: Session, { mart, live, columns }: LiveTable): readonly [Statement, Statement] {
  const names = columns.map(({ name }) => session.dialect.name(name)).join(', ')
  return [
    { sql: `DELETE FROM ${tableSql(session, live)} WHERE true`, values: [] },
    {
      sql: `INSERT INTO ${tableSql(session, live)} (${names}) SELECT ${names} FROM ${relationSql(session, mart.relation)}`,
      values: [],
    },
  ]
}

export function publishedRow(
  session: Session,
  publication: Publication,
  mart: Mart,
  rows: number,
): readonly Statement[] {
  const table = publishedOf(publication.to)
  return [
    { sql: `DELETE FROM ${tableSql(session, table)} WHERE mart = ?`, values: [mart.mart] },
    insertRow(session, table, PUBLISHED_COLUMNS, {
      mart: mart.mart,
      candidate: candidateText(mart),
      pipeline: publication.pipeline,
      target: publication.target,
      logical_date: publication.logicalDate,
      mart_rows: rows,
      run_id: publication.runId,
      published_at: publication.publishedAt,
    }),
  ]
}

/** What was checked is what is published: fails with PublishRefused when the mart has other rows than its check counted. */
export function requireCheckedRows({ mart, expectedRows, relation }: Mart, rows: number): PublishedMart {
  if (expectedRows === null || rows === expectedRows) return { mart, rows }
  throw failure(
    'PublishRefused',
    `${relation.schema}.${relation.name} has ${rows} rows now, but had ${expectedRows} when it was checked: something else writes ` +
      `to it. Nothing was published; end the other program or run, and start this one again`,
  )
}
