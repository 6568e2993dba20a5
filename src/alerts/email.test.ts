// E-mail against a real SMTP server: what it says is for good, and what passes; a password never goes in clear text, nor into an error.
import { expect, test } from 'vitest'
import { openMailSink } from '../../tests/support/alert-sinks.ts'
import type { AlertEnvironment } from '../platform/environment.ts'
import { sendEmail, smtpSettings, type SmtpSettings } from './email.ts'
import { EXAMPLES, PLACE } from './examples.ts'

const NONE: AlertEnvironment = {
  smtpUrl: undefined,
  smtpHost: undefined,
  smtpPort: undefined,
  smtpUser: undefined,
  smtpPassword: undefined,
  smtpFrom: 'Millrace <millrace@example.org>',
  smtpTls: undefined,
  slackWebhookUrl: undefined,
  slackToken: undefined,
  slackApiUrl: undefined,
}

const local = (port: number, change: Partial<SmtpSettings> = {}): SmtpSettings => ({
  host: '127.0.0.1',
  port,
  tls: 'offered',
  login: null,
  from: 'Millrace <millrace@example.org>',
  ...change,
})

test.each<[string, Partial<AlertEnvironment>, Partial<SmtpSettings>]>([
  [
    'a URL',
    { smtpUrl: 'smtp://a%40b:p%2Fw@mx.example.org' },
    { host: 'mx.example.org', port: 587, tls: 'required', login: { user: 'a@b', pass: 'p/w' } },
  ],
  ['smtps', { smtpUrl: 'smtps://mx.example.org' }, { port: 465, tls: 'implicit', login: null }],
  [
    'parts',
    { smtpHost: 'mx.example.org', smtpPort: '465', smtpUser: 'u', smtpPassword: 'p' },
    { port: 465, tls: 'implicit', login: { user: 'u', pass: 'p' } },
  ],
  ['a server on this machine', { smtpHost: 'localhost', smtpPort: '1025' }, { port: 1025, tls: 'offered' }],
  ['a relay without TLS', { smtpHost: 'relay', smtpTls: 'optional' }, { tls: 'offered' }],
])('settings from %s', (_name, environment, settings) => {
  expect(smtpSettings({ ...NONE, ...environment })).toMatchObject(settings)
})

test.each<[string, Partial<AlertEnvironment>, string]>([
  ['nothing', {}, 'no mail server is configured: set MILLRACE_SMTP_URL'],
  ['a web address', { smtpUrl: 'https://x' }, 'MILLRACE_SMTP_URL is no smtp:// or smtps:// address'],
  ['no sender', { smtpHost: 'x', smtpFrom: undefined }, 'MILLRACE_SMTP_FROM must be an address'],
  [
    'a sender of two lines',
    { smtpHost: 'x', smtpFrom: 'a@b.org\r\nBcc: c@d.org' },
    'MILLRACE_SMTP_FROM must be an address',
  ],
  ['a user alone', { smtpHost: 'x', smtpUser: 'u' }, 'has no MILLRACE_SMTP_PASSWORD'],
  [
    'a password that could go in clear text',
    { smtpUrl: 'smtp://u:p@x', smtpTls: 'optional' },
    'could send the password in clear text',
  ],
  [
    'several at once',
    { smtpHost: 'x', smtpPort: 'y', smtpTls: 'z' },
    'MILLRACE_SMTP_PORT is no port; MILLRACE_SMTP_TLS is neither',
  ],
])('settings from %s are refused', (_name, environment, message) => {
  expect(() => smtpSettings({ ...NONE, ...environment })).toThrow(message)
})

test('a mail is the same message each time it is sent', async () => {
  const sink = await openMailSink()
  await sendEmail(EXAMPLES.failed, ['a@b.org'], local(sink.port), PLACE)
  await sendEmail(EXAMPLES.failed, ['a@b.org'], local(sink.port), PLACE)
  await sendEmail({ ...EXAMPLES.failed, id: 'another' }, ['a@b.org'], local(sink.port), PLACE)
  const ids = sink.mails.map(({ messageId }) => messageId)
  expect(ids[0]).toMatch(/^<[0-9a-f]{32}@example\.org>$/)
  expect([ids[0] === ids[1], ids[0] === ids[2]]).toEqual([true, false])
  expect(sink.mails[0]?.text).toContain('<strong>daily · prod · 2026-11-18 failed</strong>')
})

test('what the server says decides whether it is tried again', async () => {
  const sink = await openMailSink()
  const typeOf = async (settings: SmtpSettings) =>
    await sendEmail(EXAMPLES.failed, ['a@b.org'], settings, PLACE).then(
      () => 'sent',
      (error: { type?: string; nonRetryable?: boolean }) =>
        `${error.type} ${error.nonRetryable === true ? 'final' : 'retried'}`,
    )
  sink.answer = '451 later'
  expect(await typeOf(local(sink.port))).toBe('AlertNotDelivered retried')
  sink.answer = '550 no such user'
  expect(await typeOf(local(sink.port))).toBe('AlertRefused final')
  sink.answer = null
  sink.login = { user: 'u', pass: 'right' }
  expect(await typeOf(local(sink.port, { login: { user: 'u', pass: 'wrong' } }))).toBe('AlertRefused final')
  expect(await typeOf(local(sink.port, { login: { user: 'u', pass: 'right' } }))).toBe('sent')
  // Nobody listens.
  expect(await typeOf(local(1))).toBe('AlertNotDelivered retried')
})

test('a password is kept back where the connection is not encrypted, or by a certificate that nobody trusts', async () => {
  const login = { user: 'u', pass: 'canary-5521' }
  const [plain, untrusted] = await Promise.all([openMailSink(), openMailSink({ starttls: true })])
  for (const sink of [plain, untrusted]) {
    sink.login = login
    const sent = sendEmail(EXAMPLES.failed, ['a@b.org'], local(sink.port, { tls: 'required', login }), PLACE)
    await expect(sent).rejects.toMatchObject({ type: 'AlertRefused', message: expect.not.stringContaining('canary') })
    expect(sink.mails).toEqual([])
  }
  await sendEmail(EXAMPLES.failed, ['a@b.org'], local(untrusted.port, { login }), PLACE)
  expect(untrusted.mails).toHaveLength(1)
})
