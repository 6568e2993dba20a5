// What a message says, and that docs/alerts.md shows it as it is sent.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { AlertMessage } from '../pipeline/alert-state.ts'
import { emailOf } from './email.ts'
import { EXAMPLES, PLACE } from './examples.ts'
import { alertText, plainText } from './message.ts'
import { slackPayload } from './slack.ts'

const { failed } = EXAMPLES

test('docs/alerts.md shows an e-mail and a Slack payload as they are sent', () => {
  const docs = readFileSync(new URL('../../docs/alerts.md', import.meta.url), 'utf8')
  const { subject, text, from, to, messageId } = emailOf(failed, ['data@example.org'], 'millrace@example.org', PLACE)
  const head = [`From: ${from}`, `To: ${to.join(', ')}`, `Subject: ${subject}`, `Message-ID: ${messageId}`]
  expect(docs).toContain(['```text', ...head, '', `${text}\`\`\``].join('\n'))
  expect(docs).toContain(`\`\`\`json\n${JSON.stringify(slackPayload(failed, PLACE), null, 2)}\n\`\`\``)
})

test.each<[kind: string, change: Partial<AlertMessage>, ...parts: string[]]>([
  [
    'recovered',
    { kind: 'recovered', was: ['failed'], sinceMs: 0, runs: 3 },
    'recovered (was failed)',
    '1970-01-01 00:00 UTC, 3 runs',
  ],
  ['slow', { kind: 'slow', slowAfterMs: 720_000 }, 'runs longer than 12 min 0 s', 'npx millrace follow daily-prod'],
  [
    'stale, never run',
    { kind: 'stale', run: null, lastSuccessMs: null },
    'daily · prod is stale',
    'not known',
    'npx millrace schedules list',
  ],
  [
    'reminder',
    { kind: 'reminder', was: ['failed', 'stale'], sinceMs: 0, runs: 9 },
    'is still failed and stale',
    'Since',
    'npx millrace retry',
  ],
  [
    'undelivered',
    { kind: 'undelivered', note: 'by Slack: invalid_auth' },
    'could not be delivered',
    'by Slack: invalid_auth',
    'npx millrace alerts test daily',
  ],
  ['test', { kind: 'test', run: null }, 'a test message of Millrace'],
])('%s', (_kind, change, ...parts) => {
  const text = plainText(alertText({ ...failed, ...change }, PLACE))
  for (const part of parts) expect(text).toContain(part)
})

test('a run that could not be planned, on a server whose UI nobody named, still says what it knows', () => {
  const run = failed.run === null ? null : { ...failed.run, logicalDate: '', step: null, counts: null }
  const text = plainText(alertText({ ...failed, run }, { ...PLACE, runLink: () => undefined }))
  expect(text).toContain('daily · prod · no date failed')
  expect(text).toContain('not known: the run could not be planned')
  expect(text).not.toContain('https://')
})
