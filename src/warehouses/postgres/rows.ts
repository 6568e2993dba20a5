// Rows of a load into Postgres: the engine writes COPY's text format into a pipe, the connection sends what comes out.
import { tableText } from '../../pipeline/identifier.ts'
import { failure } from '../../pipeline/failure.ts'
import type { StreamCounts, Take } from '../../ingest/load-stream.ts'
import { quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import { throughPipe } from '../../platform/pipe.ts'
import type { PostgresSession } from '../../platform/postgres.ts'
import type { RowWriter } from '../sql/commit.ts'
import { newestSql, tableSql, type Session } from '../sql/dialect.ts'
import { REJECTS_COLUMNS } from '../sql/tables.ts'
import { rejectsTable, type LoadCommit } from '../warehouse.ts'

interface Column {
  readonly name: string
  readonly isText: boolean
}

/** Ways of a query of the engine into a table: `pipe` is the path of a named one, made when it is first needed. */
export interface RowPlace {
  readonly session: Session
  readonly connection: PostgresSession
  readonly engine: Engine
  readonly pipe: () => Promise<string>
}

export function postgresRows(place: RowPlace): RowWriter {
  const { session } = place
  return {
    async rows(load) {
      const columns = rowColumns(load)
      if (load.mode === 'upsert') return await upsert(place, load, columns)
      return await load.stream.rows(copyInto(place, tableSql(session, load.table), columns, tableText(load.table)))
    },
    rejects: ({ table }) => {
      const rejects = rejectsTable(table)
      const columns = REJECTS_COLUMNS.map(({ name, type }) => ({ name, isText: type === 'text' }))
      return copyInto(place, tableSql(session, rejects), columns, tableText(rejects))
    },
  }
}

/** The row's columns in their order, and which of them can hold any character. */
function rowColumns({ stream, columns }: LoadCommit): readonly Column[] {
  const texts = new Set(
    columns.flatMap(({ name, duckdbType }) => (['VARCHAR', 'JSON'].includes(duckdbType) ? [name] : [])),
  )
  return stream.columns.map((name) => ({ name, isText: texts.has(name) }))
}

/** Sends each query's rows into the table. Fails with CountsDisagree when Postgres took other than the engine gave. */
function copyInto(
  { connection, engine, pipe }: RowPlace,
  table: string,
  columns: readonly Column[],
  what: string,
): Take {
  const list = columns.map(({ name }) => quoteName(name)).join(', ')
  return async (query) => {
    const path = await pipe()
    const [sent, taken] = await throughPipe(
      path,
      () => engine.run(copyText(query, columns, path)),
      (bytes) => connection.copyIn(`COPY ${table} (${list}) FROM STDIN WITH (FORMAT text, ENCODING 'UTF8')`, bytes),
    )
    if (sent === taken) return taken
    throw failure(
      'CountsDisagree',
      `${what}: ${sent} rows were sent, but Postgres took ${taken}; nothing was kept. ` +
        `Look for triggers or rules on the table that keep rows out`,
    )
  }
}

/**
 * The statement of the engine that writes COPY's text format: columns between tabs, NULL as `\N`. Not CSV: up to version 17
 * Postgres takes a line `\.` for the end of the data there, and drops what comes behind it without a word.
 */
function copyText(query: string, columns: readonly Column[], pipe: string): string {
  const list = columns.map(({ name, isText }) =>
    isText ? `${escaped(`CAST(${quoteName(name)} AS VARCHAR)`)} AS ${quoteName(name)}` : quoteName(name),
  )
  // Without quotes the engine writes each value as it is.
  const format = String.raw`FORMAT csv, HEADER false, DELIMITER e'\t', QUOTE '', ESCAPE '', NULLSTR '\N'`
  return `COPY (SELECT ${list.join(', ')} FROM (${query}))
    TO ${quoteText(pipe)} (${format}, COMPRESSION 'none', USE_TMP_FILE false)`
}

/** Four looks for what needs it cost a third of four replacements (bench/postgres.ts): few texts do. */
function escaped(text: string): string {
  const special = [`'\\'`, 'chr(9)', 'chr(10)', 'chr(13)']
  const written = [String.raw`'\\'`, String.raw`'\t'`, String.raw`'\n'`, String.raw`'\r'`]
  const needsIt = special.map((character) => `contains(${text}, ${character})`).join(' OR ')
  const replaced = special.reduce(
    (inner, character, index) => `replace(${inner}, ${character}, ${written[index]})`,
    text,
  )
  return `CASE WHEN ${needsIt} THEN ${replaced} ELSE ${text} END`
}

const STAGED = 'millrace_staged'

/** Into a table of the session first, of which each key has one row; keys are never NULL. */
async function upsert(place: RowPlace, load: LoadCommit, columns: readonly Column[]): Promise<StreamCounts> {
  const { session } = place
  const table = tableSql(session, load.table)
  const names = columns.map(({ name }) => quoteName(name))
  const list = names.join(', ')
  await session.run(`CREATE TEMP TABLE ${STAGED} ON COMMIT DROP AS SELECT ${list} FROM ${table} WITH NO DATA`)
  const counts = await load.stream.rows(copyInto(place, STAGED, columns, tableText(load.table)))
  // Nobody else knows how large it is, and on the planner's guess a join would look at all pairs.
  await session.run(`ANALYZE ${STAGED}`)
  const sameKey = load.key.map((column) => `stored.${quoteName(column)} = incoming.${quoteName(column)}`).join(' AND ')
  const updated = await session.run(
    `UPDATE ${table} AS stored SET ${names.map((name) => `${name} = incoming.${name}`).join(', ')}
     FROM ${STAGED} AS incoming WHERE ${sameKey}${isNewer(session, load)}`,
  )
  const inserted = await session.run(
    `INSERT INTO ${table} (${list}) SELECT ${list} FROM ${STAGED} AS incoming
     WHERE NOT EXISTS (SELECT 1 FROM ${table} AS stored WHERE ${sameKey})`,
  )
  const changed = updated + inserted
  return { ...counts, rows: changed, superseded: counts.superseded + counts.rows - changed }
}

function isNewer(session: Session, { stream: { newestBy } }: LoadCommit): string {
  if (newestBy === undefined) return ''
  // Texts by their bytes, as the engine compares them, whatever the database's language is.
  const collation = newestBy.asText === null && newestBy.type.kind === 'string' ? ' COLLATE "C"' : ''
  const [stored, incoming] = ['stored', 'incoming'].map((row) => `${newestSql(session, newestBy, row)}${collation}`)
  return ` AND (${stored} IS NULL OR ${incoming} >= ${stored})`
}
