// A server of a test: it and its folder are gone when the test's process is, even by kill -9.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'

/** The server, beside a reader of descriptor 3: that pipe ends when we do. */
const GUARD = '(read -r _ <&3; kill -QUIT $$; sleep 1; kill -KILL $$; rm -rf -- "$0") >/dev/null 2>&1 & exec "$@" 3<&-'

export interface GuardedCommand {
  readonly argv: readonly string[]
  /** Where it works; removed should we die first, else it stays for whoever made it. */
  readonly folder: string
  /** Gets both of its streams. */
  readonly logFile: string
  readonly env?: NodeJS.ProcessEnv
  /** As whom it runs. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

export async function startGuarded({ argv, folder, logFile, env, owner }: GuardedCommand): Promise<ChildProcess> {
  const log = await open(logFile, 'a')
  const server = spawn('/bin/sh', ['-c', GUARD, folder, ...argv], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
    ...(env === undefined ? {} : { env }),
    ...owner,
  })
  await once(server, 'spawn')
  await log.close()
  return server
}

const OTHERS_GUARD = 'read -r _ <&3; kill -TERM "$1"; sleep 1; kill -KILL "$1"; rm -rf -- "$0"'

/** The same for a process that somebody else started, and its folder; what is returned calls the guard off. */
export function guardProcess(pid: number, folder: string): () => void {
  const guard = spawn('/bin/sh', ['-c', OTHERS_GUARD, folder, String(pid)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  return () => {
    if (guard.pid !== undefined) process.kill(-guard.pid, 'SIGKILL')
  }
}

/** Ends it with the signal, in the middle of whatever it does. */
export async function endGuarded(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!hasEnded(server) && server.kill(signal)) await once(server, 'exit')
  const pipe = server.stdio[3]
  if (pipe === null || pipe === undefined || pipe.destroyed) return
  // What is left of the group is the reader.
  if (server.pid !== undefined) process.kill(-server.pid, 'SIGKILL')
  pipe.destroy()
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
