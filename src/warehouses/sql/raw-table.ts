// The raw table of a load: made for it, or held to its columns.
import { failure } from '../../pipeline/failure.ts'
import { tableText } from '../../pipeline/identifier.ts'
import type { LoadCommit } from '../warehouse.ts'
import { tableSql, type Session, type Statement } from './dialect.ts'

/**
 * What makes the raw table fit for the load: creates it (`options` goes behind the list of columns), or adds the columns
 * that it may get. Fails with ContractChanged where it has other columns, or is a view.
 */
export async function rawTableChanges(
  session: Session,
  { table, columns, mayHaveMore }: Pick<LoadCommit, 'table' | 'columns' | 'mayHaveMore'>,
  options = '',
): Promise<readonly Statement[]> {
  const { dialect } = session
  const defined = (column: LoadCommit['columns'][number]) =>
    `${dialect.name(column.name)} ${dialect.rawType(column.duckdbType)}`
  const found = await session.look(table)
  if (found === undefined) {
    const list = columns.map(defined).join(', ')
    return [{ sql: `CREATE TABLE ${tableSql(session, table)} (${list})${options}`, values: [] }]
  }
  if (found.kind === 'view') {
    throw failure('ContractChanged', `${tableText(table)} is a view, nothing can be loaded into it; drop or rename it`)
  }
  const present = new Map(found.columns.map(({ name, type }) => [name, dialect.catalogueType(type)]))
  const added = columns.filter((column) => column.mayBeAdded && !present.has(column.name))
  const isAsDeclared = ({ name, duckdbType }: LoadCommit['columns'][number]) =>
    present.get(name) === dialect.catalogueType(dialect.rawType(duckdbType))
  const different = [
    ...columns.filter((column) => !added.includes(column) && !isAsDeclared(column)).map((column) => column.name),
    ...(mayHaveMore ? [] : [...present.keys()].filter((known) => !columns.some((column) => column.name === known))),
  ]
  if (different.length > 0) {
    throw failure(
      'ContractChanged',
      `${tableText(table)} has other columns than its contract (${different.slice(0, 5).join(', ')}); ` +
        `change the table by hand (ALTER TABLE), or move it aside so that it is made anew: ` +
        `ALTER TABLE ${tableText(table)} RENAME TO ${table.table}_old (then run the days that were in it again)`,
    )
  }
  return added.map((column) => ({
    sql: `ALTER TABLE ${tableSql(session, table)} ADD COLUMN ${defined(column)}`,
    values: [],
  }))
}
