// `millrace inspect FILE`: what a load would make of a file, before it is loaded.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { acceptedRows, inspectFile, type InspectedReason, type Inspection } from '../ingest/inspect.ts'
import { readHeader, type NamedFile } from '../ingest/shape.ts'
import { DEFAULT_DIALECT, dialectProblems, ENCODINGS, type Dialect } from '../pipeline/dialect.ts'
import { describeFailure, failure } from '../pipeline/failure.ts'
import { identifier, tableText } from '../pipeline/identifier.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import type { ContractColumn, IngestEntry } from '../pipeline/plan.ts'
import { formatCount } from '../pipeline/report.ts'
import { entryId } from '../pipeline/request.ts'
import { openEngine, type Engine } from '../platform/duckdb.ts'
import { errorCode } from '../platform/files.ts'
import { openLocalFile } from '../sources/local.ts'
import type { Cli } from './cli.ts'
import { draftPlan } from './plan.ts'
import { abortOnSignal } from './signals.ts'
import { color, cut, say, sayError } from './terminal.ts'

export interface InspectFlags {
  readonly delimiter?: string
  readonly quote?: string
  readonly escape?: string
  readonly encoding?: string
  readonly lineEnd?: string
  readonly header?: string
  readonly null?: readonly string[]
  readonly comment?: string
  readonly decimal?: string
  readonly skip?: string
  readonly into?: string
  readonly json: boolean
  readonly rows: boolean
}

const EXIT = { clean: 0, rejects: 1, refused: 2 } as const
type Verdict = keyof typeof EXIT

/** 0: every record would be loaded; 1: some would be rejected; 2: the file, or what was asked, is refused. */
export async function inspectCommand(cli: () => Cli, file: string, flags: InspectFlags): Promise<number> {
  const abort = abortOnSignal()
  const declared = flags.into === undefined ? undefined : await findEntry(cli(), flags.into)
  const dialect = withFlags(declared?.dialect ?? DEFAULT_DIALECT, flags)
  const scratchDir = await mkdtemp(path.join(tmpdir(), 'millrace-inspect-'))
  const engine = await openEngine({ scratchDir, abort })
  let opened: NamedFile | undefined
  try {
    opened = await openAnywhere(file)
    const entry = declared === undefined ? await undeclaredEntry(dialect, opened) : { ...declared, dialect }
    const place = { engine, scratchDir, abort, onProgress: () => undefined }
    const inspection = await inspectFile(entry, opened, place)
    const verdict = inspection.counts.rejected > 0 ? 'rejects' : 'clean'
    const header = entry.contract?.map((column) => column.header) ?? []
    if (flags.rows) await printRows(engine, inspection)
    else if (flags.json) say(JSON.stringify(asJson(verdict, file, header, inspection)))
    if (!flags.json) printSummary(flags.rows ? sayError : say, file, verdict, inspection)
    return EXIT[verdict]
  } catch (error) {
    const { type, message } = describeFailure(error)
    if (type === 'Internal') throw error
    if (flags.json) say(JSON.stringify({ verdict: 'refused', file, reason: message }))
    else sayError(`${color.red('✖ refused')}  ${message.replace(/\. Nothing was loaded.*$/s, '')}`)
    return EXIT.refused
  } finally {
    await opened?.file.handle.close()
    engine.close()
    await rm(scratchDir, { recursive: true, force: true })
  }
}

function asJson(verdict: Verdict, file: string, header: readonly string[], { counts, reasons }: Inspection) {
  const { rows, ...others } = counts
  return { verdict, file, header, loaded: rows, ...others, reasons }
}

async function openAnywhere(file: string): Promise<NamedFile> {
  const absolute = path.resolve(file)
  const folder = await realpath(path.dirname(absolute)).catch((error: unknown) => {
    throw failure('FileMissing', `${file} cannot be opened (${errorCode(error) ?? 'unknown'})`)
  })
  const opened = await openLocalFile(folder, path.basename(absolute))
  return { name: file, file: opened }
}

/** The ingest entry that loads into the table, from the first pipeline that has one. */
async function findEntry({ workspace }: Cli, into: string): Promise<IngestEntry> {
  const known: string[] = []
  for (const name of await listPipelines(workspace.pipelinesDir)) {
    const definition = await loadPipeline(workspace.pipelinesDir, name)
    const ids = definition.steps.flatMap(({ ingest }) => ingest?.flatMap((entry) => [entry.into, entryId(entry)]) ?? [])
    known.push(...ids)
    if (!ids.includes(into)) continue
    const { plan } = await draftPlan(workspace, definition)
    for (const step of plan.steps) {
      const entry =
        step.kind === 'ingest'
          ? step.entries.find(({ id, into: table }) => id === into || tableText(table) === into)
          : undefined
      if (entry !== undefined) return entry
    }
  }
  const tables = [...new Set(known)]
  throw failure(
    'RequestInvalid',
    `no pipeline loads into '${into}'${didYouMean(into, tables)}; tables: ${tables.join(', ') || 'none'}`,
  )
}

