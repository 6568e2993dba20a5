// Publishing in BigQuery: live tables are filled in one transaction and never made anew, so that grants and options stay.
import { failure } from '../../pipeline/failure.ts'
import { tableText, type TableName } from '../../pipeline/identifier.ts'
import { BigQueryError } from '../../platform/bigquery/error.ts'
import { runStatement } from '../../platform/bigquery/query.ts'
import type { Field } from '../../platform/bigquery/rest.ts'
import { createTable, describeTable } from '../../platform/bigquery/tables.ts'
import { countOf, relationSql, runAll, tableSql, type Session } from '../sql/dialect.ts'
import {
  planPublication,
  publishedOf,
  publishedRow,
  replaceRows,
  requireCheckedRows,
  type LiveTable,
} from '../sql/publish.ts'
import { PUBLISHED_COLUMNS, tableChanges } from '../sql/tables.ts'
import type { Publication, PublishedMart } from '../warehouse.ts'
import type { Connection } from './connection.ts'
import { checked } from './failure.ts'
import { newJobId, transaction } from './session.ts'
import { sameSpelling } from './types.ts'

/**
 * New tables and columns first, which no reader misses; then all rows at once; columns that are gone last, when nothing
 * reads them any more.
 */
export async function publish(
  connection: Connection,
  session: Session,
  publication: Publication,
): Promise<readonly PublishedMart[]> {
  await session.ensureSchema(publication.to)
  const tables = await planPublication(session, publication)
  await requireSameTypes(session, tables)
  await runAll(session, await tableChanges(session, publishedOf(publication.to), PUBLISHED_COLUMNS))
  const published: PublishedMart[] = []
  for (const table of tables) published.push(requireCheckedRows(table.mart, await candidateRows(session, table)))
  for (const table of tables) await makeReady(connection, session, table)
  const statements = tables.flatMap((table, index) => {
    const rows = published[index]?.rows ?? 0
    return [
      ...replaceRows(session, table),
      isFilled(session, table, rows),
      ...publishedRow(session, publication, table.mart, rows),
    ]
  })
  await runStatement(connection.api, newJobId(), {
    sql: transaction(statements),
    labels: { millrace_purpose: 'publish' },
  })
  for (const table of tables) await dropColumns(session, table)
  return published
}

async function candidateRows(session: Session, { mart }: LiveTable): Promise<number> {
  const [row] = await session.rows(`SELECT COUNT(*) AS n FROM ${relationSql(session, mart.relation)}`)
  return countOf(row?.['n'])
}

/** The candidate is what it was when it was counted. */
function isFilled(session: Session, { live, mart }: LiveTable, rows: number): string {
  return checked(
    `(SELECT COUNT(*) FROM ${tableSql(session, live)}) = ${rows}`,
    'PublishRefused',
    `${mart.relation.schema}.${mart.relation.name} got other rows while it was published: something else writes to it. ` +
      `Nothing was published; end the other program or run, and start this one again`,
  )
}

/** A table of the candidate's columns and layout, or the columns that an existing one lacks. */
async function makeReady({ api, settings }: Connection, session: Session, table: LiveTable): Promise<void> {
  const { live, mart, exists, added } = table
  if (exists) {
    const alter = added.map(({ name, type }) => `ADD COLUMN IF NOT EXISTS ${session.dialect.name(name)} ${type}`)
    if (alter.length > 0) await session.run(`ALTER TABLE ${tableSql(session, live)} ${alter.join(', ')}`)
    return
  }
  const { database, schema, name } = mart.relation
  const candidate = await describeTable(api, { project: database, dataset: schema, table: name })
  await createTable(
    api,
    { project: settings.project, dataset: live.schema, table: live.table },
    {
      columns: (candidate?.columns ?? []).map(openField),
      ...(candidate === undefined ? {} : { layout: candidate.layout }),
    },
  )
}

/** Without NOT NULL, which a column that is dropped later would stand in the way with, and without the candidate's tags. */
function openField({ name, type, mode, precision, scale, maxLength, fields, description }: Field): Field {
  return {
    ...(name === undefined ? {} : { name }),
    ...(type === undefined ? {} : { type }),
    mode: mode === 'REPEATED' ? 'REPEATED' : 'NULLABLE',
    ...(precision === undefined ? {} : { precision }),
    ...(scale === undefined ? {} : { scale }),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(description === undefined ? {} : { description }),
    ...(fields === undefined ? {} : { fields: fields.map(openField) }),
  }
}

/** BigQuery keeps columns that its partitions or clusters are made of; they stay, empty. */
async function dropColumns(session: Session, { live, dropped }: LiveTable): Promise<void> {
  for (const name of dropped) {
    try {
      await session.run(`ALTER TABLE ${tableSql(session, live)} DROP COLUMN IF EXISTS ${session.dialect.name(name)}`)
    } catch (error) {
      if (!(error instanceof BigQueryError)) throw error
    }
  }
}

/** Conversions that BigQuery makes in place. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  INT64: ['NUMERIC', 'BIGNUMERIC', 'FLOAT64'],
  NUMERIC: ['BIGNUMERIC', 'FLOAT64'],
  BIGNUMERIC: ['FLOAT64'],
}

async function requireSameTypes(session: Session, tables: readonly LiveTable[]): Promise<void> {
  const refused: string[] = []
  for (const { live, retyped } of tables.filter((table) => table.retyped.length > 0)) {
    const before = new Map((await session.look(live))?.columns.map(({ name, type }) => [name, type]))
    for (const { name, type } of retyped) refused.push(howToRetype(live, name, before.get(name) ?? 'unknown', type))
  }
  if (refused.length === 0) return
  throw failure('PublishRefused', `${refused.join('\n')}. Nothing was published; do that, then start the run again`)
}

function howToRetype(live: TableName, column: string, from: string, to: string): string {
  const command = (WIDER[sameSpelling(from)] ?? []).includes(sameSpelling(to))
    ? `ALTER TABLE ${tableText(live)} ALTER COLUMN ${column} SET DATA TYPE ${to}`
    : `DROP TABLE ${tableText(live)} (and grant its readers their rights again)`
  return `${tableText(live)}.${column} is ${from}, but the new mart has ${to}: ${command}`
}
