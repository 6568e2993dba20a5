// The shared statements' session on BigQuery.
import { randomUUID } from 'node:crypto'
import { readRows, runStatement } from '../../platform/bigquery/query.ts'
import { describeTable } from '../../platform/bigquery/tables.ts'
import type { Session, Statement } from '../sql/dialect.ts'
import type { Connection } from './connection.ts'
import { bigqueryDialect, withLiterals, withParameters } from './dialect.ts'
import { typeText } from './types.ts'

export function bigquerySession(connection: Connection): Session {
  const { api, settings } = connection
  const stream: Session['stream'] = (sql, values = []) => readRows(api, withParameters({ sql, values }))
  return {
    dialect: bigqueryDialect(settings.project),
    async run(sql, values = []) {
      const { dml } = await runStatement(api, newJobId(), withParameters({ sql, values }))
      return dml.inserted + dml.updated + dml.deleted
    },
    rows: (sql, values) => Array.fromAsync(stream(sql, values)),
    stream,
    async look(relation) {
      const path =
        'table' in relation
          ? { project: settings.project, dataset: relation.schema, table: relation.table }
          : { project: relation.database, dataset: relation.schema, table: relation.name }
      const found = await describeTable(api, path)
      if (found === undefined) return undefined
      await connection.requireSameLocation(path.project, path.dataset)
      return {
        kind: found.kind === 'TABLE' ? 'table' : 'view',
        columns: found.columns.map((field) => ({ name: field.name ?? '', type: typeText(field) })),
      }
    },
    ensureSchema: (schema) => connection.ensureDataset(schema),
  }
}

/** Of work that does no harm when another attempt does it again: a lost answer is asked for once more all the same. */
export function newJobId(): string {
  return `millrace_${randomUUID()}`
}

/** All statements or none of them; what stands behind the COMMIT is the result. */
export function transaction(statements: readonly (Statement | string)[], result?: string, declarations = ''): string {
  const texts = statements.map((statement) => (typeof statement === 'string' ? statement : withLiterals(statement)))
  return [declarations, 'BEGIN TRANSACTION', ...texts, 'COMMIT TRANSACTION', result ?? '']
    .filter((text) => text !== '')
    .map((text) => `${text};`)
    .join('\n')
}
