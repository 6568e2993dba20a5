// How fast a load into Postgres is: ours against COPY of the same file into the same typed table, as ratios in one run.
// Usage: node bench/postgres.ts [megabytes, default 200] [repeats, default 3]
import { execFileSync } from 'node:child_process'
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { from as copyFrom } from 'pg-copy-streams'
import { openPostgres } from '../src/warehouses/postgres/warehouse.ts'
import { startPostgres, withClient, type PostgresDatabase } from '../tests/support/postgres-server.ts'
import { howMany } from './arguments.ts'
import { loadSample } from './load.ts'
import { TYPES, writeSample } from './sample.ts'

const POSTGRES_TYPES = {
  bigint: 'bigint',
  string: 'text',
  int: 'integer',
  timestamp: 'timestamp',
  double: 'double precision',
  boolean: 'boolean',
  date: 'date',
}

interface Measured {
  readonly seconds: number
  readonly megabytes: number
  readonly rows: number
  readonly peakMebibytes: number
  readonly idleMebibytes: number
  /** Longest time that the event loop did not turn. */
  readonly blockedMs: number
}

function load(file: string, database: PostgresDatabase, folder: string): Promise<number> {
  const settings = { type: 'postgres', ...database, schema: 'dev' }
  const target = { profile: 'p', target: 'prod', type: 'postgres', profilesDir: folder, settings, secrets: [] }
  return loadSample(file, folder, (place) => openPostgres(target, place, 'write'))
}

/** What `\copy` does: the file as it is. With `rawColumns` the table has what a raw table has beside the file's columns. */
async function copy(file: string, database: PostgresDatabase, hasRawColumns: boolean): Promise<number> {
  const columns = Object.entries(TYPES).map(
    ([name, type]) => `${name} ${POSTGRES_TYPES[type as keyof typeof POSTGRES_TYPES]}`,
  )
  const added = [
    `_load_id text default '${'0'.repeat(32)}'`,
    `_source_file text default 'sample.csv'`,
    '_source_record bigint default 1000000',
    `_loaded_at timestamp default '2026-01-01'`,
    `_logical_date date default '2026-01-01'`,
  ]
  return await withClient(database, async (client) => {
    await client.query(`create table t (${[...columns, ...(hasRawColumns ? added : [])].join(', ')})`)
    const query = client.query(copyFrom(`copy t (${Object.keys(TYPES).join(', ')}) from stdin (format csv, header)`))
    await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), query)
    return query.rowCount
  })
}

const JOBS: Record<string, (file: string, database: PostgresDatabase, folder: string) => Promise<number>> = {
  load,
  copy: (file, database) => copy(file, database, false),
  'copy raw': (file, database) => copy(file, database, true),
}

async function measureHere(job: string, file: string, database: PostgresDatabase): Promise<Measured> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'))
  const resident = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? Number.NaN) / 1024
  const idleMebibytes = resident('VmRSS')
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const startedAtMs = performance.now()
  let rows: number | undefined
  try {
    rows = await JOBS[job]?.(file, database, folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
  return {
    seconds: (performance.now() - startedAtMs) / 1000,
    megabytes: statSync(file).size / 1e6,
    rows: rows ?? 0,
    peakMebibytes: resident('VmHWM'),
    idleMebibytes,
    blockedMs: delay.max / 1e6,
  }
}

/** In a process and a database of its own, nothing left to write from the one before. */
async function measure(job: string, file: string): Promise<Measured> {
  const database = await server.freshDatabase()
  await withClient(database, (client) => client.query('checkpoint'))
  const args = [fileURLToPath(import.meta.url), '--job', job, file, JSON.stringify(database)]
  return JSON.parse(execFileSync(process.execPath, args).toString()) as Measured // printed below
}

const [first, second, third, fourth] = process.argv.slice(2)
if (first === '--job') {
  const database = JSON.parse(fourth ?? '{}') as PostgresDatabase // from measure
  console.log(JSON.stringify(await measureHere(second ?? '', third ?? '', database)))
  process.exit()
}

const megabytes = howMany(first ?? '200')
const repeats = howMany(second ?? '3')
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-data-'))
const server = await startPostgres()
try {
  const jobs = Object.keys(JOBS)
  console.log(`${megabytes} MB, median of ${repeats}`)
  console.log(
    'what                                  seconds    MB/s    rows/s  peak MiB over idle  event loop blocked ms',
  )
  for (const kind of ['plain', 'quoted']) {
    const file = path.join(folder, `${kind}.csv`)
    writeSample(file, megabytes * 1e6, kind === 'quoted')
    const runs: Record<string, Measured[]> = Object.fromEntries(jobs.map((job) => [job, []]))
    // Turn by turn, so that a busy minute of the machine hits all of them.
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const job of jobs) runs[job]?.push(await measure(job, file))
    }
    const median = (job: string) => {
      const sorted = (runs[job] ?? []).toSorted((a, b) => a.seconds - b.seconds)
      const middle = sorted[Math.floor(sorted.length / 2)]
      if (middle === undefined) throw new Error('at least one repeat')
      return middle
    }
    const names = { load: 'whole load', copy: 'COPY of the file', 'copy raw': "COPY, with a raw table's columns" }
    for (const [job, name] of Object.entries(names)) {
      const { seconds, megabytes, rows, peakMebibytes, idleMebibytes, blockedMs } = median(job)
      const cells = [
        seconds.toFixed(2).padStart(8),
        (megabytes / seconds).toFixed(0).padStart(8),
        (rows / seconds).toFixed(0).padStart(10),
        (peakMebibytes - idleMebibytes).toFixed(0).padStart(20),
        blockedMs.toFixed(0).padStart(23),
      ]
      console.log(`${name}, ${kind}`.padEnd(37) + cells.join(''))
    }
    const ratio = (job: string) => (median(job).seconds / median('load').seconds).toFixed(2)
    console.log(
      `speed of a whole load over COPY, ${kind}: ${ratio('copy')} ×; with the same columns ${ratio('copy raw')} ×`,
    )
  }
} finally {
  await server.stop()
  rmSync(folder, { recursive: true })
}
