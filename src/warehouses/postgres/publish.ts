// Publishing in Postgres: the live tables stay the ones they are, with their grants and comments, and get other rows.
import { failure } from '../../pipeline/failure.ts'
import { tableText } from '../../pipeline/identifier.ts'
import { errorCode } from '../../platform/files.ts'
import { relationSql, tableSql, type Session } from '../sql/dialect.ts'
import { replaceRows, type LiveTable } from '../sql/publish.ts'

/** To be run in publish's transaction: readers see the old rows until it is committed. */
export async function fillLiveTable(session: Session, table: LiveTable): Promise<number> {
  const live = tableSql(session, table.live)
  if (!table.exists) {
    await session.run(`CREATE TABLE ${live} AS SELECT * FROM ${relationSql(session, table.mart.relation)} WITH NO DATA`)
  }
  const [empty, insert] = replaceRows(session, table)
  await session.run(empty.sql)
  const changes = columnChanges(session, table)
  if (changes.length > 0) await alter(session, table, `ALTER TABLE ${live} ${changes.join(', ')}`)
  return await session.run(insert.sql)
}

/** The table is empty by then: no value has to become one of the new type, so any type can follow any other. */
function columnChanges({ dialect }: Session, { added, retyped, dropped }: LiveTable): string[] {
  return [
    ...dropped.map((name) => `DROP COLUMN ${dialect.name(name)}`),
    ...retyped.map(({ name, type }) => `ALTER COLUMN ${dialect.name(name)} TYPE ${type} USING NULL::${type}`),
    ...added.map(({ name, type }) => `ADD COLUMN ${dialect.name(name)} ${type}`),
  ]
}

/** Other objects depend on the column: 2BP01 forbids to drop it, 0A000 to change its type. */
const DEPENDED_ON = new Set(['2BP01', '0A000'])

async function alter(session: Session, { live, added, retyped, dropped }: LiveTable, sql: string): Promise<void> {
  try {
    await session.run(sql)
  } catch (error) {
    if (!DEPENDED_ON.has(errorCode(error) ?? '')) throw error
    const columns = [...dropped, ...[...retyped, ...added].map(({ name }) => name)].join(', ')
    const drop = dropOfDependent(error)
    throw failure(
      'PublishRefused',
      `${tableText(live)} gets other columns (${columns}), but something depends on one of them ` +
        `(${error instanceof Error ? error.message : String(error)}). Nothing was published; drop what depends on it, start the ` +
        `run again, and make it anew afterwards${drop === undefined ? '' : `: ${drop}`}`,
    )
  }
}

/** From `view analytics.v depends on column x of …` or `rule _RETURN on view analytics.v depends on …`. */
function dropOfDependent(error: unknown): string | undefined {
  const detail = error instanceof Error && 'detail' in error && typeof error.detail === 'string' ? error.detail : ''
  const [, kind, name] = /(materialized view|view) (\S+) depends on/.exec(detail) ?? []
  return kind === undefined ? undefined : `DROP ${kind.toUpperCase()} ${name}`
}
