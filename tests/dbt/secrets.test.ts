// A secret that the warehouse's own words give away is in nothing that a run leaves behind.
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { execa } from 'execa'
import { expect, inject, onTestFinished, test } from 'vitest'
import { workspaceAt } from '../../src/platform/workspace.ts'
import { millrace, startWorkerProcess, testEnvironment } from '../support/cli.ts'
import { writeGeneratedProject } from '../support/generated-project.ts'

const SECRET = 'pa"ss-4711-wörd'

test('neither logs, ledgers, artifacts, messages nor the history have it', async () => {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-secrets-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeGeneratedProject(root, { models: 2 })
  // dbt has a model's SQL in its artifacts, and the warehouse quotes what it cannot convert.
  const leaky = `select cast('${SECRET}' as int) as id`
  await writeFile(path.join(root, 'dbt/models/m_0001.sql'), leaky)
  const profiles = path.join(root, 'dbt/profiles.yml')
  const password = `      settings: { http_proxy_password: "{{ env_var('TEST_PASSWORD') }}" }\n`
  await writeFile(profiles, (await readFile(profiles, 'utf8')) + password)
  const workspace = workspaceAt(root)
  const worker = await startWorkerProcess(workspace, { TEST_PASSWORD: SECRET })
  const run = await millrace(workspace, ['run', 'generated'], testEnvironment(workspace, { TEST_PASSWORD: SECRET }))
  await worker.stop()

  expect(run.code).toBe(1)
  expect(run.stdout).toContain("Could not convert string '[redacted]' to INT32")
  const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
  onTestFinished(() => client.connection.close())
  const history = await client.workflow.getHandle(/^\S+/.exec(run.stdout)?.[0] ?? '').fetchHistory()
  const payloads = JSON.stringify(JSON.parse(historyToJSON(history)), (key, value: unknown) =>
    key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
  )
  // Half of it would be enough to find it by.
  for (const text of [run.stdout, run.stderr, payloads]) expect(text).not.toContain('ss-4711')
  const { stdout: files } = await execa('grep', ['-rlI', 'ss-4711', path.join(root, '.millrace', 'runs')], {
    reject: false,
  })
  expect(files).toBe('')
  expect(await readFile(path.join(root, 'dbt/models/m_0001.sql'), 'utf8')).toBe(leaky)
})
