// Our own Temporal server: started on loopback where none runs, found again by others of this workspace, stopped at the end.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { link, readFile, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Connection } from '@temporalio/client'
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import { errorCode, writeFileAtomically } from '../platform/files.ts'
import { isAlive } from '../platform/subprocess.ts'
import type { Workspace } from '../platform/workspace.ts'

const LOOPBACK = '127.0.0.1'
const PREFERRED_PORT = 7233
const UI_PORT_OFFSET = 1000
const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 10_000

const stateSchema = z.object({
  pid: z.int(),
  /** The process that stops the server when it ends. */
  ownerPid: z.int(),
  address: z.string(),
  uiUrl: z.string(),
})

export type ServerState = z.infer<typeof stateSchema>

export interface DevServer {
  readonly address: string
  readonly uiUrl: string
  /** Another process of this workspace owns it: stop() leaves it running. */
  readonly shared: boolean
  /** Rejects with ServerUnreachable when the server ends before it was stopped. */
  readonly ended: Promise<never>
  stop(): Promise<void>
}

/** The server of this workspace that runs now, if one does. */
export async function findDevServer(workspace: Workspace): Promise<ServerState | undefined> {
  const text = await readFile(stateFile(workspace), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const state = stateSchema.safeParse(safeJson(text)).data
  if (state === undefined || !isAlive(state.pid)) return undefined
  return (await answers(state.address)) ? state : undefined
}

/**
 * Uses the running server of this workspace, or starts one. `say` gets a line where a port was taken. Fails with
 * ServerUnreachable when there is no server program or it does not come up.
 */
export async function ensureDevServer(
  workspace: Workspace,
  executable: string,
  say: (line: string) => void,
): Promise<DevServer> {
  const lock = path.join(workspace.stateDir, 'server.lock')
  await takeLock(lock, say)
  try {
    return await findOrStart(workspace, executable, say)
  } finally {
    await rm(lock, { force: true })
  }
}

/**
 * Two that start at once must not both find no server: the second waits until the first one's is up. The lock appears
 * with its holder's number in it (a link), so that one without a living holder is known to be left over.
 */
async function takeLock(file: string, say: (line: string) => void): Promise<void> {
  const mine = `${file}.${process.pid}`
  await writeFileAtomically(mine, String(process.pid))
  try {
    for (let told = false; ;) {
      try {
        await link(mine, file)
        return
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error
      }
      const holder = Number(await readFile(file, 'utf8').catch(() => ''))
      if (holder === process.pid || !isAlive(holder)) {
        await rm(file, { force: true })
        continue
      }
      if (!told) say(`waiting for process ${holder}, which is starting the server`)
      told = true
      await pause(100)
    }
  } finally {
    await rm(mine, { force: true })
  }
}

async function findOrStart(workspace: Workspace, executable: string, say: (line: string) => void): Promise<DevServer> {
  const running = await findDevServer(workspace)
  if (running !== undefined) {
    if (hasOtherOwner(running)) {
      return { ...running, shared: true, ended: watch(running.pid, () => false), stop: async () => undefined }
    }
    // Its owner died: whoever finds it takes it over.
    return await own(workspace, running)
  }
  if (!existsSync(executable)) {
    throw failure(
      'ServerUnreachable',
      'there is no Temporal server here yet; run `npm run setup`, or set TEMPORAL_ADDRESS',
    )
  }
  const port = await freePorts()
  if (port !== PREFERRED_PORT) {
    say(
      `port ${PREFERRED_PORT} or ${PREFERRED_PORT + UI_PORT_OFFSET} is taken by another program; using ${port} and ${port + UI_PORT_OFFSET}`,
    )
  }
  const logFile = path.join(workspace.stateDir, 'temporal.log')
  const child = start(executable, port, workspace, logFile)
  const address = `${LOOPBACK}:${port}`
  await waitUntilReady(child, port, logFile)
  if (child.pid === undefined) throw failure('ServerUnreachable', `${executable} could not be started`)
  return await own(workspace, { pid: child.pid, address, uiUrl: `http://${LOOPBACK}:${port + UI_PORT_OFFSET}` })
}

/** Whether a process other than this one started that server and still lives. */
export function hasOtherOwner({ ownerPid }: ServerState): boolean {
  return ownerPid !== process.pid && isAlive(ownerPid)
}

function start(executable: string, port: number, workspace: Workspace, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a')
  const args = [
    'server',
    'start-dev',
    `--ip=${LOOPBACK}`,
    `--port=${port}`,
    `--ui-port=${port + UI_PORT_OFFSET}`,
    `--db-filename=${path.join(workspace.stateDir, 'temporal.db')}`,
    '--log-level=error',
  ]
  // A group of its own: the terminal's Ctrl+C must reach the worker first, and the server only after it.
  const child = spawn(executable, args, { detached: true, stdio: ['ignore', log, log] })
  child.unref()
  return child
}

async function own(workspace: Workspace, server: Omit<ServerState, 'ownerPid'>): Promise<DevServer> {
  const { pid, address, uiUrl } = server
  const state: ServerState = { pid, address, uiUrl, ownerPid: process.pid }
  let stopping = false
  await writeFileAtomically(stateFile(workspace), `${JSON.stringify(state)}\n`)
  return {
    address,
    uiUrl,
    shared: false,
    ended: watch(pid, () => stopping),
    async stop() {
      stopping = true
      await rm(stateFile(workspace), { force: true })
      if (!isAlive(pid)) return
      process.kill(pid, 'SIGTERM')
      const deadline = Date.now() + STOP_WITHIN_MS
      while (isAlive(pid) && Date.now() < deadline) await pause(50)
      if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    },
  }
}

/** Looks twice a second whether the process lives: it need not be a child of this one. */
function watch(pid: number, stopping: () => boolean): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setInterval(() => {
    if (isAlive(pid)) return
    clearInterval(timer)
    if (stopping()) return
    reject(
      failure(
        'ServerUnreachable',
        'the Temporal server ended; .millrace/temporal.log says why. Start again: npm start',
      ),
    )
  }, 500)
  timer.unref()
  // Whoever does not wait for it is not to fail by it.
  promise.catch(() => undefined)
  return promise
}

