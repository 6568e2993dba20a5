// From an entry and its open files to a stream: headers held to the contract, fields found by name, rows completed.
import { setImmediate } from 'node:timers/promises'
import type { ContractColumn, IngestEntry } from '../pipeline/plan.ts'
import { failure } from '../pipeline/failure.ts'
import type { OpenFile } from '../sources/local.ts'
import { CsvScanner, ScanRefusal } from './csv/scan.ts'
import { contractOfHeader, LOADER_COLUMNS } from './contract.ts'
import { matchHeader } from './header.ts'
import type { LoadFile } from './load-stream.ts'
import { compressionOf, textChunks } from './text-chunks.ts'
import { rawType, type ConstantColumn, type RowShape, type TypedColumn } from './typing.ts'
import { textReader } from './types.ts'

export interface NamedFile {
  readonly name: string
  readonly file: OpenFile
}

/** What the loader itself writes into every row. */
export interface LoaderValues {
  readonly loadId: string
  readonly loadedAt: string
  readonly logicalDate: string
}

/** The contract that a load goes by, evolved columns included, and where each file has its columns. */
export interface MatchedFiles {
  readonly contract: readonly ContractColumn[]
  readonly files: readonly (NamedFile & { readonly fields: number; readonly columns: readonly TypedColumn[] })[]
}

/**
 * Reads each file's header and finds the contract's columns in it. `remembered` stands in where the entry declares no
 * contract; without one, the first file's header does. Fails with FileRefused or HeaderMismatch.
 */
export async function matchFiles(
  entry: IngestEntry,
  files: readonly NamedFile[],
  remembered: readonly ContractColumn[] | undefined,
): Promise<MatchedFiles> {
  let contract = evolvedBefore(entry, remembered)
  const matched: MatchedFiles['files'][number][] = []
  for (const { name, file } of files) {
    if (!entry.dialect.header) {
      const columns = (contract ?? []).map((column, field) => ({ ...column, field }))
      matched.push({ name, file, fields: columns.length, columns })
      continue
    }
    const header = await readHeader(entry, name, file)
    contract ??= contractOfHeader(header, name)
    const columns = matchHeader(header, contract, entry.extraColumns, name)
    contract = columns.map(({ field: _field, ...column }) => column)
    matched.push({ name, file, fields: header.length, columns })
  }
  const all = contract ?? []
  requireOneOfEach(
    [...all, ...entry.added].map(({ name }) => name),
    files.map(({ name }) => name).join(', '),
  )
  // A column that only a later file has is NULL in the rows of the earlier ones.
  const complete = matched.map((file) => ({
    ...file,
    columns: all.map(
      (column) => file.columns.find(({ name }) => name === column.name) ?? { ...column, field: undefined },
    ),
  }))
  return { contract: all, files: complete }
}

function requireOneOfEach(names: readonly string[], files: string): void {
  const doubled = names.filter((name, index) => names.indexOf(name) !== index)
  if (doubled.length === 0) return
  throw failure(
    'HeaderMismatch',
    `${files}: the raw table would have two columns ${doubled.map((name) => `'${name}'`).join(', ')}, one of the file and one ` +
      'that is renamed or added. Nothing was loaded; correct `columns` or `add` in the pipeline file',
  )
}

/** The declared columns and, where the table may evolve, those that earlier files brought. */
function evolvedBefore(
  { contract, extraColumns }: IngestEntry,
  remembered: readonly ContractColumn[] | undefined,
): readonly ContractColumn[] | null {
  // What was declared once and is not any more says nothing about today's files.
  if (contract === null) return remembered?.every(({ origin }) => origin === 'first header') ? remembered : null
  if (extraColumns !== 'evolve' || remembered === undefined) return contract
  const declared = new Set<string>(contract.map(({ name }) => name))
  return [...contract, ...remembered.filter(({ name, origin }) => origin === 'first header' && !declared.has(name))]
}

/** Every column of the rows: the contract's, the added ones, the loader's own. */
export function rowShape(entry: IngestEntry, columns: readonly TypedColumn[], values: LoaderValues): RowShape {
  const added = entry.added.map(({ name, type, value }): ConstantColumn => {
    const { duckdbType } = textReader(type)
    const text = { loaded_at: values.loadedAt, logical_date: values.logicalDate }
    if (value.kind === 'source_file') return { name, duckdbType, value: { kind: 'source file' } }
    if (value.kind === 'text') return { name, duckdbType, type, value }
    return { name, duckdbType, value: { kind: 'text', text: text[value.kind] } }
  })
  const own: Record<(typeof LOADER_COLUMNS)[number][0], ConstantColumn['value']> = {
    _load_id: { kind: 'text', text: values.loadId },
    _source_file: { kind: 'source file' },
    _source_record: { kind: 'source record' },
    _loaded_at: { kind: 'text', text: values.loadedAt },
    _logical_date: { kind: 'text', text: values.logicalDate },
  }
  const loader = LOADER_COLUMNS.map(([name, duckdbType]) => ({ name, duckdbType, value: own[name] }))
  const rules = { decimal: entry.dialect.decimal, timeZone: entry.timeZone }
  return { columns, rawAsText: entry.rawAsText, rules, constants: [...added, ...loader] }
}

/** The raw table's columns for these rows. */
export function rawColumns({ columns, constants, rawAsText }: RowShape, mayEvolve: boolean) {
  return [
    ...columns.map((column) => ({
      name: column.name,
      duckdbType: rawType(column, rawAsText),
      mayBeAdded: mayEvolve && column.origin === 'first header',
    })),
    ...constants.map(({ name, duckdbType }) => ({ name, duckdbType, mayBeAdded: false })),
  ]
}

export function loadFiles(entry: IngestEntry, { files }: MatchedFiles, values: LoaderValues): LoadFile[] {
  return files.map(({ name, file, fields, columns }) => ({
    name,
    file,
    fields,
    shape: rowShape(entry, columns, values),
  }))
}

/** The first record's fields. Fails with FileRefused. */
export async function readHeader(
  { dialect }: Pick<IngestEntry, 'dialect'>,
  name: string,
  file: OpenFile,
): Promise<string[]> {
  let header: readonly string[] | undefined
  const scanner = new CsvScanner(dialect, undefined, {
    header(fields) {
      header = fields
      return fields.length
    },
    sound: () => undefined,
    faulty: () => undefined,
  })
  const source = {
    fd: file.handle.fd,
    sizeBytes: file.sizeBytes,
    compression: compressionOf(file.path),
    encoding: dialect.encoding,
  }
  try {
    for await (const chunk of textChunks(source, () => undefined)) {
      scanner.push(chunk)
      // Millions of comment lines may stand before it: heartbeats go on between two chunks.
      await setImmediate()
      if (header !== undefined) return [...header]
    }
    scanner.end()
  } catch (error) {
    if (!(error instanceof ScanRefusal)) throw error
    await file.assertUnchanged()
    throw failure(
      'FileRefused',
      `${name}: ${error.message}. Nothing was loaded; correct the file and start the run again`,
    )
  }
  return [...(header ?? [])]
}
