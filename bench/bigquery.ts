// How fast a load into BigQuery is: ours against plain load jobs of the same rows, on the emulator, as ratios in one run.
// Usage: node bench/bigquery.ts [megabytes, default 50] [repeats, default 3]
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openApi } from '../src/platform/bigquery/api.ts'
import { loadFile, type Load } from '../src/platform/bigquery/load.ts'
import { createDataset } from '../src/platform/bigquery/tables.ts'
import { openEngine } from '../src/platform/duckdb.ts'
import { bigquerySettings } from '../src/warehouses/bigquery/settings.ts'
import { rawType } from '../src/warehouses/bigquery/types.ts'
import { openBigquery } from '../src/warehouses/bigquery/warehouse.ts'
import { startBigQuery, type BigQueryProject } from '../tests/support/bigquery-emulator.ts'
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

const columns = Object.entries(TYPES).map(([name, type]) => ({
  name,
  duckdbType: DUCKDB_TYPES[type as keyof typeof DUCKDB_TYPES],
}))

function targetOf({ apiEndpoint, project }: BigQueryProject) {
  const login = { method: 'oauth-secrets', token: 'any', location: 'EU', api_endpoint: apiEndpoint }
  const settings = { type: 'bigquery', ...login, project, dataset: 'dev' }
  return { profile: 'p', target: 'prod', type: 'bigquery', profilesDir: '/', settings, secrets: [] }
}

/** What `bq load` does: the file as it is, straight into its table. */
async function plainLoad(file: string, format: Load['format'], project: BigQueryProject): Promise<number> {
  const { auth } = bigquerySettings(targetOf(project))
  const api = await openApi({ auth, project: project.project, location: 'EU', endpoint: project.apiEndpoint })
  await createDataset(api, project.project, 'raw', 'EU')
  const { rows } = await loadFile(api, {
    id: `plain_${Date.now()}`,
    file,
    format,
    into: { project: project.project, dataset: 'raw', table: 't' },
    columns: columns.map(({ name, duckdbType }) => ({ name, type: rawType(duckdbType) })),
  })
  return rows ?? 0
}

/** The same rows as Parquet, made beforehand. */
async function writeParquet(csv: string, parquet: string, folder: string): Promise<void> {
  const engine = await openEngine({ scratchDir: folder })
  const typed = columns.map(({ name, duckdbType }) => `'${name}': '${duckdbType}'`).join(', ')
  await engine.run(
    `COPY (SELECT * REPLACE (started_at AT TIME ZONE 'UTC' AS started_at)
       FROM read_csv('${csv}', columns = {${typed}}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"'))
     TO '${parquet}' (FORMAT parquet)`,
  )
  engine.close()
}

const megabytes = howMany(process.argv[2] ?? '50')
const repeats = howMany(process.argv[3] ?? '3')
const data = mkdtempSync(path.join(tmpdir(), 'millrace-bench-data-'))
const emulator = await startBigQuery()
try {
  const csv = path.join(data, 'plain.csv')
  const parquet = path.join(data, 'plain.parquet')
  writeSample(csv, megabytes * 1e6, false)
  await writeParquet(csv, parquet, data)
  const jobs: Readonly<Record<string, (folder: string, project: BigQueryProject) => Promise<number>>> = {
    'whole load': (folder, project) =>
      loadSample(csv, folder, (place) => openBigquery(targetOf(project), place, 'write')),
    'load job of the CSV': (_folder, project) => plainLoad(csv, 'CSV', project),
    'load job of ready Parquet': (_folder, project) => plainLoad(parquet, 'PARQUET', project),
  }
  const seconds: Record<string, number[]> = Object.fromEntries(Object.keys(jobs).map((name) => [name, []]))
  let rows = 0
  // Turn by turn, so that a busy minute of the machine hits all of them; a project of its own for each.
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [name, job] of Object.entries(jobs)) {
      const folder = mkdtempSync(path.join(data, 'run-'))
      const startedAtMs = performance.now()
      const loaded = await job(folder, emulator.freshProject())
      seconds[name]?.push((performance.now() - startedAtMs) / 1000)
      if (rows !== 0 && loaded !== rows) throw new Error(`${name}: ${loaded} rows, and ${rows} before`)
      rows = loaded
    }
  }
  const median = (name: string) =>
    (seconds[name] ?? []).toSorted((a, b) => a - b)[Math.floor(repeats / 2)] ?? Number.NaN
  const size = statSync(csv).size / 1e6
  console.log(
    `${size.toFixed(0)} MB of CSV, ${rows} rows, ${(statSync(parquet).size / 1e6).toFixed(1)} MB as Parquet, median of ${repeats}`,
  )
  console.log('what                         seconds    MB/s of CSV      rows/s')
  for (const name of Object.keys(jobs)) {
    const took = median(name)
    const cells = [
      took.toFixed(2).padStart(8),
      (size / took).toFixed(1).padStart(15),
      (rows / took).toFixed(0).padStart(12),
    ]
    console.log(name.padEnd(28) + cells.join(''))
  }
  for (const name of Object.keys(jobs).slice(1)) {
    console.log(`speed of a whole load over a ${name}: ${(median(name) / median('whole load')).toFixed(2)} ×`)
  }
} finally {
  await emulator.stop()
  rmSync(data, { recursive: true })
}
