// Runs one dbt command: a process, its event stream, private folders, and the evidence for the verdict.
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { finished } from 'node:stream/promises'
import { failure } from '../pipeline/failure.ts'
import { commandText, commandWords, type DbtCommand } from '../pipeline/dbt-command.ts'
import { errorCode, readTail } from '../platform/files.ts'
import { followLines } from '../platform/follow-lines.ts'
import type { Grace, GroupExit } from '../platform/subprocess.ts'
import { parseEvent, type LoggedEvent } from './events.ts'
import { emptyLedger, recordEvent, type DbtLedger, type LedgerChange } from './ledger.ts'
import { eventsFile, stderrFile, type DbtLauncher } from './launch.ts'

/** Which dbt, on which project. Folders are absolute. */
export interface DbtPlace {
  readonly target: string
  readonly projectDir: string
  readonly profilesDir: string
  /** Shared by all commands of a project and target: dbt's parse cache. */
  readonly partialParseFile: string
  /** Of the environment that holds dbt. */
  readonly python: string
  readonly executable: string
  /** On top of the worker's environment, for every command alike: parse, selection and run see one project. */
  readonly env?: Readonly<Record<string, string>>
  readonly launch: DbtLauncher
  /** Removes secrets, and what looks like one, from what is logged and reported. */
  readonly redact: (text: string) => string
  /** Removes the secrets that are known, from dbt's own files. */
  readonly redactKnown: (text: string) => string
}

export interface DbtInvocation extends DbtPlace {
  readonly command: DbtCommand
  /** Of this attempt alone: dbt's artifacts and our log go here. */
  readonly outputDir: string
  /** Shows up in every event and artifact of dbt. */
  readonly runLabel: string
  /** Do only what is missing: a folder that resume.ts filled, for `dbt retry`; or the nodes by name. */
  readonly resume?: Resume
  readonly grace?: Grace
}

export type Resume =
  | { readonly kind: 'dbt retry'; readonly stateDir: string }
  | { readonly kind: 'by name'; readonly select: readonly string[]; readonly exclude: readonly string[] }

/** What is there to judge a command by. */
export interface DbtEvidence {
  readonly command: DbtCommand
  /** As a person would type it, for messages. */
  readonly commandText: string
  readonly exit: GroupExit
  /** The last 4,000 characters of standard error. */
  readonly stderrTail: string
  readonly ledger: DbtLedger
  /** Text of run_results.json (sources.json for source freshness); undefined when dbt wrote none. */
  readonly artifact: string | undefined
  /** Where the whole story is, for messages. */
  readonly logFile: string
}

export interface DbtWatcher {
  /** A node began or ended. */
  readonly onChange?: (change: NonNullable<LedgerChange>, ledger: DbtLedger) => void
  /** What dbt says at info level and above, redacted. */
  readonly onLine?: (line: { readonly at: string; readonly level: string; readonly text: string }) => void
  /** Once, when dbt has been started. */
  readonly onStart?: (ledger: DbtLedger) => void
}

const STDERR_TAIL_CHARS = 4_000
/** More than is shown: a secret that the cut would go through is taken out first. */
const STDERR_TAIL_BYTES = 16_384

/**
 * Runs the command to its end and returns the evidence of what happened; judging it is verdict.ts's part. When the
 * signal aborts, dbt is ended in order, and the evidence of what it did until then is returned.
 */
export async function runDbt(invocation: DbtInvocation, watcher: DbtWatcher, abort: AbortSignal): Promise<DbtEvidence> {
  const { outputDir, redact } = invocation
  await mkdir(outputDir, { recursive: true })
  await requireDbt(invocation.executable)
  // Of a first try in the same folder.
  await discardEvents(outputDir)
  await bringPartialParse(invocation)
  const logFile = path.join(outputDir, 'dbt.log')
  const log = createWriteStream(logFile, { flags: 'a' })
  // Thrown below, when dbt has ended: without a listener a full disk would end this process at once.
  const logFailed: { error?: Error } = {}
  log.on('error', (error) => (logFailed.error = error))
  const ledger = emptyLedger()
  let exit: GroupExit
  let stderrTail = ''
  try {
    const { ended } = await invocation.launch(
      {
        python: invocation.python,
        executable: invocation.executable,
        args: dbtArguments(invocation),
        projectDir: invocation.projectDir,
        env: { ...invocation.env, ...DBT_ENVIRONMENT, DBT_ENV_CUSTOM_ENV_MILLRACE_RUN: invocation.runLabel },
        outputDir,
        ...(invocation.grace === undefined ? {} : { grace: invocation.grace }),
      },
      abort,
    )
    watcher.onStart?.(ledger)
    const over = new AbortController()
    const following = followLines(eventsFile(outputDir), over.signal, (line) => {
      const logged = redacted(parseEvent(line), redact)
      if (logged === undefined) {
        // Plain text, of Python's or of a macro's own printing.
        if (line[0] !== OPENING_BRACE && line.length > 0) log.write(`${redact(line.toString('utf8'))}\n`)
        return
      }
      if (logged.level !== 'debug') {
        log.write(`${logged.text}\n`)
        watcher.onLine?.(logged)
      }
      const change = recordEvent(ledger, logged)
      if (change !== undefined) watcher.onChange?.(change, ledger)
    })
    // Thrown below, when dbt has ended.
    following.catch(() => undefined)
    exit = await ended.finally(() => over.abort())
    await following
    stderrTail = redact(await readTail(stderrFile(outputDir), STDERR_TAIL_BYTES)).slice(-STDERR_TAIL_CHARS)
    log.end(stderrTail === '' ? '' : `${stderrTail}\n`)
  } finally {
    if (!log.writableEnded) log.end()
    await finished(log).catch(() => undefined)
  }
  if (logFailed.error !== undefined) throw logFailed.error
  // A dbt that was ended while it wrote it must not leave half of one behind.
  if (ledger.success !== undefined || ledger.nodes.size > 0) await keepPartialParse(invocation)
  const artifact = invocation.command.command === 'source freshness' ? 'sources.json' : 'run_results.json'
  return {
    command: invocation.command,
    commandText: commandText(invocation.command),
    exit,
    stderrTail,
    ledger,
    artifact: await readOptional(path.join(outputDir, artifact)),
    logFile: path.relative(process.cwd(), logFile),
  }
}

