// Runs the real CLI and the real worker as processes of their own, as a user would.
import { spawn, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { INSTALLATION, type Workspace } from '../../src/platform/workspace.ts'

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const ENTRY = path.join(INSTALLATION.root, 'bin', 'millrace.mjs')

/** What a process of this test gets: its workspace, a task queue of its own, and the tests' server. */
export function testEnvironment(workspace: Workspace, extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NO_COLOR: '1',
    MILLRACE_WORKSPACE: workspace.root,
    MILLRACE_TASK_QUEUE: taskQueueOf(workspace),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    ...extra,
  }
}

export function taskQueueOf(workspace: Workspace): string {
  return path.basename(workspace.root)
}

/** Runs `millrace …` to its end, in the workspace's folder. */
export function millrace(workspace: Workspace, args: readonly string[], env = testEnvironment(workspace)) {
  const { promise, resolve, reject } = Promise.withResolvers<CliResult>()
  const child = spawn(process.execPath, [ENTRY, ...args], {
    cwd: workspace.root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.once('error', reject)
  child.once('close', (code) => resolve({ code, stdout, stderr }))
  onTestFinished(() => void child.kill('SIGKILL'))
  return promise
}

export interface WorkerProcess {
  readonly process: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  stop(): Promise<void>
}

/** A worker process; stopped at the end of the test. Resolves when it polls. */
export async function startWorkerProcess(
  workspace: Workspace,
  extra: Record<string, string> = {},
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [ENTRY, 'worker'], {
    cwd: workspace.root,
    env: testEnvironment(workspace, extra),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>()
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
    if (log.includes('worker serves')) ready.resolve()
  })
  child.once('close', (code, signal) => {
    ended.resolve({ code, signal })
    ready.reject(new Error(`the worker ended before it was ready: ${log}`))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended.promise
  }
  onTestFinished(stop)
  await ready.promise
  return { process: child, ended: ended.promise, stop }
}
