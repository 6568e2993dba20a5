// Where a dbt command runs: a process of its own, in a group of its own, that does not outlive this one.
import { readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorCode, writeFileAtomically } from '../platform/files.ts'
import { endGroup, processStart, signalGroup, startGroup, type Grace, type GroupExit } from '../platform/subprocess.ts'

/** What to launch. Folders and files are absolute. */
export interface Launch {
  /** Any Python 3, for launch.py. */
  readonly python: string
  readonly executable: string
  /** A Python script that works with dbt, to be run by its Python instead of dbt itself. */
  readonly script?: string
  readonly args: readonly string[]
  readonly projectDir: string
  readonly env: Readonly<Record<string, string>>
  /** Of this attempt alone: dbt-events.jsonl and stderr.txt are written here, process.json while the command lives. */
  readonly outputDir: string
  readonly grace?: Grace
}

/**
 * Starts the command; `ended` resolves when it is over. Its standard output is in dbt-events.jsonl, its standard error in
 * stderr.txt. When the signal aborts it is ended: SIGINT first, so that it cancels its queries.
 */
export type DbtLauncher = (launch: Launch, abort: AbortSignal) => Promise<{ readonly ended: Promise<GroupExit> }>

export const eventsFile = (outputDir: string): string => path.join(outputDir, 'dbt-events.jsonl')
export const stderrFile = (outputDir: string): string => path.join(outputDir, 'stderr.txt')
const processFile = (outputDir: string): string => path.join(outputDir, 'process.json')

const LAUNCH_SCRIPT = fileURLToPath(new URL('launch.py', import.meta.url))

/** One process per command, through launch.py, which ends it when this process dies. */
export const launchProcess: DbtLauncher = async (launch, abort) => {
  const group = await startGroup(
    {
      file: launch.python,
      // Isolated and without site packages: it is up in a hundredth of a second.
      args: ['-I', '-S', LAUNCH_SCRIPT, ...program(launch), ...launch.args],
      cwd: launch.projectDir,
      env: launch.env,
      stdoutFile: eventsFile(launch.outputDir),
      stderrFile: stderrFile(launch.outputDir),
      ...(launch.grace === undefined ? {} : { grace: launch.grace }),
    },
    abort,
  )
  try {
    await announceProcess(launch.outputDir, group.pid)
  } catch (error) {
    // Nobody will wait for it, and the next attempt would not know of it.
    signalGroup(group.pid, 'SIGKILL')
    await group.ended
    throw error
  }
  return { ended: withdrawProcess(launch.outputDir, group.ended) }
}

function program({ python, executable, script }: Launch): string[] {
  return script === undefined ? [executable] : [python, script]
}

/** Before the command begins, so that whoever comes after this process finds it. Returns when it began, as the system tells. */
export async function announceProcess(outputDir: string, pid: number): Promise<string | undefined> {
  const began = await processStart(pid)
  await writeFileAtomically(processFile(outputDir), JSON.stringify({ pid, began }))
  return began
}

/** When the command has ended. */
export async function withdrawProcess<T>(outputDir: string, ended: Promise<T>): Promise<T> {
  try {
    return await ended
  } finally {
    await rm(processFile(outputDir), { force: true })
  }
}

/**
 * Ends what an attempt in that folder left running: a worker that was stopped, or lost sight of, may still have its dbt.
 * Returns whether there was anything. The process's number alone is not believed: the system gives it out again.
 */
export async function endLeftover(outputDir: string): Promise<boolean> {
  const text = await readFile(processFile(outputDir), 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return false
  const { pid, began } = JSON.parse(text) as { pid: number; began?: string }
  const same = began !== undefined && (await processStart(pid)) === began
  if (same) await endGroup(pid, LEFTOVER_GRACE)
  await rm(processFile(outputDir), { force: true })
  return same
}

/** Nobody waits for its artifacts any more. */
const LEFTOVER_GRACE: Grace = { afterSigintMs: 5_000, afterSigtermMs: 2_000 }
