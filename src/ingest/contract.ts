// The contract of a raw table: the pipeline file's columns, else those of its dbt source, else the first header.
import type { IngestDefinition } from '../pipeline/definition.ts'
import type { AddedColumn, ContractColumn, IngestEntry } from '../pipeline/plan.ts'
import { KNOWN_TYPES, parseColumnType, type ColumnType } from '../pipeline/column-type.ts'
import { failure } from '../pipeline/failure.ts'
import { isIdentifier, tableText, type Identifier, type TableName } from '../pipeline/identifier.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { sourceNames, type Manifest } from '../dbt/manifest.ts'

/** What every raw table has besides: a dbt source may describe them, no file brings them. */
export const LOADER_COLUMNS = [
  ['_load_id', 'VARCHAR'],
  ['_source_file', 'VARCHAR'],
  ['_source_record', 'BIGINT'],
  ['_loaded_at', 'TIMESTAMP'],
  ['_logical_date', 'DATE'],
] as const

export type EntryContract = Pick<
  IngestEntry,
  'contract' | 'extraColumns' | 'added' | 'key' | 'newestBy' | 'duplicates' | 'rawAsText'
>

/**
 * The columns that files bring (null where nobody declared any), and the added ones. `fill` puts the run's params into a
 * text. Fails with ContractUnknown for a table that is no source, a name or type that is not understood, or a rule or
 * key about a column that is not there; all of them at once.
 */
export function resolveContract(
  entry: IngestDefinition,
  table: TableName,
  manifest: Manifest,
  fill: (text: string) => string,
): EntryContract {
  const problems: string[] = []
  const source = manifest.sources.find(({ schema, table: name }) => `${schema}.${name}` === tableText(table))
  const declared = Array.isArray(entry.columns)
    ? entry.columns
    : typeof entry.columns === 'object'
      ? entry.columns.list
      : undefined
  if (declared === undefined && source === undefined) problems.push(unknownSource(table, manifest))
  const mayLack = typeof entry.columns === 'object' && !Array.isArray(entry.columns) ? entry.columns.optional : []
  const added = addedColumns(entry, source?.columns ?? [], fill, problems)
  const brought: ContractColumn[] =
    declared === undefined
      ? (source?.columns ?? [])
          .filter(({ name }) => !Object.hasOwn(entry.add, name) && !LOADER_COLUMNS.some(([own]) => own === name))
          .map(({ name, dataType }) => ({
            name: columnName(name, `${tableText(table)} in ${source?.file ?? ''}`, problems),
            header: name,
            type: columnType(name, dataType, `${tableText(table)} in ${source?.file ?? ''}`, problems),
            origin: dataType === null ? 'dbt source without data_type' : 'dbt source',
            optional: false,
            notNull: false,
          }))
      : declared.map(({ name, rename, type, optional }) => ({
          name: columnName(rename ?? name, `${tableText(table)} in the pipeline file`, problems),
          header: name,
          type: columnType(name, type, `${tableText(table)} in the pipeline file`, problems),
          origin: 'pipeline',
          optional,
          notNull: false,
        }))
  const key = (entry.key ?? []) as Identifier[] // the schema has checked their form
  const contract =
    brought.length === 0 ? null : brought.map((column) => withRules(orOptional(column, mayLack), entry, key))
  const headers = brought.map(({ header }) => header)
  for (const name of mayLack.filter((name) => !headers.includes(name))) {
    problems.push(`columns.optional: ${entry.into} has no column '${name}'${didYouMean(name, headers)}`)
  }
  if (contract !== null) requireKnown(entry, contract, problems)
  const needing = [
    ...(Object.keys(entry.rules).length > 0 ? ['rules'] : []),
    ...(key.length > 0 ? ['a key'] : []),
    ...(entry.dialect.header ? [] : ['files without a header']),
  ]
  if (contract === null && needing.length > 0) {
    problems.push(
      `${tableText(table)} has ${needing.join(' and ')}, but no declared columns; add them to the dbt source` +
        `${source === undefined ? '' : ` in ${source.file}`}, or give \`columns:\` in the pipeline file`,
    )
  }
  if (problems.length > 0) throw failure('ContractUnknown', problems.join('\n'))
  return {
    contract,
    extraColumns:
      typeof entry.columns === 'string'
        ? entry.columns
        : typeof entry.columns === 'object' && !Array.isArray(entry.columns)
          ? entry.columns.match
          : 'strict',
    added,
    key,
    newestBy: entry.newest_by ?? null,
    duplicates: entry.duplicates,
    rawAsText: entry.raw === 'text',
  }
}

