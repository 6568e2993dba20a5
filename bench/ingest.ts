// How fast and how small a load is: scan, whole load, and DuckDB's own typed reader on the same file, as ratios in one run.
// Usage: node bench/ingest.ts [megabytes, default 1000] [repeats, default 3]
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { CsvScanner } from '../src/ingest/csv/scan.ts'
import { DEFAULT_DIALECT } from '../src/pipeline/dialect.ts'
import { identifier } from '../src/pipeline/identifier.ts'
import { openEngine } from '../src/platform/duckdb.ts'
import { openDuckdb } from '../src/warehouses/duckdb/warehouse.ts'
import { howMany } from './arguments.ts'
import { loadSample } from './load.ts'
import { TYPES, writeSample } from './sample.ts'

const DUCKDB_TYPES = {
  bigint: 'BIGINT',
  string: 'VARCHAR',
  int: 'INTEGER',
  timestamp: 'TIMESTAMP',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
}

interface Measured {
  readonly seconds: number
  readonly megabytes: number
  readonly peakMebibytes: number
  readonly idleMebibytes: number
  /** Longest time that the event loop did not turn. */
  readonly blockedMs: number
}

function scanOnly(file: string): void {
  const fd = openSync(file, 'r')
  const chunk = Buffer.allocUnsafe(1024 * 1024)
  const scanner = new CsvScanner(DEFAULT_DIALECT, undefined, {
    header: (fields) => fields.length,
    sound: () => undefined,
    faulty: (_bytes, fault) => {
      throw new Error(`the sample has a faulty record: ${fault}`)
    },
  })
  for (let read = 1; read > 0;) {
    read = readSync(fd, chunk)
    if (read > 0) scanner.push(chunk.subarray(0, read))
  }
  scanner.end()
  closeSync(fd)
}

async function load(file: string, folder: string): Promise<void> {
  const database = path.join(folder, 'load.duckdb')
  const address = {
    kind: 'duckdb',
    label: database,
    schema: identifier('dev'),
    identity: database,
    concurrency: 1,
    file: database,
    database: 'w',
  } as const
  await loadSample(file, folder, ({ engine }) => openDuckdb(address, engine))
}

/** What one would type by hand: all columns typed, rejects stored, nothing guessed. */
async function duckdbAlone(file: string, folder: string): Promise<void> {
  const engine = await openEngine({ scratchDir: folder })
  const columns = Object.entries(TYPES).map(
    ([name, type]) => `'${name}': '${DUCKDB_TYPES[type as keyof typeof DUCKDB_TYPES]}'`,
  )
  await engine.run(`ATTACH '${path.join(folder, 'native.duckdb')}' AS w`)
  await engine.run(
    `CREATE TABLE w.t AS SELECT * FROM read_csv('${file}', columns = {${columns.join(', ')}}, auto_detect = false, header = true,
       delim = ',', quote = '"', escape = '"', store_rejects = true)`,
  )
  await engine.run('DETACH w')
  engine.close()
}

const JOBS: Record<string, (file: string, folder: string) => void | Promise<void>> = {
  scan: scanOnly,
  load,
  duckdb: duckdbAlone,
}

async function measureHere(job: string, file: string): Promise<Measured> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'))
  const resident = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? Number.NaN) / 1024
  const idleMebibytes = resident('VmRSS')
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const startedAtMs = performance.now()
  try {
    await JOBS[job]?.(file, folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
  const seconds = (performance.now() - startedAtMs) / 1000
  return {
    seconds,
    megabytes: statSync(file).size / 1e6,
    peakMebibytes: resident('VmHWM'),
    idleMebibytes,
    blockedMs: delay.max / 1e6,
  }
}

/** In a process of its own, so that peaks do not mix; the median of the repeats by time. */
function measure(job: string, file: string, repeats: number): Measured {
  const runs = Array.from({ length: repeats }, () => {
    const output = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--job', job, file])
    return JSON.parse(output.toString()) as Measured // printed below
  })
  const sorted = runs.toSorted((a, b) => a.seconds - b.seconds)
  const median = sorted[Math.floor(sorted.length / 2)]
  if (median === undefined) throw new Error('at least one repeat')
  return median
}

const [first, second, third] = process.argv.slice(2)
if (first === '--job') {
  console.log(JSON.stringify(await measureHere(second ?? '', third ?? '')))
} else {
  const megabytes = howMany(first ?? '1000')
  const repeats = howMany(second ?? '3')
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-data-'))
  try {
    const plain = path.join(folder, 'plain.csv')
    const quoted = path.join(folder, 'quoted.csv')
    writeSample(plain, megabytes * 1e6, false)
    writeSample(quoted, megabytes * 1e6, true)
    const rows: [string, Measured][] = [
      ['scan, plain', measure('scan', plain, repeats)],
      ['scan, 22 % quoted', measure('scan', quoted, repeats)],
      ['whole load, plain', measure('load', plain, repeats)],
      ['whole load, 22 % quoted', measure('load', quoted, repeats)],
      ["DuckDB's typed CREATE TABLE, plain", measure('duckdb', plain, repeats)],
      ["DuckDB's typed CREATE TABLE, quoted", measure('duckdb', quoted, repeats)],
    ]
    console.log(`${megabytes} MB, median of ${repeats}`)
    console.log('what                                     seconds    MB/s  peak MiB over idle  event loop blocked ms')
    for (const [name, { seconds, megabytes, peakMebibytes, idleMebibytes, blockedMs }] of rows) {
      const cells = [
        seconds.toFixed(2).padStart(8),
        (megabytes / seconds).toFixed(0).padStart(8),
        (peakMebibytes - idleMebibytes).toFixed(0).padStart(20),
        blockedMs.toFixed(0).padStart(23),
      ]
      console.log(name.padEnd(40) + cells.join(''))
    }
    const secondsOf = (name: string) => rows.find(([row]) => row === name)?.[1].seconds ?? Number.NaN
    const ratio = (kind: string) =>
      (
        secondsOf(`DuckDB's typed CREATE TABLE, ${kind === 'plain' ? 'plain' : 'quoted'}`) /
        secondsOf(`whole load, ${kind}`)
      ).toFixed(2)
    console.log(`speed of a whole load over DuckDB's own: plain ${ratio('plain')} ×, quoted ${ratio('22 % quoted')} ×`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
