// Alerts on the real server, over a real SMTP server and an HTTP server in Slack's place: one message for each change, delivered whatever happens.
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test, vi, onTestFinished } from 'vitest'
import { createActivities } from '../../src/activities/index.ts'
import { ALERT_SIGNAL, alertWorkflowId, type PlannedAlerts } from '../../src/pipeline/alert-state.ts'
import { failure } from '../../src/pipeline/failure.ts'
import type { Plan } from '../../src/pipeline/plan.ts'
import { workspaceAt } from '../../src/platform/workspace.ts'
import type { alert, AlertResult } from '../../src/workflows/alert.ts'
import { openMailSink, openSlackSink, shown, SLACK_OK } from '../support/alert-sinks.ts'
import { historyText } from '../support/history.ts'
import { dbtReport, dbtStep, ingestStep, loadReport, planOf, runScripted } from '../support/scripted.ts'

const SECRETS = { password: 'canary-pässword-1f3a', token: 'xoxb-canary-77aa' }
const SOON = { timeout: 30_000, interval: 100 }

async function openSinks() {
  const [mail, slack] = await Promise.all([openMailSink(), openSlackSink()])
  mail.login = { user: 'millrace', pass: SECRETS.password }
  vi.stubEnv('MILLRACE_SMTP_URL', `smtp://millrace:${encodeURIComponent(SECRETS.password)}@127.0.0.1:${mail.port}`)
  vi.stubEnv('MILLRACE_SMTP_FROM', 'Millrace <millrace@example.org>')
  vi.stubEnv('MILLRACE_SLACK_TOKEN', SECRETS.token)
  vi.stubEnv('MILLRACE_SLACK_API_URL', slack.url)
  onTestFinished(() => void vi.unstubAllEnvs())
  return { mail, slack }
}

const ALERTS: PlannedAlerts = {
  on: ['failed', 'warned', 'recovered', 'slow'],
  email: ['data@example.org', 'ops@example.org'],
  slack: '#data-alerts',
  slowAfterMs: 60_000,
  staleAfterMs: null,
  remindMs: 86_400_000,
  giveUpMs: 60_000,
  retryMs: 200,
}

const { sendEmail, sendSlack } = createActivities({
  workspace: workspaceAt('/nowhere'),
  python: '',
  searchAttributes: false,
  serveWarehouse: async () => '',
  runLink: (workflowId, runId) => `https://temporal.example.org/${workflowId}/${runId}`,
})
const real = { sendEmail, sendSlack }

const FAILS = async () => {
  throw failure('DbtNodesFailed', 'model mart_users failed: division by zero; correct the model')
}

function alertOf({ warehouse, pipeline, target }: Plan): string {
  return alertWorkflowId(warehouse.taskQueue, pipeline, target)
}

