// dbt for BigQuery comes when it is first asked for, and its absence is told with the way out.
import { MockActivityEnvironment } from '@temporalio/testing'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createFakeProject, type FakeProject } from '../../tests/setup/fake-project.ts'
import { isAlive } from '../platform/subprocess.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import { bigQueryPython } from './bigquery-dbt.ts'

let project: FakeProject

beforeEach(() => {
  project = createFakeProject({ tools: ['python3'] })
  project.write('tools/python/requirements-bigquery.lock', 'dbt-bigquery==1.12.1 --hash=sha256:00\n')
  for (const [name, value] of Object.entries(project.environment)) vi.stubEnv(name, value)
})
afterEach(() => {
  vi.unstubAllEnvs()
  project.remove()
})

function installation() {
  const { root } = project
  return { ...INSTALLATION, root, bigQueryPython: path.join(root, '.millrace', 'venv-bigquery', 'bin', 'python') }
}

test('what is missing is installed, alone and once', async () => {
  const python = await bigQueryPython(installation())
  await bigQueryPython(installation())

  expect(python).toBe(path.join(project.root, '.millrace/venv-bigquery/bin/python'))
  expect(project.calls()).toEqual(['venv', 'pip install'])
})

test('what cannot be installed says why, and the command to run by hand', async () => {
  project.install(
    'python3',
    'case "$2" in venv) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;; pip) echo "no route to host"; exit 1 ;; *) echo "3 12 complete" ;; esac',
  )

  await expect(bigQueryPython(installation())).rejects.toMatchObject({
    type: 'DbtMissing',
    nonRetryable: true,
    message: expect.stringMatching(
      /pip could not install dbt for BigQuery[^]*no route to host[^]*run `npm run setup -- --with bigquery`$/,
    ),
  })
})

test('a cancelled activity does not wait for the installation', async () => {
  project.install(
    'python3',
    'case "$2" in venv) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;; pip) echo $$ > pip.pid; exec sleep 60 ;; *) echo "3 12 complete" ;; esac',
  )
  const activity = new MockActivityEnvironment()
  const installing = activity.run(() => bigQueryPython(installation()))
  await vi.waitUntil(() => project.has('pip.pid') && project.read('pip.pid').endsWith('\n'), { timeout: 10_000 })
  const pid = Number(project.read('pip.pid'))
  activity.cancel()

  await expect(installing).rejects.toThrow('CANCELLED')
  while (isAlive(pid)) await pause(20)
})
