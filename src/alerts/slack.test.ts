// Slack, by webhook and by token, against a real HTTP server: what an answer means, and what is never said.
import { describe, expect, test } from 'vitest'
import { openSlackSink, shown, SLACK_OK, type SlackSink } from '../../tests/support/alert-sinks.ts'
import { EXAMPLES, PLACE } from './examples.ts'
import { sendSlack, slackPayload, slackSettings, type SlackSettings } from './slack.ts'

const token = (sink: SlackSink): SlackSettings => ({
  kind: 'token',
  token: 'xoxb-canary',
  url: new URL(`${sink.url}/chat.postMessage`),
})
const webhook = (sink: SlackSink): SlackSettings => ({
  kind: 'webhook',
  url: new URL(`${sink.url}/services/T0/B0/canary`),
})

async function endOf(settings: SlackSettings): Promise<string> {
  return await sendSlack(EXAMPLES.failed, '#alerts', settings, PLACE).then(
    ({ to }) => `sent to ${to}`,
    (error: { type?: string; message: string; nextRetryDelay?: number }) => {
      expect(error.message).not.toContain('canary')
      return `${error.type}${error.nextRetryDelay === undefined ? '' : ` after ${error.nextRetryDelay} ms`}`
    },
  )
}

describe('an answer of the Web API', () => {
  test.each<[string, SlackSink['answer'], string]>([
    ['ok', SLACK_OK, 'sent to #alerts'],
    ['ok: false with status 200', { status: 200, body: '{"ok":false,"error":"invalid_auth"}' }, 'AlertRefused'],
    ['a channel that is not there', { status: 200, body: '{"ok":false,"error":"channel_not_found"}' }, 'AlertRefused'],
    ['an error of its own', { status: 200, body: '{"ok":false,"error":"internal_error"}' }, 'AlertNotDelivered'],
    [
      'too many',
      { status: 429, body: '{"ok":false,"error":"ratelimited"}', headers: { 'retry-after': '30' } },
      'AlertNotDelivered after 30000 ms',
    ],
    ['a broken server', { status: 502, body: '<html>' }, 'AlertNotDelivered'],
    ['a page that is no answer', { status: 200, body: '<html>' }, 'AlertRefused'],
    ['somewhere else', { status: 302, body: '', headers: { location: 'http://169.254.169.254/' } }, 'AlertRefused'],
  ])('%s', async (_name, answer, end) => {
    const sink = await openSlackSink()
    sink.answer = answer
    expect(await endOf(token(sink))).toBe(end)
    expect(sink.asked).toBe(1)
  })
})

describe('an answer of a webhook', () => {
  test.each<[string, SlackSink['answer'], string]>([
    ['ok', { status: 200, body: '"ok"' }, "sent to the webhook's channel"],
    ['removed', { status: 404, body: 'no_service' }, 'AlertRefused'],
    ['too many', { status: 429, body: '', headers: { 'retry-after': '2' } }, 'AlertNotDelivered after 2000 ms'],
    ['down', { status: 503, body: '' }, 'AlertNotDelivered'],
  ])('%s', async (_name, answer, end) => {
    const sink = await openSlackSink()
    sink.answer = answer
    expect(await endOf(webhook(sink))).toBe(end)
  })
})

test('a dead server is tried again', async () => {
  expect(await endOf({ kind: 'webhook', url: new URL('http://127.0.0.1:1/canary') })).toBe('AlertNotDelivered')
})

test('the message names its channel by token only, and nothing in it is read as a mention', async () => {
  const sink = await openSlackSink()
  const run = EXAMPLES.failed.run
  if (run === null) throw new Error('an example with a run')
  const message = { ...EXAMPLES.failed, run: { ...run, warnings: ['<!channel> & <@U1>', 'x'.repeat(9_000)] } }
  await sendSlack(message, '#alerts', token(sink), PLACE)
  await sendSlack(message, '#alerts', webhook(sink), PLACE)
  expect(sink.posts.map(({ body, headers }) => [body.channel, headers.authorization])).toEqual([
    ['#alerts', 'Bearer xoxb-canary'],
    [undefined, undefined],
  ])
  for (const post of sink.posts) {
    expect(shown(post)).toContain('&lt;!channel&gt; &amp; &lt;@U1&gt;')
    for (const { text } of post.body.blocks) expect(text.text.length).toBeLessThan(3_000)
  }
  expect(slackPayload(message, { ...PLACE, runLink: () => undefined }).blocks).toHaveLength(3)
})

test('settings: the token goes before the webhook, and neither goes in clear text', () => {
  const none = {
    smtpUrl: undefined,
    smtpHost: undefined,
    smtpPort: undefined,
    smtpUser: undefined,
    smtpPassword: undefined,
  }
  const read = (slackToken?: string, slackWebhookUrl?: string, slackApiUrl?: string) =>
    slackSettings({ ...none, smtpFrom: undefined, smtpTls: undefined, slackToken, slackWebhookUrl, slackApiUrl })
  expect(read('t', 'https://hooks.slack.com/x')).toMatchObject({
    kind: 'token',
    url: new URL('https://slack.com/api/chat.postMessage'),
  })
  expect(read(undefined, 'https://hooks.slack.com/x').kind).toBe('webhook')
  expect(() => read()).toThrow('Slack is not configured: set MILLRACE_SLACK_WEBHOOK_URL')
  expect(() => read(undefined, 'http://hooks.slack.com/x')).toThrow('is no https:// address')
  expect(() => read('t', undefined, 'http://slack.com/api')).toThrow('is no https:// address')
})
