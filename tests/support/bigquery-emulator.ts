// BigQuery for the tests of one file: bqemulator in memory, installed when it is first needed, gone with the file's tests.
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll } from 'vitest'
import { INSTALLATION } from '../../src/platform/workspace.ts'
import { endGuarded, hasEnded, startGuarded } from './guarded-process.ts'

export interface BigQueryProject {
  /** `http://127.0.0.1:<port>`: a profile's `api_endpoint`. */
  readonly apiEndpoint: string
  readonly project: string
}

export interface BigQueryEmulator {
  /**
   * A project without datasets that no other test has seen. Projects see nothing of each other, but they share one
   * connection: a transaction of one takes part in what another does meanwhile.
   */
  freshProject(): BigQueryProject
  /** Everything the emulator has logged. */
  log(): Promise<string>
  stop(): Promise<void>
}

/** Half a gigabyte of packages may have to come first. */
const SETUP_TIMEOUT_MS = 900_000
const START_TIMEOUT_MS = 60_000
const START_SCRIPT = fileURLToPath(new URL('start_bqemulator.py', import.meta.url))

/** An emulator for all tests of the calling file: `const bigquery = useBigQuery()`, `bigquery().freshProject()` in a test. */
export function useBigQuery(): () => BigQueryEmulator {
  let emulator: BigQueryEmulator | undefined
  beforeAll(async () => {
    emulator = await startBigQuery()
  }, SETUP_TIMEOUT_MS)
  afterAll(async () => await emulator?.stop())
  return () => {
    if (emulator === undefined) throw new Error('the emulator starts before the first test, not while a file is read')
    return emulator
  }
}

/** `useBigQuery` stops the emulator by itself; who starts it here has to. */
export async function startBigQuery(): Promise<BigQueryEmulator> {
  await execa(process.execPath, [path.join(INSTALLATION.root, 'tools', 'bootstrap.mjs'), '--only', 'bqemulator'])
  const venv = path.join(INSTALLATION.root, '.millrace', 'venv-bqemulator')
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bigquery-'))
  const logFile = path.join(folder, 'emulator.log')
  const emulator = await startGuarded({
    argv: [
      path.join(venv, 'bin', 'python'),
      START_SCRIPT,
      'start',
      '--ephemeral',
      '--rest-port',
      '0',
      '--grpc-port',
      '0',
    ],
    folder,
    logFile,
    env: {
      PATH: process.env['PATH'],
      TMPDIR: folder,
      // Where tools/python/install_spatial.py put the extension; another one, which nothing here uses, would be downloaded.
      HOME: path.join(venv, 'home'),
      BQEMU_ENABLE_FORMAT_EXTENSIONS: 'false',
    },
  })
  const stop = async () => {
    await endGuarded(emulator, 'SIGKILL') // it has nothing to save, and would wait for open connections
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const apiEndpoint = await untilReady(emulator, logFile)
    let count = 0
    return {
      freshProject() {
        count += 1
        return { apiEndpoint, project: `millrace-test-${count}` }
      },
      log: () => readFile(logFile, 'utf8'),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function untilReady(emulator: ChildProcess, logFile: string): Promise<string> {
  const until = performance.now() + START_TIMEOUT_MS
  for (; ; await pause(50)) {
    const log = await readFile(logFile, 'utf8')
    const [, port] = /"port": (\d+), "event": "rest\.listen"/.exec(log) ?? []
    if (port !== undefined) {
      const apiEndpoint = `http://127.0.0.1:${port}`
      const answer = await fetch(`${apiEndpoint}/readyz`).catch(() => undefined)
      if (answer?.ok === true) return apiEndpoint
    }
    if (hasEnded(emulator) || performance.now() > until)
      throw new Error(`the BigQuery emulator does not start:\n${log}`)
  }
}
