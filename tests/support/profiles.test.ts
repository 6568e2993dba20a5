// The profiles of tests are ones that Millrace can read, whatever they point at.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listTargets, readProfileTarget } from '../../src/dbt/profile.ts'
import { bigqueryOutput, duckdbOutput, postgresOutput, writeProfiles } from './profiles.ts'

test('one file has a target for each kind of warehouse, the first by default', async () => {
  const projectDir = await mkdtemp(path.join(tmpdir(), 'millrace-profiles-'))
  onTestFinished(() => rm(projectDir, { recursive: true }))
  await writeFile(path.join(projectDir, 'dbt_project.yml'), 'name: x\nprofile: millrace\n')
  const database = { host: '127.0.0.1', port: 5433, user: 'u', password: 'never-shown', dbname: 'd' }
  await writeProfiles(projectDir, {
    dev: duckdbOutput('warehouse.duckdb'),
    prod: postgresOutput(database),
    cloud: bigqueryOutput({ apiEndpoint: 'http://127.0.0.1:9050', project: 'p' }),
  })

  expect(await listTargets({ projectDir })).toEqual({ targets: ['dev', 'prod', 'cloud'], default: 'dev' })
  expect((await readProfileTarget({ projectDir })).type).toBe('duckdb')
  const prod = await readProfileTarget({ projectDir }, 'prod')
  expect(prod.settings).toMatchObject({ ...database, schema: 'analytics' })
  expect(prod.secrets).toContain('never-shown')
  const cloud = await readProfileTarget({ projectDir }, 'cloud')
  expect(cloud.settings).toMatchObject({ project: 'p', dataset: 'analytics', api_endpoint: 'http://127.0.0.1:9050' })
})