async function waitUntilReady(child: ChildProcess, port: number, logFile: string): Promise<void> {
  const address = `${LOOPBACK}:${port}`
  const deadline = Date.now() + READY_WITHIN_MS
  const ended = { code: undefined as number | null | undefined }
  child.once('exit', (code) => (ended.code = code))
  child.once('error', () => (ended.code = null))
  while (Date.now() < deadline) {
    if (ended.code !== undefined) break
    // Asked before it listens, a connection of gRPC's waits for a second before it tries again.
    if ((await listens(port)) && (await answers(address))) return
    await pause(25)
  }
  child.kill('SIGKILL')
  throw failure('ServerUnreachable', `the Temporal server did not come up at ${address}; its log says why: ${logFile}`)
}

function listens(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect({ port, host: LOOPBACK })
  probe.once('error', () => resolve(false)).once('connect', () => resolve(true))
  return promise.finally(() => probe.destroy())
}

async function answers(address: string): Promise<boolean> {
  const connection = Connection.lazy({ address, connectTimeout: 2_000 })
  try {
    await connection.withDeadline(Date.now() + 2_000, () => connection.workflowService.getSystemInfo({}))
    return true
  } catch {
    return false
  } finally {
    await connection.close()
  }
}

/** The preferred port where it and the UI's are free, else the next such pair. */
async function freePorts(): Promise<number> {
  for (let port = PREFERRED_PORT; port < PREFERRED_PORT + 200; port++) {
    if ((await isFree(port)) && (await isFree(port + UI_PORT_OFFSET))) return port
  }
  throw failure('ServerUnreachable', `no free port from ${PREFERRED_PORT} on; close a program, or set TEMPORAL_ADDRESS`)
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = createServer()
  probe.once('error', () => resolve(false))
  probe.listen({ port, host: LOOPBACK, exclusive: true }, () => probe.close(() => resolve(true)))
  return promise
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function stateFile(workspace: Workspace): string {
  return path.join(workspace.stateDir, 'server.json')
}
