// The worker's log: one line per message, to standard error or a file, without what must not be in a log.
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogEntry, type LogLevel } from '@temporalio/worker'
import { redactor } from './redaction.ts'

const redact = redactor([])

/** Fields that say nothing to a reader; a task token would even let one complete the activity. */
const LEFT_OUT = new Set(['taskToken', 'sdkComponent', 'namespace', 'isLocal', 'taskQueue'])

/** Call once, before the first connection. Signals are the caller's: nothing stops by itself. */
export function installLog(level: string, file?: string): void {
  const write = file === undefined ? (line: string) => process.stderr.write(line) : fileWriter(file)
  Runtime.install({
    logger: new DefaultLogger(logLevel(level), (entry) => write(`${logLine(entry)}\n`)),
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) } },
  })
}

function fileWriter(file: string): (line: string) => boolean {
  mkdirSync(path.dirname(file), { recursive: true })
  const stream: WriteStream = createWriteStream(file, { flags: 'a' })
  // A full disk costs log lines, not the worker.
  stream.on('error', () => undefined)
  return (line) => stream.write(line)
}

function logLevel(text: string): LogLevel {
  const upper = text.toUpperCase()
  const known = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const
  return known.find((level) => level === upper) ?? 'INFO'
}

function logLine({ level, timestampNanos, message, meta }: LogEntry): string {
  const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString()
  const fields = Object.entries(meta ?? {})
    .filter(([key, value]) => !LEFT_OUT.has(key) && value !== undefined)
    .map(([key, value]) => `${key}=${fieldText(value)}`)
  return redact([time, level.padEnd(5), message, ...fields].join(' ').replaceAll('\n', ' '))
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return value.message
  return typeof value === 'string' ? value : JSON.stringify(value)
}
