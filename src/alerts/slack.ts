// Alerts on Slack: by an incoming webhook, or by a bot token and a channel.
import type { AlertMessage } from '../pipeline/alert-state.ts'
import type { AlertEnvironment } from '../platform/environment.ts'
import { httpText, retryAfterMs, type HttpAnswer } from '../platform/http.ts'
import { alertText, type AlertPlace, type AlertText } from './message.ts'
import { notDelivered, refused } from './not-sent.ts'

/** The token goes before the webhook where both are there: only it can choose the channel. */
export type SlackSettings =
  | { readonly kind: 'token'; readonly token: string; readonly url: URL }
  | { readonly kind: 'webhook'; readonly url: URL }

const TIMEOUT_MS = 15_000
const MAX_ANSWER_BYTES = 64 * 1024

/** Fails with AlertRefused. */
export function slackSettings({ slackToken, slackWebhookUrl, slackApiUrl }: AlertEnvironment): SlackSettings {
  if (slackToken !== undefined) {
    const url = safeUrl(`${(slackApiUrl ?? 'https://slack.com/api').replace(/\/$/, '')}/chat.postMessage`)
    if (url === undefined) throw refused('MILLRACE_SLACK_API_URL is no https:// address; correct it for the worker')
    return { kind: 'token', token: slackToken, url }
  }
  if (slackWebhookUrl === undefined) {
    throw refused(
      'Slack is not configured: set MILLRACE_SLACK_WEBHOOK_URL, or MILLRACE_SLACK_TOKEN, for the worker, and start it again',
    )
  }
  const url = safeUrl(slackWebhookUrl)
  if (url === undefined) throw refused('MILLRACE_SLACK_WEBHOOK_URL is no https:// address; correct it for the worker')
  return { kind: 'webhook', url }
}

/** Both carry secrets, so they must not go in clear text; but to this machine. */
function safeUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '')
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal) ? url : undefined
}

/** Resolves to where it went. Fails with AlertRefused or AlertNotDelivered. */
export async function sendSlack(
  message: AlertMessage,
  channel: string,
  settings: SlackSettings,
  place: AlertPlace,
): Promise<{ to: string }> {
  const isToken = settings.kind === 'token'
  const secrets = isToken ? [settings.token] : [settings.url.href, settings.url.pathname]
  const payload = slackPayload(message, place)
  const body = isToken
    ? {
        channel,
        ...payload,
        metadata: { event_type: 'millrace_alert', event_payload: { id: message.id, kind: message.kind } },
      }
    : payload
  const response = await httpText({
    url: settings.url.href,
    method: 'POST',
    redirects: 'none',
    privateNetwork: true,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(isToken ? { authorization: `Bearer ${settings.token}` } : {}),
    },
    body: JSON.stringify(body),
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
  }).catch((error: unknown) => {
    throw notDelivered(
      `Slack did not answer: ${error instanceof Error ? error.message : String(error)}; it is tried again`,
      secrets,
    )
  })
  const problem = problemOf(response, settings.kind)
  if (problem === null) return { to: isToken ? channel : "the webhook's channel" }
  const what = `Slack answered ${response.status}${problem === '' ? '' : ` ${problem}`}`
  if (passes(response.status, problem))
    throw notDelivered(
      `${what}; it is tried again`,
      secrets,
      retryAfterMs(response.headers['retry-after'], Date.now()) ?? null,
    )
  throw refused(
    `${what}: ${ADVICE[problem] ?? 'correct MILLRACE_SLACK_… of the worker, or the channel in the pipeline file'}`,
    secrets,
  )
}

/** Null when it was taken. The Web API says what is wrong in the body of a 200 answer, a webhook in a text. */
function problemOf(
  { status, body: text }: HttpAnswer & { readonly body: string },
  kind: SlackSettings['kind'],
): string | null {
  const word = /^[\w]{1,60}$/.exec(text.trim())?.[0] ?? ''
  if (kind === 'webhook') return status === 200 ? null : word
  let answer: { ok?: unknown; error?: unknown } = {}
  try {
    answer = JSON.parse(text) as typeof answer // its fields are looked at one by one
  } catch {
    return status === 200 ? 'with something that is not JSON' : word
  }
  if (status === 200 && answer.ok === true) return null
  return typeof answer.error === 'string' ? answer.error.slice(0, 60) : 'without an error'
}

/** Errors of Slack's own that pass (docs.slack.dev, chat.postMessage). */
const PASSING = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
])

function passes(status: number, problem: string): boolean {
  return status === 429 || status >= 500 || status === 408 || PASSING.has(problem)
}

const ADVICE: Record<string, string> = {
  channel_not_found:
    'there is no such channel, or the bot does not see it; correct `slack:` in the pipeline file, or invite the bot',
  not_in_channel: 'invite the bot to the channel: /invite @name',
  is_archived: 'the channel is archived; name another one in the pipeline file',
  channel_is_archived: 'the channel is archived; make a webhook for another one',
  invalid_auth: 'the token is not valid; set MILLRACE_SLACK_TOKEN for the worker, and start it again',
  token_revoked: 'the token was revoked; set another MILLRACE_SLACK_TOKEN for the worker, and start it again',
  missing_scope: 'the bot may not write; give it the scope chat:write and install it again',
  no_service: 'the webhook was removed; make another one and set MILLRACE_SLACK_WEBHOOK_URL for the worker',
}

const MARKS: Record<AlertText['mood'], string> = {
  bad: ':red_circle:',
  warning: ':large_yellow_circle:',
  good: ':large_green_circle:',
  neutral: ':large_blue_circle:',
}

/** Slack's limits: a header 150 characters, a section 3,000, a field 2,000. */
export function slackPayload(message: AlertMessage, place: AlertPlace) {
  const text = alertText(message, place)
  const lines = text.facts.map(([name, value]) => `*${escape(name)}*  ${escape(clip(value, 1_500))}`)
  return {
    text: `${MARKS[text.mood]} ${escape(text.headline)}`,
    unfurl_links: false,
    blocks: [
      section(`${MARKS[text.mood]} *${escape(clip(text.headline, 300))}*`),
      section(clip(lines.join('\n'), 2_900)),
      ...(text.advice === null ? [] : [section(escape(clip(text.advice, 1_000)))]),
      ...(text.link === null ? [] : [section(`<${escape(text.link)}|The run in Temporal's UI>`)]),
    ],
  }
}

function section(text: string) {
  return { type: 'section', text: { type: 'mrkdwn', text } }
}

/** The three characters that mean something to Slack (docs.slack.dev, formatting). */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
