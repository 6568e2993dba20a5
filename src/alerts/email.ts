// Alerts by e-mail, over SMTP: encrypted unless the server is on this machine, or somebody said that it need not be.
import { createHash } from 'node:crypto'
import { createTransport } from 'nodemailer'
import type { AlertMessage } from '../pipeline/alert-state.ts'
import type { AlertEnvironment } from '../platform/environment.ts'
import { alertText, plainText, type AlertPlace, type AlertText } from './message.ts'
import { notDelivered, refused } from './not-sent.ts'

/** Where mail goes out. */
export interface SmtpSettings {
  readonly host: string
  readonly port: number
  /** implicit: from the first byte (port 465). required: by STARTTLS, or not at all. offered: by STARTTLS where there is one. */
  readonly tls: 'implicit' | 'required' | 'offered'
  readonly login: { readonly user: string; readonly pass: string } | null
  readonly from: string
}

const HOW_TO =
  'set MILLRACE_SMTP_URL (smtps://user:password@host, or smtp://user:password@host:587) and MILLRACE_SMTP_FROM for the worker, and start it again'

/** Fails with AlertRefused, naming everything that is wrong. */
export function smtpSettings(environment: AlertEnvironment): SmtpSettings {
  const { smtpUrl, smtpHost, smtpFrom, smtpTls = 'required' } = environment
  if (smtpUrl === undefined && smtpHost === undefined) throw refused(`no mail server is configured: ${HOW_TO}`)
  const problems: string[] = []
  const url = smtpUrl === undefined ? undefined : parseUrl(smtpUrl)
  if (smtpUrl !== undefined && url === undefined) problems.push('MILLRACE_SMTP_URL is no smtp:// or smtps:// address')
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? smtpHost ?? ''
  const givenPort = url?.port || environment.smtpPort
  if (givenPort !== undefined && !/^[1-9]\d{0,4}$/.test(givenPort)) problems.push('MILLRACE_SMTP_PORT is no port')
  const isImplicit = url?.protocol === 'smtps:' || givenPort === '465'
  const user = decoded(url?.username) || environment.smtpUser
  const pass = decoded(url?.password) || environment.smtpPassword
  if (user !== undefined && pass === undefined)
    problems.push('MILLRACE_SMTP_USER has no MILLRACE_SMTP_PASSWORD beside it')
  if (smtpFrom === undefined || !/^[^\s<>]+@[^\s<>]+$/.test(addressIn(smtpFrom)) || /[\r\n]/.test(smtpFrom)) {
    problems.push('MILLRACE_SMTP_FROM must be an address such as millrace@example.org')
  }
  if (smtpTls !== 'required' && smtpTls !== 'optional')
    problems.push('MILLRACE_SMTP_TLS is neither required nor optional')
  const isLocal = ['localhost', '127.0.0.1', '::1'].includes(host)
  if (smtpTls === 'optional' && pass !== undefined && !isImplicit && !isLocal) {
    problems.push('MILLRACE_SMTP_TLS=optional could send the password in clear text; leave it out')
  }
  if (problems.length > 0) throw refused(`${problems.join('; ')}: ${HOW_TO}`)
  return {
    host,
    port: Number(givenPort ?? (isImplicit ? 465 : 587)),
    tls: isImplicit ? 'implicit' : isLocal || smtpTls === 'optional' ? 'offered' : 'required',
    login: user === undefined || pass === undefined ? null : { user, pass },
    from: smtpFrom ?? '',
  }
}

function parseUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  return url !== null && ['smtp:', 'smtps:'].includes(url.protocol) && url.hostname !== '' ? url : undefined
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `Millrace <millrace@example.org>` → the address. */
function addressIn(text: string): string {
  return /<([^<>]*)>\s*$/.exec(text)?.[1] ?? text
}

export interface SentEmail {
  readonly delivered: readonly string[]
  /** Those whom the server would not take; the others have it. */
  readonly refused: readonly string[]
}

/** One mail to all of them. Fails with AlertRefused (settings, login, all addresses) or AlertNotDelivered. */
export async function sendEmail(
  message: AlertMessage,
  to: readonly string[],
  settings: SmtpSettings,
  place: AlertPlace,
): Promise<SentEmail> {
  const { host, port, tls, login } = settings
  const transport = createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'required',
    ...(login === null ? {} : { auth: login }),
    // A certificate on this machine seldom has a name that anybody signed.
    ...(tls === 'offered' ? { tls: { rejectUnauthorized: false } } : {}),
    connectionTimeout: 15_000,
    greetingTimeout: 15_000,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    const sent = await transport.sendMail(emailOf(message, to, settings.from, place))
    return { delivered: sent.accepted.map(String), refused: sent.rejected.map(String) }
  } catch (error) {
    throw notSent(error, settings)
  } finally {
    transport.close()
  }
}

/** What is sent: text and HTML; replies and retries of one message share its Message-ID. */
export function emailOf(message: AlertMessage, to: readonly string[], from: string, place: AlertPlace) {
  const text = alertText(message, place)
  const digest = createHash('sha256').update(message.id).digest('hex').slice(0, 32)
  return {
    from,
    to: [...to],
    subject: `[millrace] ${text.headline}`,
    text: plainText(text),
    html: html(text),
    messageId: `<${digest}@${addressIn(from).split('@')[1] ?? 'millrace'}>`,
    date: new Date(message.atMs),
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Millrace-Alert': message.kind },
  }
}

const COLORS: Record<AlertText['mood'], string> = {
  bad: '#c62828',
  warning: '#b26a00',
  good: '#2e7d32',
  neutral: '#455a64',
}

function html({ headline, facts, advice, link, mood }: AlertText): string {
  const rows = facts.map(
    ([name, value]) =>
      `<tr><td style="padding:2px 16px 2px 0;color:#666;vertical-align:top;white-space:nowrap">${escape(name)}</td>` +
      `<td style="padding:2px 0">${escape(value).replaceAll('\n', '<br>')}</td></tr>`,
  )
  return [
    '<div style="font-family:sans-serif;font-size:14px">',
    `<p style="border-left:4px solid ${COLORS[mood]};padding-left:8px"><strong>${escape(headline)}</strong></p>`,
    `<table style="border-collapse:collapse">${rows.join('')}</table>`,
    ...(advice === null ? [] : [`<p>${escape(advice)}</p>`]),
    ...(link === null ? [] : [`<p><a href="${escape(link)}">The run in Temporal's UI</a></p>`]),
    '</div>',
  ].join('\n')
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A 5xx answer is for good (RFC 5321, 4.2.1); everything that never came to an answer may pass. */
function notSent(error: unknown, { host, port, login }: SmtpSettings) {
  const { code, responseCode, message } = error as { code?: string; responseCode?: number; message?: string } // nodemailer's own form
  const secrets = login === null ? [] : [login.pass, Buffer.from(login.pass).toString('base64')]
  const what = `the mail server ${host}:${port} did not take it (${code ?? 'unknown'}: ${message ?? String(error)})`
  const answered = responseCode !== undefined && responseCode >= 500
  const isUntrusted = code === 'ESOCKET' && /certificate/i.test(message ?? '')
  const isConfig = isUntrusted || ['EAUTH', 'ENOAUTH', 'ETLS', 'EENVELOPE'].includes(code ?? '')
  if (answered || (isConfig && responseCode === undefined)) {
    return refused(`${what}; correct MILLRACE_SMTP_… of the worker, or the addresses in the pipeline file`, secrets)
  }
  return notDelivered(`${what}; it is tried again`, secrets)
}
