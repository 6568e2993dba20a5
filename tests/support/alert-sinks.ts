// Where alerts arrive in tests: a real SMTP server and a real HTTP server in Slack's place, each of which can be down or refuse.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { onTestFinished } from 'vitest'

export interface Mail {
  readonly to: readonly string[]
  readonly subject: string
  readonly messageId: string
  /** The whole of it, decoded: headers, text and HTML. */
  readonly text: string
}

export interface MailSink {
  readonly port: number
  readonly mails: readonly Mail[]
  /** What the server says instead of taking a mail: `451 later`, `550 no such user`; null: it takes it. */
  answer: string | null
  /** Logins other than this one are refused (535); null: anybody may. */
  login: { readonly user: string; readonly pass: string } | null
}

/** In clear text; with `starttls` by the library's own certificate, which nobody trusts. */
export async function openMailSink({ starttls = false }: { readonly starttls?: boolean } = {}): Promise<MailSink> {
  const mails: Mail[] = []
  const refusal = (text: string) => Object.assign(new Error(text.slice(4)), { responseCode: Number(text.slice(0, 3)) })
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: starttls ? [] : ['STARTTLS'],
    onAuth({ username, password }, _session, done) {
      const { login } = sink
      const isRight = login === null || (login.user === username && login.pass === password)
      if (isRight) done(null, { user: username })
      else done(refusal('535 authentication failed'))
    },
    onRcptTo(_address, _session, done) {
      if (sink.answer === null) done()
      else done(refusal(sink.answer))
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        mails.push(
          readMail(
            Buffer.concat(chunks).toString('utf8'),
            session.envelope.rcptTo.map(({ address }) => address),
          ),
        )
        done()
      })
    },
  })
  server.on('error', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const sink: MailSink = { port: (server.server.address() as AddressInfo).port, mails, answer: null, login: null } // it listens on TCP
  return sink
}

/** Enough of MIME for what our own mails are made of. */
function readMail(raw: string, to: readonly string[]): Mail {
  const unfolded = raw.replaceAll(/\r\n[ \t]+/g, ' ')
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'mi').exec(unfolded)?.[1] ?? ''
  return { to, subject: decodeWords(header('Subject')), messageId: header('Message-ID'), text: decodeQuoted(raw) }
}

function decodeWords(text: string): string {
  return text.replaceAll(/=\?UTF-8\?([QB])\?(.*?)\?=\s*/gi, (_all, kind: string, body: string) =>
    kind.toUpperCase() === 'B' ? Buffer.from(body, 'base64').toString('utf8') : decodeQuoted(body.replaceAll('_', ' ')),
  )
}

function decodeQuoted(text: string): string {
  const bytes = text
    .replaceAll(/=\r?\n/g, '')
    .replaceAll(/[^\0-\xFF]/g, '?')
    .replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

export interface Post {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: {
    readonly text: string
    readonly channel?: string
    readonly blocks: readonly { text: { text: string } }[]
  }
}

export interface SlackSink {
  readonly url: string
  /** Those that it took. */
  readonly posts: readonly Post[]
  /** How many it was asked to take. */
  asked: number
  answer: { readonly status: number; readonly body: string; readonly headers?: Record<string, string> }
}

export const SLACK_OK = { status: 200, body: '{"ok":true}' } as const

export async function openSlackSink(): Promise<SlackSink> {
  const posts: Post[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      sink.asked++
      const { status, body, headers } = sink.answer
      if (status === 200 && !body.includes('"ok":false')) {
        const post = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Post['body'] // what slack.ts sends
        posts.push({ path: request.url ?? '', headers: request.headers, body: post })
      }
      response.writeHead(status, headers).end(body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // it listens on TCP
  const sink: SlackSink = { url: `http://127.0.0.1:${port}`, posts, asked: 0, answer: SLACK_OK }
  return sink
}

/** All that a Slack message shows. */
export function shown({ body }: Post): string {
  return [body.text, ...body.blocks.map(({ text }) => text.text)].join('\n')
}