/** The contract that a first header makes: every column a text. Fails with HeaderMismatch for a name that cannot be one. */
export function contractOfHeader(header: readonly string[], file: string): ContractColumn[] {
  const unfit = header.filter((name) => !isIdentifier(name) || name.startsWith('_'))
  if (unfit.length > 0) {
    const list = header.map((name) => `{ name: ${JSON.stringify(name)}, rename: ${suggestedName(name)} }`)
    throw failure(
      'HeaderMismatch',
      `${file}: ${unfit.map((name) => `'${name}'`).join(', ')} cannot be column names (lower-case letters, digits and _). ` +
        `Nothing was loaded; name them in the pipeline file: columns: [${list.join(', ')}]`,
    )
  }
  return header.map((name) => ({
    name: name as Identifier, // looked at above
    header: name,
    type: { kind: 'string' },
    origin: 'first header',
    optional: false,
    notNull: false,
  }))
}

function suggestedName(header: string): string {
  const plain = header
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
  return /^[a-z]/.test(plain) ? plain : `c_${plain}`
}

function unknownSource(table: TableName, manifest: Manifest): string {
  const known = sourceNames(manifest)
  return (
    `${tableText(table)} is not a source of the dbt project${didYouMean(tableText(table), known)}; ` +
    `it has: ${known.join(', ') || 'none'}. Add the source, or give \`columns:\` in the pipeline file`
  )
}

function addedColumns(
  entry: IngestDefinition,
  declared: readonly { readonly name: string; readonly dataType: string | null }[],
  fill: (text: string) => string,
  problems: string[],
): AddedColumn[] {
  return Object.entries(entry.add).map(([name, text]) => {
    const value = addedValue(String(text), fill)
    if (value === undefined) {
      problems.push(`add: '${String(text)}' of column '${name}' is none of $loaded_at, $logical_date, $source_file`)
    }
    const usual = value?.kind === 'loaded_at' ? 'timestamp' : value?.kind === 'logical_date' ? 'date' : 'string'
    const type = declared.find((column) => column.name === name)?.dataType ?? usual
    const where = 'added columns'
    return {
      name: columnName(name, where, problems),
      type: columnType(name, type, where, problems),
      value: value ?? { kind: 'text', text: '' },
    }
  })
}

function addedValue(text: string, fill: (text: string) => string): AddedColumn['value'] | undefined {
  switch (text) {
    case '$loaded_at':
      return { kind: 'loaded_at' }
    case '$logical_date':
      return { kind: 'logical_date' }
    case '$source_file':
      return { kind: 'source_file' }
    default:
      return text.startsWith('$') ? undefined : { kind: 'text', text: fill(text) }
  }
}

function orOptional(column: ContractColumn, mayLack: readonly string[]): ContractColumn {
  return mayLack.includes(column.header) ? { ...column, optional: true } : column
}

function withRules(column: ContractColumn, { rules }: IngestDefinition, key: readonly string[]): ContractColumn {
  const rule = Object.hasOwn(rules, column.name) ? rules[column.name] : undefined
  return {
    ...column,
    notNull: rule?.not_null === true || key.includes(column.name),
    ...(rule?.accepted === undefined ? {} : { accepted: rule.accepted.map(String) }),
    ...(rule?.min === undefined ? {} : { min: String(rule.min) }),
    ...(rule?.max === undefined ? {} : { max: String(rule.max) }),
  }
}

/** Rules, key and newest_by speak of columns by their names in the raw table. */
function requireKnown(entry: IngestDefinition, contract: readonly ContractColumn[], problems: string[]): void {
  const names: string[] = contract.map(({ name }) => name)
  const ask = (what: string, name: string) => {
    if (!names.includes(name)) problems.push(`${what}: ${entry.into} has no column '${name}'${didYouMean(name, names)}`)
  }
  for (const name of Object.keys(entry.rules)) ask('rules', name)
  for (const name of entry.key ?? []) ask('key', name)
  if (entry.newest_by !== undefined) ask('newest_by', entry.newest_by)
  const doubled = names.filter((name, index) => names.indexOf(name) !== index)
  for (const name of new Set([...doubled, ...names.filter((name) => Object.hasOwn(entry.add, name))])) {
    problems.push(`${entry.into} would have two columns '${name}'`)
  }
}

function columnName(name: string, where: string, problems: string[]): Identifier {
  if (!isIdentifier(name) || name.startsWith('_')) {
    problems.push(
      `column '${name}' of ${where} is not a name of lower-case letters, digits and _ (and a leading _ is the loader's own)`,
    )
  }
  return name as Identifier // or the problem is told
}

function columnType(name: string, type: string | null, where: string, problems: string[]): ColumnType {
  const parsed = parseColumnType(type ?? 'string')
  if (parsed === undefined) {
    problems.push(
      `column '${name}' of ${where} has the unknown type '${type}'${didYouMean(type ?? '', KNOWN_TYPES)}; ` +
        `known: ${KNOWN_TYPES.join(', ')}`,
    )
  }
  return parsed ?? { kind: 'string' }
}
