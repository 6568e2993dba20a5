// dbt for BigQuery, half a gigabyte that not everybody needs: brought when a target first asks for it.
import { asyncLocalStorage } from '@temporalio/activity'
import { access } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../pipeline/failure.ts'
import { runShort } from '../platform/subprocess.ts'
import { INSTALLATION } from '../platform/workspace.ts'

const BY_HAND = 'npm run setup -- --with bigquery'
const SHOWN_CHARS = 700

/** Installations that this process has looked at: their lock file does not change under it. */
const ready = new Set<string>()

/**
 * The Python of the environment that holds dbt for BigQuery, which is installed where it is missing or out of date. Ends
 * early when the current activity is cancelled; the next attempt begins anew. Fails with DbtMissing.
 */
export async function bigQueryPython({ root, bigQueryPython: python } = INSTALLATION): Promise<string> {
  if (ready.has(root)) return python
  // `millrace check` comes here without an activity.
  const activity = asyncLocalStorage.getStore()
  const isThere = () =>
    access(path.join(path.dirname(python), '..', '.millrace-stamp')).then(
      () => true,
      () => false,
    )
  if (!(await isThere()))
    activity?.log.info('installing dbt for BigQuery, which takes a minute or two', { by: BY_HAND })
  const { stderr } = await runShort({
    file: process.execPath,
    // Nothing else of the set-up: the rest of it is what this process runs on.
    args: [path.join(root, 'tools', 'bootstrap.mjs'), '--only', 'bigquery'],
    cwd: root,
    env: {},
    input: '',
    ...(activity === undefined ? {} : { abort: activity.cancellationSignal }),
  })
  // The stamp is written last, so it is there when all went well; and when only Python itself is gone, it still serves.
  if (!(await isThere())) {
    const reason = stderr.trim().slice(-SHOWN_CHARS)
    throw failure(
      'DbtMissing',
      `dbt for BigQuery could not be installed: ${reason}\nWhen that is mended, run \`${BY_HAND}\``,
    )
  }
  ready.add(root)
  return python
}
