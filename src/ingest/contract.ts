// The contract of a raw table: the pipeline file's columns, else those of its dbt source.
import type { IngestDefinition } from '../pipeline/definition.ts'
import type { ContractColumn } from '../pipeline/plan.ts'
import { KNOWN_TYPES, parseColumnType, type ColumnType } from '../pipeline/column-type.ts'
import { failure } from '../pipeline/failure.ts'
import { isIdentifier, tableText, type Identifier, type TableName } from '../pipeline/identifier.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { sourceNames, type Manifest } from '../dbt/manifest.ts'

interface Declared {
  readonly name: string
  readonly type: string | null
}

/** Fails with ContractUnknown when the table has no declared columns, or a name or type that is not understood. */
export function resolveContract(entry: IngestDefinition, table: TableName, manifest: Manifest): ContractColumn[] {
  if (entry.columns !== undefined) {
    return entry.columns.map((column) => resolveColumn(column, 'pipeline', `${tableText(table)} in the pipeline file`))
  }
  const known = sourceNames(manifest)
  const source = manifest.sources.find(({ schema, table: name }) => `${schema}.${name}` === tableText(table))
  if (source === undefined) {
    throw failure(
      'ContractUnknown',
      `${tableText(table)} is not a source of the dbt project${didYouMean(tableText(table), known)}; ` +
        `it has: ${known.join(', ') || 'none'}. Add the source with its columns, or give \`columns:\` in the pipeline file`,
    )
  }
  if (source.columns.length === 0) {
    throw failure(
      'ContractUnknown',
      `source ${tableText(table)} declares no columns; add them with data_type in ${source.file}, ` +
        `or give \`columns:\` in the pipeline file`,
    )
  }
  return source.columns.map(({ name, dataType }) =>
    resolveColumn(
      { name, type: dataType },
      dataType === null ? 'dbt source without data_type' : 'dbt source',
      `${tableText(table)} in ${source.file}`,
    ),
  )
}

function resolveColumn({ name, type }: Declared, origin: ContractColumn['origin'], where: string): ContractColumn {
  return { name: columnName(name, where), type: columnType(name, type, where), origin }
}

function columnName(name: string, where: string): Identifier {
  if (isIdentifier(name) && !name.startsWith('_')) return name
  throw failure(
    'ContractUnknown',
    `column '${name}' of ${where} is not a name of lower-case letters, digits and _ (and a leading _ is the loader's own)`,
  )
}

function columnType(name: string, type: string | null, where: string): ColumnType {
  const parsed = parseColumnType(type ?? 'string')
  if (parsed !== undefined) return parsed
  throw failure(
    'ContractUnknown',
    `column '${name}' of ${where} has the unknown type '${type}'${didYouMean(type ?? '', KNOWN_TYPES)}; ` +
      `known: ${KNOWN_TYPES.join(', ')}`,
  )
}
