// weather-hourly on the real server, worker, dbt and DuckDB, against the fake of Météo-France's API.
import { expect, test, onTestFinished } from 'vitest'
import type { RunRequest } from '../../src/pipeline/plan.ts'
import type { RunReport } from '../../src/pipeline/report.ts'
import { startFakeApi } from '../../tools/meteofrance/api.ts'
import { millrace } from '../support/cli.ts'
import { query } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'
import { makeWorkspace } from '../support/workspace.ts'

/** The oracle: what the fake served, split by hand; per station and hour the row with the latest reference_time. */
function newestRows(bodies: readonly string[]): Map<string, string[]> {
  const newest = new Map<string, string[]>()
  for (const line of bodies.flatMap((body) => body.trimEnd().split('\n').slice(1))) {
    const fields = line.split(';')
    const key = `${fields[2]} ${fields[5]}`
    const known = newest.get(key)?.[3]
    if (known === undefined || known < (fields[3] ?? '')) newest.set(key, fields)
  }
  return newest
}

test('observations are loaded once per station and hour, the newest publication counts, and faults have names', async () => {
  let now = Date.parse('2026-11-18T09:20:00Z')
  const api = await startFakeApi({ key: 'k-0123456789', now: () => now })
  onTestFinished(() => api.close())
  const workspace = await makeWorkspace()
  const worker = await startWorker(workspace, { METEOFRANCE_URL: api.url, METEOFRANCE_API_KEY: 'k-0123456789' })
  const run = (dept: string, request: RunRequest = {}) => worker.run('weather-hourly', { ...request, params: { dept } })
  const onlyIngest = { only: 'ingest' }
  const loads = (report: RunReport) => report.steps[0]?.loads.map((load) => load.report?.status)
  const bodies = () => api.requests.map(({ body }) => body)

  const first = await millrace(workspace, ['run', 'weather-hourly', '--dept', '9,2A'])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(api.requests.map(({ department }) => department)).toEqual(expect.arrayContaining(['9', '2A']))
  expect(loads(await run('9', onlyIngest))).toEqual(['already loaded'])

  now += 3 * 3_600_000
  api.faults.push({ kind: 'throttle', retryAfter: '1' })
  expect(loads(await run('9'))).toEqual(['loaded'])
  api.faults.push({ kind: 'header only' })
  const nothing = await run('9', onlyIngest)
  expect(nothing).toMatchObject({ outcome: 'warned', failure: null })
  api.faults.push({ kind: 'throttle', retryAfter: '3600' })
  expect((await run('9', onlyIngest)).failure?.type).toBe('SourceThrottled')
  // The rest of a week, asked for once a day; the last answer is built with all that came before.
  for (let day = 1; day < 7; day++) {
    now += 23 * 3_600_000
    expect((await run('9', day < 6 ? onlyIngest : {})).outcome).toBe('succeeded')
  }
  await worker.stop()

  const expected = newestRows(bodies())
  const marts = await query(
    workspace,
    "select station_id, department, temperature_c::double as t, strftime(observed_at, '%Y-%m-%dT%H:%M:%SZ') as hour from analytics_dev.mart_weather_hourly",
  )
  expect(marts).toHaveLength(expected.size)
  expect(expected.size).toBe(3 * (27 + 6 * 23) + 24)
  for (const { station_id, hour, t } of marts) {
    const fields = expected.get(`${String(station_id)} ${String(hour)}`)
    expect(t).toBeCloseTo(Number(fields?.[6]) - 273.15, 2)
  }
  expect(new Set(marts.map(({ department }) => department))).toEqual(new Set(['09', '2A']))
  const files = await query(workspace, 'select distinct _source_file as f from raw_weather.observations order by 1')
  expect(files.map(({ f }) => f)).toEqual([
    '${METEOFRANCE_URL}/paquet/horaire?id-departement=2A&format=csv',
    '${METEOFRANCE_URL}/paquet/horaire?id-departement=9&format=csv',
  ])

  const keylessWorker = await startWorker(workspace, { METEOFRANCE_URL: api.url, METEOFRANCE_API_KEY: '' })
  const keyless = await keylessWorker.run('weather-hourly', { params: { dept: '9' } })
  expect(keyless.failure?.type).toBe('SourceUnconfigured')
  expect(keyless.failure?.message).toContain('get a key at https://portail-api.meteofrance.fr')
}, 300_000)
