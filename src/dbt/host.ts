// The warm dbt process: one per dbt environment, which runs each command in a fork of its own (host.py).
import { createHash } from 'node:crypto'
import { open, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { firstAbort } from '../platform/abort.ts'
import { childEnvironment } from '../platform/environment.ts'
import { isWorking, signalGroup, startCompanion, type Companion, type GroupExit } from '../platform/subprocess.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import { UNREAD_EVENTS } from './events.ts'
import { announceProcess, eventsFile, stderrFile, type Launch } from './launch.ts'

/** When a host has served long enough: a new one takes its place, and it ends behind its last command. */
export interface HostLimits {
  readonly commands: number
  readonly residentBytes: number
  readonly idleMs: number
}

export const HOST_LIMITS: HostLimits = { commands: 1_000, residentBytes: 1024 ** 3, idleMs: 2 * 3_600_000 }

/** A command in a host's fork. */
export interface WarmCommand {
  readonly pid: number
  /** 'not begun' when the host died before it could: nothing was done. */
  readonly exit: Promise<GroupExit | 'not begun'>
}

export interface Host {
  /** dbt's version; undefined when this dbt cannot be kept warm, and why. */
  readonly fit: Promise<{ readonly dbt: string } | { readonly unfit: string }>
  /** False when it has served long enough, its dbt has changed, or it is gone. */
  isUsable(): Promise<boolean>
  /** `refused` when it could not, and why: nothing was done. */
  begin(launch: Launch): Promise<WarmCommand | { readonly refused: string }>
  /** Takes no more commands and ends behind the last one; at once where it was not ready for any. */
  retire(): void
  readonly pid: number
  readonly ended: Promise<void>
}

const HOST_SCRIPT = fileURLToPath(new URL('host.py', import.meta.url))

/** What a command would import first, as far as it is installed. */
const MODULES = [
  'dbt.adapters.__about__',
  'dbt.adapters.duckdb',
  'dbt.adapters.duckdb.__version__',
  'dbt.adapters.duckdb.environments.local',
  'dbt.adapters.postgres',
  'dbt.adapters.bigquery',
  'dbt.task.build',
  'dbt.task.retry',
  'google.protobuf.descriptor_pb2',
  'multiprocessing.dummy',
  'resource',
  'sqlparse',
  '_strptime',
]

const ANSWERS_WITHIN_MS = 10_000
const READY_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 1_000
const LOOK_OFTEN_MS = 50

const answerSchema = z.union([
  z.object({ ready: z.object({ dbt: z.string(), paths: z.array(z.string()) }) }),
  z.object({ unfit: z.string() }),
  z.object({ id: z.string(), refused: z.string() }),
  z.object({ id: z.string(), pid: z.int() }),
  z.object({
    id: z.string(),
    exitCode: z.int().optional(),
    signal: z.string().optional(),
    rssBytes: z.number(),
  }),
])

type Answer = z.infer<typeof answerSchema>

interface Asked {
  readonly begun: PromiseWithResolvers<{ readonly pid: number } | { readonly refused: string }>
  readonly exit: PromiseWithResolvers<GroupExit>
}

/** Starts a host. Rejects when its Python cannot be started. */
export async function startHost(
  { python, executable }: Pick<Launch, 'python' | 'executable'>,
  limits: HostLimits = HOST_LIMITS,
): Promise<Host> {
  const asked = new Map<string, Asked>()
  const fit = Promise.withResolvers<{ dbt: string } | { unfit: string }>()
  let stamp: Promise<string> | undefined
  let paths: readonly string[] = []
  let commands = 0
  let retired = false
  let isReady = false
  let idle: NodeJS.Timeout | undefined

  const retire = () => {
    retired = true
    clearTimeout(idle)
    if (!isReady) end(companion)
    else if (asked.size === 0) companion.close()
  }
  const rest = () => {
    clearTimeout(idle)
    if (retired) retire()
    else if (asked.size === 0) idle = setTimeout(retire, limits.idleMs).unref()
  }
  const hear = (answer: Answer) => {
    if ('ready' in answer) {
      paths = answer.ready.paths
      stamp = stampOf(paths)
      isReady = true
      fit.resolve({ dbt: answer.ready.dbt })
    } else if ('unfit' in answer) {
      fit.resolve(answer)
    } else if ('refused' in answer) {
      // It will refuse the next one, too.
      asked.get(answer.id)?.begun.resolve(answer)
      retired = true
    } else if ('pid' in answer) {
      asked.get(answer.id)?.begun.resolve(answer)
    } else {
      if (answer.rssBytes > limits.residentBytes) retired = true
      asked.get(answer.id)?.exit.resolve({ exitCode: answer.exitCode, signal: answer.signal })
    }
  }

  const companion = await startCompanion(
    {
      file: python,
      args: [HOST_SCRIPT, executable, classesFile(executable), ...MODULES],
      cwd: '/',
      // Libraries that start threads for arithmetic would keep it from forking.
      env: { PYTHONUNBUFFERED: '1', OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1' },
    },
    (line) => {
      const answer = answerSchema.safeParse(parseLine(line)).data
      if (answer !== undefined) hear(answer)
    },
  )
  const gone = new AbortController()
  const ended = companion.ended.then((stderr) => {
    retired = true
    clearTimeout(idle)
    gone.abort()
    fit.resolve({ unfit: stderr.trim().split('\n').at(-1) || 'it ended at once' })
    for (const { begun } of asked.values()) begun.resolve({ refused: 'it died' })
  })
  const late = setTimeout(() => fit.resolve({ unfit: 'it was not ready within a minute' }), READY_WITHIN_MS).unref()
  void fit.promise.then((found) => {
    clearTimeout(late)
    if ('unfit' in found) end(companion)
    else rest()
  })

  return {
    fit: fit.promise,
    pid: companion.pid,
    ended,
    retire,
    isUsable: async () => !retired && 'dbt' in (await fit.promise) && (await stamp) === (await stampOf(paths)),
    async begin(launch) {
      if (retired) return { refused: 'it has served long enough' }
      commands += 1
      if (commands >= limits.commands) retired = true
      clearTimeout(idle)
      const id = String(commands)
      const own: Asked = { begun: Promise.withResolvers(), exit: Promise.withResolvers() }
      asked.set(id, own)
      const forget = () => {
        asked.delete(id)
        rest()
      }
      try {
        const exitFile = path.join(launch.outputDir, 'exit-code')
        await rm(exitFile, { force: true })
        // Whoever reads along opens them at once.
        for (const file of [eventsFile, stderrFile]) await (await open(file(launch.outputDir), 'a', 0o600)).close()
        if (!companion.send(JSON.stringify({ id, ...requestOf(launch), exit: exitFile })))
          own.begun.resolve({ refused: 'it died' })
        const slow = setTimeout(() => {
          own.begun.resolve({ refused: `it did not answer within ${ANSWERS_WITHIN_MS / 1_000} s` })
          end(companion)
        }, ANSWERS_WITHIN_MS).unref()
        const begun = await own.begun.promise.finally(() => clearTimeout(slow))
        if ('refused' in begun) {
          forget()
          return begun
        }
        const { pid } = begun
        const began = await announceProcess(launch.outputDir, pid)
        companion.send(JSON.stringify({ go: id }))
        const watched = watchExit(own.exit.promise, { pid, began, exitFile, gone: gone.signal })
        const exit = async () => {
          try {
            return await watched
          } finally {
            forget()
            await rm(exitFile, { force: true })
          }
        }
        return { pid, exit: exit() }
      } catch (error) {
        // Nobody will wait for it: without its go it ends when the host does.
        forget()
        end(companion)
        throw error
      }
    },
  }
}

/** Kept from host to host: what commands of this dbt needed (warm_code.py). */
function classesFile(executable: string): string {
  const digest = createHash('sha256').update(executable).digest('hex').slice(0, 16)
  return path.join(INSTALLATION.cacheDir, 'dbt-classes', `${digest}.json`)
}

/** Its commands live on: they are told by their processes then. */
function end({ pid }: Companion): void {
  signalGroup(pid, 'SIGKILL')
}

function requestOf({ executable, python, script, args, projectDir, env, outputDir }: Launch) {
  return {
    argv: script === undefined ? [executable, ...args] : [script, ...args],
    script: script ?? null,
    python,
    cwd: projectDir,
    env: childEnvironment(env),
    unread: [...UNREAD_EVENTS],
    stdout: eventsFile(outputDir),
    stderr: stderrFile(outputDir),
  }
}

interface Watched {
  readonly pid: number
  readonly began: string | undefined
  readonly exitFile: string
  /** Aborts when the host has died. */
  readonly gone: AbortSignal
}

/** As the host tells it; where it has died or hangs, as the process left it. */
async function watchExit(told: Promise<GroupExit>, { pid, began, exitFile, gone }: Watched) {
  const heard = new AbortController()
  void told.then(() => heard.abort())
  const news = firstAbort(heard.signal, gone)
  const looked = async () => {
    while (await isWorking(pid, began)) {
      if (heard.signal.aborted) return await told
      const until = gone.aborted ? heard.signal : news
      await pause(gone.aborted ? LOOK_OFTEN_MS : LOOK_EVERY_MS, undefined, { signal: until }).catch(() => undefined)
    }
    // It is over; a host that lives is about to say how.
    if (!gone.aborted) await pause(LOOK_EVERY_MS * 2, undefined, { signal: news }).catch(() => undefined)
    return heard.signal.aborted ? await told : await exitLeft(exitFile)
  }
  return await Promise.race([told, looked()])
}

async function exitLeft(exitFile: string): Promise<GroupExit | 'not begun'> {
  const text = await readFile(exitFile, 'utf8').catch(() => undefined)
  if (text === 'not begun') return text
  return text === undefined ? { exitCode: undefined, signal: 'SIGKILL' } : { exitCode: Number(text), signal: undefined }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Changes with whatever is installed, upgraded or removed there. */
async function stampOf(paths: readonly string[]): Promise<string> {
  const times = paths.map(async (each) => (await stat(each).catch(() => undefined))?.mtimeMs ?? 0)
  return JSON.stringify(await Promise.all(times))
}

/** Whether it is the script that dbt 1 installs for itself: a wrapper of somebody's own, or dbt 2, must be run as it is. */
export async function isDbtScript(executable: string): Promise<boolean> {
  const handle = await open(executable).catch(() => undefined)
  if (handle === undefined) return false
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4_096), 0, 4_096, 0)
    const text = buffer.subarray(0, bytesRead).toString('latin1')
    return text.startsWith('#!') && text.includes('from dbt.cli.main import cli')
  } finally {
    await handle.close()
  }
}