/** Events and errors hold SQL and values as they were: to be called once the ledger tells the story. */
export async function discardEvents(outputDir: string): Promise<void> {
  await Promise.all([eventsFile(outputDir), stderrFile(outputDir)].map((file) => rm(file, { force: true })))
}

/** The ledger of an attempt whose worker is gone, from what its dbt wrote; undefined when it wrote nothing. */
export async function readAbandonedEvents(
  outputDir: string,
  redact: (text: string) => string,
): Promise<DbtLedger | undefined> {
  const ledger = emptyLedger()
  try {
    await followLines(eventsFile(outputDir), AbortSignal.abort(), (line) => {
      const logged = redacted(parseEvent(line), redact)
      if (logged !== undefined) recordEvent(ledger, logged)
    })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  return ledger
}

const OPENING_BRACE = 0x7b

/** Of every command, beside what this process has. */
export const DBT_ENVIRONMENT = { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false', PYTHONUNBUFFERED: '1' }

function dbtArguments({ command, resume, projectDir, profilesDir, target, outputDir }: DbtInvocation): string[] {
  return [
    '--no-use-colors',
    '--log-format=json',
    '--log-level=debug',
    '--log-level-file=none',
    ...words(command, resume),
    '--project-dir',
    projectDir,
    '--profiles-dir',
    profilesDir,
    '--target',
    target,
    ...(command.command === 'deps' ? [] : ['--target-path', outputDir]),
    '--log-path',
    outputDir,
  ]
}

function words(command: DbtCommand, resume: Resume | undefined): string[] {
  switch (resume?.kind) {
    case undefined:
      return commandWords(command)
    case 'dbt retry':
      return ['retry', '--state', resume.stateDir]
    case 'by name': {
      const { selector: _selector, indirectSelection: _indirect, ...options } = command.options
      // Empty: a test runs only where it was asked for by name, not because its model was.
      return commandWords({
        ...command,
        select: resume.select,
        exclude: resume.exclude,
        options: { ...options, indirectSelection: 'empty' },
      })
    }
  }
}

/** A message of a node may be a whole query. */
const MESSAGE_CHARS = 4_000

/** Texts come from the warehouse and may quote what a connection string holds; the other fields are dbt's own words. */
function redacted(logged: LoggedEvent | undefined, redact: (text: string) => string): LoggedEvent | undefined {
  if (logged === undefined) return undefined
  const { event } = logged
  const text = logged.level === 'debug' ? '' : redact(logged.text)
  if (event?.kind === 'failed' || event?.kind === 'batch failed') {
    return { ...logged, text, event: { ...event, message: clean(event.message, redact) } }
  }
  if (event?.kind !== 'node finished') return { ...logged, text }
  const message = clean(event.result.message, redact)
  return { ...logged, text, event: { ...event, result: { ...event.result, message } } }
}

/** Cut with a margin first: a secret that the cut goes through would be known no more. */
function clean(message: string, redact: (text: string) => string): string {
  return redact(message.slice(0, MESSAGE_CHARS * 2)).slice(0, MESSAGE_CHARS)
}

async function requireDbt(executable: string): Promise<void> {
  const found = await stat(executable).catch(() => undefined)
  if (found === undefined) {
    throw failure(
      'DbtMissing',
      `dbt is not set up here (no ${path.relative(process.cwd(), executable)}); run \`npm run setup\`, ` +
        'or correct `dbt: { executable: … }` in the pipeline file where it names one',
    )
  }
}

const PARTIAL_PARSE = 'partial_parse.msgpack'

type ParseCache = Pick<DbtInvocation, 'outputDir' | 'partialParseFile'>

/** dbt looks for its parse cache in the (private) target folder: without it every command parses the whole project. */
export async function bringPartialParse({ outputDir, partialParseFile }: ParseCache): Promise<void> {
  try {
    await copyFile(partialParseFile, path.join(outputDir, PARTIAL_PARSE))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Hands the cache that dbt wrote on to the next command. */
async function keepPartialParse({ outputDir, partialParseFile }: ParseCache): Promise<void> {
  await mkdir(path.dirname(partialParseFile), { recursive: true })
  try {
    await rename(path.join(outputDir, PARTIAL_PARSE), partialParseFile)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
}
