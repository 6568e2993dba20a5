// Child processes: argv arrays only, in a process group of their own, always ended as a whole.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { childEnvironment } from './environment.ts'
import { errorCode } from './files.ts'

/** How long a group may take to end after SIGINT, and then after SIGTERM, before SIGKILL. */
export interface Grace {
  readonly afterSigintMs: number
  readonly afterSigtermMs: number
}

const GRACE: Grace = { afterSigintMs: 15_000, afterSigtermMs: 5_000 }

/** A program that writes without end would fill the disk. */
const OUTPUT_LIMIT_BYTES = 4 * 1024 ** 3
const POLL_EVERY_MS = 50

export interface GroupCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /**
   * Both are appended to. Files, not pipes: what the command said is there for whoever goes on after this process died,
   * a reader that is slow or stopped does not stop the command, and a grandchild that keeps them open holds up nobody.
   */
  readonly stdoutFile: string
  readonly stderrFile: string
  readonly grace?: Grace
}

export interface GroupExit {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
}

export interface RunningGroup {
  /** Of the group and of the process that leads it. */
  readonly pid: number
  readonly ended: Promise<GroupExit>
}

/**
 * Starts a command as the leader of a new process group. `ended` resolves when the leader has, with whatever is left of
 * the group killed. When the signal aborts, the group gets SIGINT, then SIGTERM, then SIGKILL. Its standard input is a
 * pipe that closes when this process dies. Rejects when the command cannot be started.
 */
export async function startGroup(command: GroupCommand, abort: AbortSignal): Promise<RunningGroup> {
  const outputs = await Promise.all([open(command.stdoutFile, 'a', 0o600), open(command.stderrFile, 'a', 0o600)])
  // Not by execa: nothing of it is needed where no stream is read.
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: childEnvironment(command.env),
    detached: true,
    stdio: ['pipe', outputs[0].fd, outputs[1].fd],
  })
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  // A command that cannot be started is told of below.
  exit.catch(() => undefined)
  try {
    await once(child, 'spawn')
  } finally {
    // The child has its own copies since it was started.
    await Promise.all(outputs.map((output) => output.close()))
  }
  const { pid } = child
  if (pid === undefined) throw new Error(`${command.file} started without a number`)
  // Written to by nobody: it ends with this process, and an error of it says nothing more.
  child.stdin?.on('error', () => undefined)
  const exited = exit.then(([exitCode, signal]) => ({ exitCode: exitCode ?? undefined, signal: signal ?? undefined }))
  return superviseGroup(pid, exited, command, abort)
}

/**
 * Of a group that somebody has started: ends it in order when the signal aborts, kills it when it writes without end, and
 * kills what is left of it when its leader has ended.
 */
export function superviseGroup(
  pid: number,
  exit: Promise<GroupExit>,
  command: Pick<GroupCommand, 'stdoutFile' | 'stderrFile' | 'grace'>,
  abort: AbortSignal,
): RunningGroup {
  const ladder = new AbortController()
  const end = () => void endGroup(pid, command.grace ?? GRACE, ladder.signal)
  abort.addEventListener('abort', end, { once: true })
  if (abort.aborted) end()
  const overLimit = setInterval(() => {
    const sizes = [command.stdoutFile, command.stderrFile].map(
      (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    )
    if (Math.max(...sizes) > OUTPUT_LIMIT_BYTES) signalGroup(pid, 'SIGKILL')
  }, 1_000)
  const ended = exit.finally(() => {
    clearInterval(overLimit)
    abort.removeEventListener('abort', end)
    ladder.abort()
    signalGroup(pid, 'SIGKILL')
  })
  return { pid, ended }
}

/** A program that answers lines with lines, for as long as this process wants it. */
export interface Companion {
  readonly pid: number
  /** False when it is gone, or about to go. */
  send(line: string): boolean
  /** Closes its standard input. */
  close(): void
  /** Resolves with the last of what it wrote to standard error. */
  readonly ended: Promise<string>
}

const STDERR_TAIL_CHARS = 4_000

/**
 * Its descriptor 3 is a pipe that closes when this process dies, whatever becomes of its standard input. A group of its own,
 * so that Ctrl+C in a terminal does not reach it. Rejects when it cannot be started.
 */
export async function startCompanion(
  { file, args, cwd, env }: Pick<GroupCommand, 'file' | 'args' | 'cwd' | 'env'>,
  onLine: (line: string) => void,
): Promise<Companion> {
  const child = spawn(file, [...args], {
    cwd,
    env: childEnvironment(env),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  })
  const exit = once(child, 'exit')
  // One that cannot be started is told of below.
  exit.catch(() => undefined)
  const [input, output, errors] = child.stdio
  let tail = ''
  errors?.setEncoding('utf8').on('data', (text: string) => (tail = (tail + text).slice(-STDERR_TAIL_CHARS)))
  // Its end says all there is to say.
  for (const stream of child.stdio) stream?.on('error', () => undefined)
  if (output !== null) createInterface({ input: output }).on('line', onLine)
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined || input === null) throw new Error(`${file} started without a number`)
  let gone = false
  const ended = exit.then(() => {
    gone = true
    return tail
  })
  return {
    pid,
    send: (line) => {
      if (gone || input.writableEnded) return false
      input.write(`${line}\n`)
      return true
    },
    close: () => void input.end(),
    ended,
  }
}

