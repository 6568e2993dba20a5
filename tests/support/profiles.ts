// profiles.yml of the sample project for tests: one target for each kind of warehouse, on the real things that tests start.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stringify } from 'yaml'
import type { BigQueryProject } from './bigquery-emulator.ts'
import type { PostgresDatabase } from './postgres-server.ts'

/** A target as profiles.yml holds it. */
export type ProfileOutput = Readonly<Record<string, string | number>> & { readonly type: string }

export function duckdbOutput(file: string, schema = 'analytics'): ProfileOutput {
  return { type: 'duckdb', path: file, schema, threads: 1 }
}

export function postgresOutput(database: PostgresDatabase, schema = 'analytics'): ProfileOutput {
  return { type: 'postgres', ...database, schema, threads: 2 }
}

/** Any token will do. The emulator answers one after the other, and never needs to be asked again. */
export function bigqueryOutput({ apiEndpoint, project }: BigQueryProject, dataset = 'analytics'): ProfileOutput {
  return {
    type: 'bigquery',
    method: 'oauth-secrets',
    token: 'any',
    api_endpoint: apiEndpoint,
    project,
    dataset,
    // Where the emulator puts a dataset that dbt makes, whatever dbt asks for.
    location: 'US',
    threads: 1,
    job_retries: 0,
  }
}

/** Writes profiles.yml into a project's folder; the first target is the default. */
export async function writeProfiles(
  projectDir: string,
  outputs: Readonly<Record<string, ProfileOutput>>,
): Promise<void> {
  const profile = { target: Object.keys(outputs)[0], outputs }
  await writeFile(path.join(projectDir, 'profiles.yml'), stringify({ millrace: profile }), { mode: 0o600 })
}