test('one message for each change reaches both channels; skipped and cancelled runs say nothing; no secret is left anywhere', async () => {
  const { mail, slack } = await openSinks()
  const plan = planOf('changes', [ingestStep('events'), dbtStep('run')], { alerts: ALERTS })
  let dbt: () => Promise<typeof dbtReport> = FAILS
  let files = true
  let holds = false
  const first = await runScripted(plan, {
    ...real,
    ingestTable: async () => (files ? loadReport : { ...loadReport, status: 'skipped' as const, read: 0, loaded: 0 }),
    dbtRun: async () => {
      if (holds) await pause(2_000)
      return await dbt()
    },
  })
  const { report } = await first.end()
  const second = await first.again()
  await second.end()
  files = false
  const third = await second.again()
  expect((await third.end()).report.outcome).toBe('skipped')
  files = true
  holds = true
  const fourth = await third.again()
  await fourth.handle.cancel()
  expect((await fourth.end()).status).toBe('CANCELLED')
  holds = false
  dbt = async () => dbtReport
  const fifth = await fourth.again()
  await fifth.end()
  const sixth = await fifth.again()
  await sixth.end()

  // It ends by itself once all is well and delivered.
  const told = first.client.workflow.getHandle<typeof alert>(alertOf(plan))
  const { deliveries, state }: AlertResult = await told.result()
  expect(deliveries.map(({ kind, channel, outcome }) => [kind, channel, outcome].join(' ')).toSorted()).toEqual([
    'failed email delivered',
    'failed slack delivered',
    'recovered email delivered',
    'recovered slack delivered',
  ])
  expect(state.outcome).toBe('succeeded')

  expect(mail.mails.map(({ subject }) => subject)).toEqual([
    '[millrace] scripted · dev · 2026-11-18 failed',
    '[millrace] scripted · dev · 2026-11-18 recovered (was failed)',
  ])
  expect(slack.posts.map(({ body, path }) => [path, body.channel])).toEqual(
    [1, 2].map(() => ['/chat.postMessage', '#data-alerts']),
  )
  const texts = [mail.mails[0]?.text ?? '', slack.posts.map(shown)[0] ?? '']
  for (const text of texts) {
    expect(text).toContain('DbtNodesFailed: model mart_users failed: division by zero; correct the model')
    expect(text).toMatch(/Failed step\W+dbt run/)
    expect(text).toContain(`https://temporal.example.org/${report.workflowId}/${report.runId}`)
    expect(text).toContain(`.millrace/runs/${report.workflowId}/${report.runId}/report.json`)
    expect(text).toContain(`npx millrace retry ${report.workflowId}`)
    expect(text).toContain('0 models updated, 3 rows inserted, no marts validated')
  }
  expect(mail.mails[0]?.to).toEqual(ALERTS.email)
  expect(mail.mails[1]?.text).toContain('2 runs')

  const everything = (await Promise.all([told, first.handle, sixth.handle].map(historyText))).join('\n')
  expect(everything).toContain('data@example.org')
  for (const secret of Object.values(SECRETS)) expect(everything).not.toContain(secret)
})

describe('a channel that refuses for good', () => {
  test('is told of by the other one, once, with what to correct', async () => {
    const { mail, slack } = await openSinks()
    slack.answer = { status: 200, body: '{"ok":false,"error":"channel_not_found"}' }
    const plan = planOf('refused', [dbtStep('run')], { alerts: { ...ALERTS, slack: '#nowhere' } })
    let dbt: () => Promise<typeof dbtReport> = FAILS
    const run = await runScripted(plan, { ...real, dbtRun: async () => await dbt() })
    await run.end()
    await expect.poll(() => mail.mails.length, SOON).toBe(2)
    expect(mail.mails[1]?.subject).toContain('an alert could not be delivered')
    expect(mail.mails[1]?.text).toContain('could not be delivered by Slack')
    expect(mail.mails[1]?.text).toContain('channel_not_found')
    expect(slack.asked).toBe(1)
    dbt = async () => dbtReport
    await (await run.again()).end()
    await run.client.workflow.getHandle(alertOf(plan)).result()
    expect(mail.mails.map(({ subject }) => subject.split(' ').at(-1))).toEqual(['failed', 'delivered', 'failed)'])
  })

  test('works the other way round: the mail server refuses the password, which nobody gets to see', async () => {
    const { mail, slack } = await openSinks()
    mail.login = { user: 'millrace', pass: 'another one' }
    const plan = planOf('login', [dbtStep('run')], { alerts: ALERTS })
    const run = await runScripted(plan, { ...real, dbtRun: FAILS })
    await run.end()
    await expect.poll(() => slack.posts.length, SOON).toBe(2)
    const text = slack.posts.map(shown)[1]
    expect(text).toContain('could not be delivered by e-mail')
    expect(text).toMatch(/EAUTH.*535/)
    expect(text).not.toContain(SECRETS.password)
    expect(mail.mails).toEqual([])
    await run.client.workflow.getHandle(alertOf(plan)).terminate()
  })
})

