// Child processes: argv arrays only, in a process group of their own, always ended as a whole.
import { execa } from 'execa'
import { childEnvironment } from './environment.ts'
import { errorCode } from './files.ts'

/** How long a group may take to end after SIGINT, and then after SIGTERM, before SIGKILL. */
const GRACE_AFTER_SIGINT_MS = 15_000
const GRACE_AFTER_SIGTERM_MS = 5_000
const STDERR_TAIL_CHARS = 4_000

export interface GroupCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Called with each line of standard output, without its line end. */
  readonly onLine: (line: string) => void
}

export interface GroupExit {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** The last 4,000 characters of standard error. */
  readonly stderrTail: string
}

/**
 * Runs a command as the leader of a new process group and resolves when it has ended. When the signal aborts, the group
 * gets SIGINT, then SIGTERM, then SIGKILL; the promise still resolves, with how it ended. Rejects only when the command
 * could not be started. Its standard input is a pipe that closes when this process dies.
 */
export async function runInGroup(command: GroupCommand, abort: AbortSignal): Promise<GroupExit> {
  const child = execa(command.file, [...command.args], {
    cwd: command.cwd,
    env: childEnvironment(command.env),
    extendEnv: false,
    detached: true,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
  })
  let stderrTail = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARS)
  })
  const timers: NodeJS.Timeout[] = []
  const end = () => {
    signalGroup(child.pid, 'SIGINT')
    timers.push(setTimeout(() => signalGroup(child.pid, 'SIGTERM'), GRACE_AFTER_SIGINT_MS))
    timers.push(setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_AFTER_SIGINT_MS + GRACE_AFTER_SIGTERM_MS))
  }
  abort.addEventListener('abort', end, { once: true })
  if (abort.aborted) end()
  try {
    for await (const line of child.iterable({ from: 'stdout' })) command.onLine(line)
    const result = await child
    if (result.exitCode === undefined && result.signal === undefined) throw result
    return { exitCode: result.exitCode, signal: result.signal, stderrTail }
  } finally {
    abort.removeEventListener('abort', end)
    timers.forEach(clearTimeout)
    signalGroup(child.pid, 'SIGKILL')
  }
}

/** Runs a short command to its end and returns what it printed; rejects only when it could not be started. */
export async function runShort(
  command: Omit<GroupCommand, 'onLine'> & { readonly input: string },
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { file, args, cwd, env, input } = command
  return await execa(file, [...args], { cwd, env: childEnvironment(env), extendEnv: false, input, reject: false })
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

/** Signals every process of the group that the given process leads; one that is gone already is fine. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}
