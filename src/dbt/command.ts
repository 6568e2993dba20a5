// Runs one dbt command: a process, its event stream, private folders, and the evidence for the verdict.
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { finished } from 'node:stream/promises'
import { failure } from '../pipeline/failure.ts'
import { errorCode } from '../platform/files.ts'
import { runInGroup, type GroupExit } from '../platform/subprocess.ts'
import { parseEvent, type DbtEvent } from './events.ts'
import { EMPTY_LEDGER, recordEvent, type DbtLedger } from './ledger.ts'
import type { DbtEvidence } from './verdict.ts'

/** What to run. Folders are absolute. */
export interface DbtInvocation {
  readonly command: 'run' | 'test' | 'parse'
  readonly select: readonly string[]
  readonly exclude: readonly string[]
  readonly target: string
  readonly projectDir: string
  readonly profilesDir: string
  /** Of this attempt alone: dbt's artifacts and our log go here. */
  readonly outputDir: string
  /** Shared by all commands of a project and target: dbt's parse cache. */
  readonly partialParseFile: string
  /** Python of the environment that holds dbt. */
  readonly python: string
  /** Shows up in every event and artifact of dbt. */
  readonly runLabel: string
  /** Removes secrets from what is logged and reported. */
  readonly redact: (text: string) => string
}

/** Where a dbt command runs: as a process of its own today. */
export type DbtLauncher = (
  invocation: DbtInvocation,
  onLine: (line: string) => void,
  abort: AbortSignal,
) => Promise<GroupExit>

const LAUNCH_SCRIPT = fileURLToPath(new URL('launch.py', import.meta.url))

/** One `dbt` process per command, through launch.py, which ends it when this process dies. */
export const launchProcess: DbtLauncher = (invocation, onLine, abort) =>
  runInGroup(
    {
      file: invocation.python,
      args: [LAUNCH_SCRIPT, ...dbtArguments(invocation)],
      cwd: invocation.projectDir,
      env: {
        DBT_SEND_ANONYMOUS_USAGE_STATS: 'false',
        DBT_ENV_CUSTOM_ENV_MILLRACE_RUN: invocation.runLabel,
        PYTHONUNBUFFERED: '1',
      },
      onLine,
    },
    abort,
  )

/**
 * Runs the command to its end and returns the evidence of what happened; judging it is verdict.ts's part. When the
 * signal aborts, dbt is ended (SIGINT first, so that it cancels its queries) and the abort's reason is thrown.
 */
export async function runDbt(
  invocation: DbtInvocation,
  onProgress: (ledger: DbtLedger) => void,
  abort: AbortSignal,
  launch: DbtLauncher = launchProcess,
): Promise<DbtEvidence> {
  await mkdir(invocation.outputDir, { recursive: true })
  await requireDbt(invocation.python)
  await bringPartialParse(invocation)
  const logFile = path.join(invocation.outputDir, 'dbt.log')
  const log = createWriteStream(logFile)
  // Thrown below, when dbt has ended: without a listener a full disk would end this process at once.
  const logFailed: { error?: Error } = {}
  log.on('error', (error) => (logFailed.error = error))
  let ledger = EMPTY_LEDGER
  let exit: GroupExit
  try {
    exit = await launch(
      invocation,
      (line) => {
        const logged = parseEvent(line)
        if (logged?.level !== 'debug') log.write(`${invocation.redact(logged?.text ?? line)}\n`)
        if (logged?.event === undefined) return
        ledger = recordEvent(ledger, logged.invocationId, redactMessages(logged.event, invocation.redact))
        onProgress(ledger)
      },
      abort,
    )
    log.end(exit.stderrTail === '' ? '' : `${invocation.redact(exit.stderrTail)}\n`)
  } finally {
    if (!log.writableEnded) log.end()
    await finished(log).catch(() => undefined)
  }
  abort.throwIfAborted()
  if (logFailed.error !== undefined) throw logFailed.error
  await keepPartialParse(invocation)
  return {
    command: invocation.command,
    commandText: commandText(invocation),
    select: invocation.select,
    exit: { ...exit, stderrTail: invocation.redact(exit.stderrTail) },
    ledger,
    runResults: await readOptional(path.join(invocation.outputDir, 'run_results.json')),
    logFile: path.relative(process.cwd(), logFile),
  }
}

function dbtArguments(invocation: DbtInvocation): string[] {
  const { command, select, exclude } = invocation
  return [
    '--no-use-colors',
    '--log-format=json',
    '--log-level=debug',
    '--log-level-file=none',
    command,
    '--project-dir',
    invocation.projectDir,
    '--profiles-dir',
    invocation.profilesDir,
    '--target',
    invocation.target,
    '--target-path',
    invocation.outputDir,
    // As separate arguments: that is a union, where one argument with commas would be an intersection.
    ...(select.length > 0 ? ['--select', ...select] : []),
    ...(exclude.length > 0 ? ['--exclude', ...exclude] : []),
  ]
}

function commandText({ command, select, exclude }: DbtInvocation): string {
  const selection = select.length > 0 ? ['--select', ...select] : []
  return ['dbt', command, ...selection, ...(exclude.length > 0 ? ['--exclude', ...exclude] : [])].join(' ')
}

/** Messages come from the warehouse and may quote what a connection string holds; the other fields are dbt's own words. */
function redactMessages(event: DbtEvent, redact: (text: string) => string): DbtEvent {
  if (event.kind === 'failed') return { ...event, message: redact(event.message) }
  if (event.kind !== 'node finished') return event
  return { ...event, result: { ...event.result, message: redact(event.result.message) } }
}

async function requireDbt(python: string): Promise<void> {
  const found = await stat(python).catch(() => undefined)
  if (found === undefined) {
    throw failure('DbtMissing', `dbt is not set up here (no ${python}); run \`npm run setup\``)
  }
}

const PARTIAL_PARSE = 'partial_parse.msgpack'

/** dbt looks for its parse cache in the (private) target folder: without it every command parses the whole project. */
export async function bringPartialParse({ outputDir, partialParseFile }: ParseCache): Promise<void> {
  try {
    await copyFile(partialParseFile, path.join(outputDir, PARTIAL_PARSE))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

type ParseCache = Pick<DbtInvocation, 'outputDir' | 'partialParseFile'>

/** Hands the cache that dbt wrote on to the next command. */
async function keepPartialParse({ outputDir, partialParseFile }: ParseCache): Promise<void> {
  await mkdir(path.dirname(partialParseFile), { recursive: true })
  try {
    await rename(path.join(outputDir, PARTIAL_PARSE), partialParseFile)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

const WORTH_KEEPING = new Set(['dbt.log', 'nodes.json', 'run_results.json'])

/** Leaves of a succeeded command what a person may want to read: dbt's manifest and compiled SQL are megabytes a run. */
export async function tidyOutput(outputDir: string): Promise<void> {
  for (const name of await readdir(outputDir)) {
    if (!WORTH_KEEPING.has(name)) await rm(path.join(outputDir, name), { recursive: true })
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
}
