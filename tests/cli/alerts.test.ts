// Alerts as a person sets them up: the test message, a run that fails, the watch; and no secret in anything that is left.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, inject, onTestFinished, test } from 'vitest'
import { alertSettings } from '../../src/activities/alerts.ts'
import type { Status } from '../../src/cli/status.ts'
import { ALERT_SIGNAL, alertWorkflowId } from '../../src/pipeline/alert-state.ts'
import { openMailSink, openSlackSink, shown } from '../support/alert-sinks.ts'
import { millrace, startWorkerProcess, taskQueueOf } from '../support/cli.ts'
import { historyText } from '../support/history.ts'
import { makeWorkspace } from '../support/workspace.ts'

const SOON = { timeout: 30_000, interval: 200 }

test('the test message says what came of each channel; a failed run is told of with links; the watch asks by the schedules', async () => {
  const [workspace, mail, slack] = await Promise.all([makeWorkspace(), openMailSink(), openSlackSink()])
  const taskQueue = taskQueueOf(workspace)
  const name = taskQueue.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const daily = await readFile(path.join(workspace.pipelinesDir, 'daily.yml'), 'utf8')
  await writeFile(path.join(workspace.pipelinesDir, 'daily.yml'), daily.replace(/schedules:[^]*$/, ''))
  await writeFile(
    path.join(workspace.pipelinesDir, `${name}.yml`),
    daily
      .replace('name: daily', `name: ${name}`)
      .replace(/schedules:[^]*$/, 'alerts: { on: [failed, stale], email: [data@example.org], slack: "#data" }\n')
      .concat('schedules: { nightly: { cron: "0 2 * * *", target: dev } }\n'),
  )
  const secrets = {
    MILLRACE_SMTP_PASSWORD: 'canary-8d1e55',
    MILLRACE_SLACK_WEBHOOK_URL: `${slack.url}/services/canary-b7731c`,
  }
  mail.login = { user: 'millrace', pass: 'another' }
  const worker = await startWorkerProcess(workspace, {
    ...secrets,
    MILLRACE_SMTP_HOST: '127.0.0.1',
    MILLRACE_SMTP_PORT: String(mail.port),
    MILLRACE_SMTP_USER: 'millrace',
    MILLRACE_SMTP_FROM: 'millrace@example.org',
    MILLRACE_UI_URL: 'https://temporal.example.org',
  })
  let log = ''
  worker.process.stderr?.on('data', (text: string) => (log += text))
  const client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) })
  onTestFinished(() => client.connection.close())

  const refused = await millrace(workspace, ['alerts', 'test', name])
  expect(refused.code).toBe(1)
  expect(refused.stdout).toMatch(/✔ slack +the webhook's channel/)
  expect(refused.stdout).toMatch(/✖ email +refused: .*EAUTH.*correct MILLRACE_SMTP_…/)
  mail.login = { user: 'millrace', pass: secrets.MILLRACE_SMTP_PASSWORD }
  const sent = await millrace(workspace, ['alerts', 'test', name, '--json'])
  expect(sent.code).toBe(0)
  expect(JSON.parse(sent.stdout)).toMatchObject({
    target: 'dev',
    deliveries: [{ outcome: 'delivered' }, { outcome: 'delivered' }],
  })
  expect(mail.mails[0]?.subject).toContain('a test message of Millrace')
  const none = await millrace(workspace, ['alerts', 'test', 'daily'])
  expect(none).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("pipeline 'daily' sends no alerts; add to pipelines/daily.yml"),
  })

  const applied = await millrace(workspace, ['schedules', 'apply'])
  expect(applied.stdout).toMatch(new RegExp(`${taskQueue}\\.watch\\s+created`))
  const { action } = await client.schedule.getHandle(`${taskQueue}.watch`).describe()
  expect(action).toMatchObject({ workflowType: 'watch', taskQueue })
  const looked = await client.workflow.execute('watch', { taskQueue, workflowId: `${taskQueue}-watch`, args: [] })
  expect(looked).toContainEqual(expect.stringMatching(new RegExp(`^${name} · dev: due by \\d{4}-\\d{2}-\\d{2}T`)))
  for (const id of [`${taskQueue}.watch`, `${name}.nightly`]) await client.schedule.getHandle(id).delete()

  const told = client.workflow.getHandle(alertWorkflowId(taskQueue, name, 'dev'))
  const { alerts } = await alertSettings(workspace, name, null)
  // What the watch told two intervals ago.
  const deadline = { atMs: Date.now() - 60_000, of: 'a schedule of then' }
  await told.signal(ALERT_SIGNAL, { settings: alerts, event: { kind: 'watched', deadline } })
  await expect.poll(() => [mail.mails.length, slack.posts.length], SOON).toEqual([2, 3])
  for (const text of [mail.mails[1]?.text, slack.posts.map(shown)[2]]) expect(text).toContain(`${name} · dev is stale`)
  const { stale } = JSON.parse((await millrace(workspace, ['status', '--json'])).stdout) as Status
  expect(stale).toMatchObject([{ pipeline: name, target: 'dev', lastSuccess: null }])
  expect((await millrace(workspace, ['status'])).stdout).toMatch(
    / · dev +stale, was due 1 min ago, no success seen before/,
  )

  const run = await millrace(workspace, ['run', name, '--date', '2020-01-01', '--json'])
  expect(run.code).toBe(1)
  await expect.poll(() => [mail.mails.length, slack.posts.length], SOON).toEqual([3, 4])
  for (const text of [mail.mails[2]?.text, slack.posts.map(shown)[3]]) {
    expect(text).toContain(`${name} · dev · 2020-01-01 failed`)
    expect(text).toContain('FileMissing: ')
    expect(text).toMatch(/https:\/\/temporal\.example\.org\/namespaces\/default\/workflows\//)
  }
  const history = await historyText(told)
  expect(history).toContain('watched')
  await told.terminate()

  const texts = [
    history,
    log,
    refused.stdout,
    refused.stderr,
    sent.stdout,
    run.stdout,
    ...(await filesBelow(workspace.stateDir)),
  ]
  expect(texts.length).toBeGreaterThan(8)
  for (const canary of ['canary-8d1e55', 'canary-b7731c'])
    expect(texts.filter((text) => text.includes(canary))).toEqual([])
}, 240_000)

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && /\.(jsonl?|log|yml)$/.test(entry.name))
  return await Promise.all(files.map((entry) => readFile(path.join(entry.parentPath, entry.name), 'utf8')))
}