test('both channels down hold up no run, and each message comes once when they are back', async () => {
  const { mail, slack } = await openSinks()
  mail.answer = '451 try again later'
  slack.answer = { status: 503, body: 'down' }
  const plan = planOf('down', [dbtStep('run')], { alerts: ALERTS })
  const run = await runScripted(plan, { ...real, dbtRun: FAILS })
  const { status } = await run.end()
  expect({ status, mails: mail.mails.length, posts: slack.posts.length }).toEqual({
    status: 'FAILED',
    mails: 0,
    posts: 0,
  })
  await expect.poll(() => slack.asked, SOON).toBeGreaterThan(2)
  mail.answer = null
  slack.answer = { status: 429, body: '{"ok":false,"error":"ratelimited"}', headers: { 'retry-after': '1' } }
  await expect.poll(() => mail.mails.length, SOON).toBe(1)
  slack.answer = SLACK_OK
  await expect.poll(() => slack.posts.length, SOON).toBe(1)
  await pause(1_000)
  expect([mail.mails.length, slack.posts.length]).toEqual([1, 1])
  await run.client.workflow.getHandle(alertOf(plan)).terminate()
})

test('a slow run is told of while it runs, with the step that it is at', async () => {
  const { slack } = await openSinks()
  const plan = planOf('slow', [dbtStep('run')], { alerts: { ...ALERTS, email: [], slowAfterMs: 1_000 } })
  const over = Promise.withResolvers<void>()
  const run = await runScripted(plan, {
    ...real,
    dbtRun: async () => {
      await over.promise
      return dbtReport
    },
  })
  await expect.poll(() => slack.posts.length, SOON).toBe(1)
  expect(slack.posts.map(shown)[0]).toMatch(/runs longer than 1\.0 s[^]*running[^]*dbt run/)
  expect((await run.handle.describe()).status.name).toBe('RUNNING')
  over.resolve()
  await run.end()
  await run.client.workflow.getHandle(alertOf(plan)).terminate()
})

test('a run that cannot be planned is told of all the same, and one that cannot tell anybody does not fail of it', async () => {
  const { slack } = await openSinks()
  const plan = planOf('unplanned', [dbtStep('run')], { alerts: { ...ALERTS, email: [] } })
  const planRun = async () => {
    throw failure('ProfileMissing', 'there is no profiles.yml')
  }
  const run = await runScripted(plan, { ...real, planRun })
  expect((await run.end()).failureType).toBe('ProfileMissing')
  await expect.poll(() => slack.posts.map(shown).join('\n'), SOON).toContain('ProfileMissing: there is no profiles.yml')
  await run.client.workflow.getHandle(alertOf(plan)).terminate()

  const silent = await runScripted(planOf('silent', [dbtStep('run')]), {
    planRun,
    readAlerts: async () => {
      throw failure('PipelineInvalid', 'wrong')
    },
  })
  expect((await silent.end()).failureType).toBe('ProfileMissing')
})

test('a stale pipeline is told of, then reminded of as long as it stays so, and not once nobody wants to know', async () => {
  const { slack } = await openSinks()
  const settings: PlannedAlerts = { ...ALERTS, on: ['stale', 'recovered'], email: [], remindMs: 500 }
  const plan = planOf('stale', [dbtStep('run')], { alerts: settings })
  let wanted = true
  const run = await runScripted(plan, {
    ...real,
    readAlerts: async () => ({ alerts: wanted ? settings : null, target: 'dev' }),
  })
  await run.end()
  const handle = await run.client.workflow.signalWithStart('alert', {
    taskQueue: plan.warehouse.taskQueue,
    workflowId: alertOf(plan),
    args: [{ pipeline: plan.pipeline, target: plan.target, settings, events: [] }],
    signal: ALERT_SIGNAL,
    signalArgs: [{ settings, event: { kind: 'watched', deadline: { atMs: 1, of: 'nightly' } } }],
  })
  await expect.poll(() => slack.posts.length, SOON).toBeGreaterThan(2)
  wanted = false
  await handle.result()
  const texts = slack.posts.map(({ body }) => body.text)
  expect(texts[0]).toContain('scripted · dev is stale: no success when one was due')
  expect(new Set(texts.slice(1))).toEqual(new Set([':red_circle: scripted · dev is still stale']))
})