/** All columns as texts, whatever they are called. */
async function undeclaredEntry(dialect: Dialect, { name, file }: NamedFile): Promise<IngestEntry> {
  // Without a header the first record says how many fields there are.
  const header = await readHeader({ dialect: { ...dialect, header: true } }, name, file)
  const contract = header.map((text, index): ContractColumn => ({
    name: identifier(`c${index + 1}`),
    header: dialect.header ? text : '',
    type: { kind: 'string' },
    origin: 'first header',
    optional: false,
    notNull: false,
  }))
  return {
    id: '',
    into: { schema: identifier('none'), table: identifier('none') },
    files: name,
    inbox: '.',
    missing: 'fail',
    waitForMs: 0,
    mode: 'replace',
    params: {},
    maxRejectShare: 1,
    maxRejects: null,
    contract,
    extraColumns: 'strict',
    rawAsText: false,
    added: [],
    dialect,
    timeZone: 'UTC',
    key: [],
    duplicates: 'reject',
    newestBy: null,
  }
}

/** Fails with RequestInvalid, naming all that is wrong with the flags. */
function withFlags(dialect: Dialect, flags: InspectFlags): Dialect {
  const problems: string[] = []
  const oneOf = <T extends string>(flag: string, given: string | undefined, known: readonly T[], otherwise: T): T => {
    const found = known.find((value) => value === given)
    if (given !== undefined && found === undefined) {
      problems.push(`--${flag} '${given}' is none of ${known.join(', ')}${didYouMean(given, known)}`)
    }
    return found ?? otherwise
  }
  const header = oneOf('header', flags.header, ['yes', 'no'], dialect.header ? 'yes' : 'no')
  if (flags.skip !== undefined && !/^\d{1,9}$/.test(flags.skip))
    problems.push(`--skip '${flags.skip}' is not a number of lines`)
  const asked: Dialect = {
    ...dialect,
    delimiter: character(flags.delimiter) ?? dialect.delimiter,
    quote: flags.quote === 'none' || flags.quote === '' ? null : (flags.quote ?? dialect.quote),
    escape: oneOf('escape', flags.escape, ['doubled', 'backslash'], dialect.escape),
    encoding: oneOf('encoding', flags.encoding, ENCODINGS, dialect.encoding),
    lineEnd: oneOf('line-end', flags.lineEnd, ['lf', 'cr'], dialect.lineEnd),
    header: header === 'yes',
    nulls: flags.null ?? dialect.nulls,
    comment: flags.comment ?? dialect.comment,
    decimal: oneOf('decimal', flags.decimal, ['.', ','], dialect.decimal),
    skip: flags.skip === undefined ? dialect.skip : Number(flags.skip),
  }
  problems.push(...dialectProblems(asked).map(({ key, message }) => `--${key} ${message}`))
  if (problems.length > 0) throw failure('RequestInvalid', problems.join('\n'))
  return asked
}

/** `\t` and `tab` are a tab: shells make it hard to type one. */
function character(given: string | undefined): string | undefined {
  return given === '\\t' || given === 'tab' ? '\t' : given
}

async function printRows(engine: Engine, { columns }: Inspection): Promise<void> {
  for await (const row of acceptedRows(engine, columns)) say(JSON.stringify(row))
}

function printSummary(
  print: (...lines: string[]) => void,
  file: string,
  verdict: Verdict,
  { counts, reasons }: Inspection,
): void {
  const told = [
    `${formatCount(counts.read)} records`,
    `${formatCount(counts.rows)} would be loaded`,
    ...(counts.superseded > 0 ? [`${formatCount(counts.superseded)} superseded`] : []),
    `${formatCount(counts.rejected)} rejected`,
    ...(counts.blankLines > 0
      ? [`${formatCount(counts.blankLines)} blank ${counts.blankLines === 1 ? 'line' : 'lines'}`]
      : []),
    ...(counts.commentLines > 0
      ? [`${formatCount(counts.commentLines)} comment ${counts.commentLines === 1 ? 'line' : 'lines'}`]
      : []),
  ]
  const mark = verdict === 'clean' ? color.green('✔ clean') : color.yellow('! rejects')
  print(`${mark}  ${file}: ${told.join(', ')}`, ...reasons.flatMap(reasonLines))
}

/** A reason and its first examples, each with where it stands and how it begins. */
export function reasonLines({ code, column, count, examples }: InspectedReason): string[] {
  return [
    '',
    ` ${formatCount(count)} × ${color.bold(code)}${column === null ? '' : ` (${column})`}`,
    ...examples.flatMap(({ record, line, byteOffset, message, rawText }) => [
      `   record ${formatCount(record)}, line ${formatCount(line)}, byte ${formatCount(byteOffset)}${message === code ? '' : `: ${excerpt(message)}`}`,
      `     ${color.dim(excerpt(rawText))}`,
    ]),
  ]
}

const EXCERPT_CELLS = 100

/** One line of a text, control characters made visible. */
function excerpt(text: string): string {
  const visible = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
  return cut(visible, EXCERPT_CELLS)
}