/** SIGINT, SIGTERM, SIGKILL to a group until nothing of it is left or the signal aborts. */
export async function endGroup(pid: number, grace: Grace = GRACE, over?: AbortSignal): Promise<void> {
  for (const [signal, graceMs] of [
    ['SIGINT', grace.afterSigintMs],
    ['SIGTERM', grace.afterSigtermMs],
    ['SIGKILL', GRACE.afterSigtermMs],
  ] as const) {
    signalGroup(pid, signal)
    for (const until = performance.now() + graceMs; performance.now() < until; await pause(POLL_EVERY_MS)) {
      if (over?.aborted === true || !groupIsAlive(pid)) return
    }
  }
}

/** When a process began, as the system tells it: with its number it names one process for ever. Undefined: it is gone. */
export async function processStart(pid: number): Promise<string | undefined> {
  if (!isAlive(pid)) return undefined
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The 22nd field, in clock ticks since the system's start; the second one, in brackets, may hold blanks.
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')')).split(' ')[20]
  const { stdout } = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], { reject: false, env: { LC_ALL: 'C' } })
  return stdout?.trim() || undefined
}

/** Runs a short command to its end and returns what it printed; rejects when it could not be started or was aborted. */
export async function runShort(
  command: Pick<GroupCommand, 'file' | 'args' | 'cwd' | 'env'> & {
    readonly input: string
    readonly abort?: AbortSignal
  },
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { file, args, cwd, env, input, abort } = command
  const options = { cwd, env: childEnvironment(env), extendEnv: false, input, reject: false } as const
  const result = await execa(file, [...args], { ...options, ...(abort === undefined ? {} : { cancelSignal: abort }) })
  abort?.throwIfAborted()
  return result
}

/** Whether the process of that number and beginning does something still: one that nobody has asked for its exit code does not. */
export async function isWorking(pid: number, began: string | undefined): Promise<boolean> {
  if (!isAlive(pid) || (began !== undefined && (await processStart(pid)) !== began)) return false
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  return stat.slice(stat.lastIndexOf(')'))[2] !== 'Z'
}

/** Makes a named pipe, which Node itself cannot, and returns its path. */
export async function makePipe(path: string): Promise<string> {
  await execa('mkfifo', ['-m', '600', path])
  return path
}

/** Whether a process of that number exists. */
export function isAlive(pid: number): boolean {
  // 0 and less would ask about groups.
  if (!Number.isInteger(pid) || pid < 1) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function groupIsAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0)
    return true
  } catch {
    return false
  }
}

/** Signals every process of the group that the given process leads; one that is gone already is fine. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // EPERM is what macOS says of a group that ended and that nobody has asked for its exit code yet.
    if (errorCode(error) !== 'ESRCH' && errorCode(error) !== 'EPERM') throw error
  }
}
