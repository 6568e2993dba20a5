// `--demo`: a source of the sample pipelines on loopback, for those who have no key. Nothing of it touches real data.
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { failure } from '../pipeline/failure.ts'
import { readEnvironment, setVariables } from '../platform/environment.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import type { Cli } from './cli.ts'
import { color, sayError } from './terminal.ts'

/** What the program's module offers; it is no part of the product, so it is loaded only when it is asked for. */
interface FakeModule {
  startFakeApi(settings: { key: string; now: () => number }): Promise<{ url: string; close(): Promise<void> }>
}

/**
 * Starts the fake that stands in for the pipeline's source and sets this process's environment to it: its own task
 * queue, so that this very worker does the run, and a warehouse of its own. Fails with RequestInvalid for another pipeline.
 */
export async function startDemoSource(cli: Cli, pipeline: string): Promise<{ cli: Cli; close(): Promise<void> }> {
  if (pipeline !== 'weather-hourly') {
    throw failure('RequestInvalid', `--demo is there for weather-hourly only, not for '${pipeline}'; leave it out`)
  }
  const program = pathToFileURL(path.join(INSTALLATION.root, 'tools', 'meteofrance', 'api.ts')).href
  const fake = (await import(program)) as FakeModule // a path that no type is known of
  const api = await fake.startFakeApi({ key: 'demo', now: Date.now })
  const warehouse = path.join(cli.workspace.stateDir, 'weather-demo.duckdb')
  setVariables({
    METEOFRANCE_URL: api.url,
    METEOFRANCE_API_KEY: 'demo',
    MILLRACE_DUCKDB_PATH: warehouse,
    MILLRACE_TASK_QUEUE: `${cli.environment.taskQueue}-demo`,
  })
  sayError(color.dim(`demo: a fake of the API at ${api.url}, marts in ${path.relative(process.cwd(), warehouse)}`))
  return { cli: { ...cli, environment: readEnvironment() }, close: () => api.close() }
}
