// The answer of an HTTP request as a file: variables filled in, tried again where that helps, error bodies recognised.
import { open } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApplicationFailure } from '@temporalio/common'
import { failure } from '../pipeline/failure.ts'
import type { HttpSource } from '../pipeline/plan.ts'
import { fillVariables } from '../platform/environment.ts'
import { HttpError, httpToFile, retryAfterMs, type HttpAnswer } from '../platform/http.ts'
import { redactor } from '../platform/redaction.ts'
import { openLocalFile, type OpenFile } from './local.ts'

const FIRST_PAUSE_MS = 1_000
/** How much of an error's body is looked at. */
const BODY_BYTES = 4_096

interface ResolvedRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly secrets: readonly string[]
}

/** Fails with SourceUnconfigured, naming every variable that is missing. */
export function resolveHttp({ url, params, headers, hint }: HttpSource, name: string): ResolvedRequest {
  const missing = new Set<string>()
  const secrets: string[] = []
  const fill = (text: string) => {
    const filled = fillVariables(text)
    for (const variable of filled.missing) missing.add(variable)
    return filled
  }
  const target = fill(url).text
  const query = Object.entries(params).map(([key, text]) => [key, fill(text)] as const)
  const lines = Object.entries(headers).map(([key, text]) => [key, fill(text)] as const)
  for (const [, { values }] of [...query, ...lines]) secrets.push(...values)
  if (missing.size > 0) {
    throw failure(
      'SourceUnconfigured',
      `${name}: ${[...missing].join(', ')} ${missing.size === 1 ? 'is' : 'are'} not set where the worker runs; ` +
        (hint ?? `set ${missing.size === 1 ? 'it' : 'them'} there and start the worker again`),
    )
  }
  if (!URL.canParse(target)) throw failure('SourceUnconfigured', `${name} is no address; correct its url or variable`)
  const resolved = new URL(target)
  for (const [key, { text }] of query) resolved.searchParams.append(key, text)
  const wrong = lines.find(([, { text }]) => !/^[\t\x20-\x7e\x80-\xff]*$/.test(text))
  if (wrong !== undefined) {
    throw failure('SourceUnconfigured', `${name}: header ${wrong[0]} has a line end in it; correct the variable`)
  }
  return { url: resolved, headers: Object.fromEntries(lines.map(([key, { text }]) => [key, text])), secrets }
}

/**
 * Fetches it into the folder and opens it like any other file; the caller closes it. Fails with SourceUnconfigured,
 * SourceUnreachable, SourceThrottled, SourceRefused or SourceInvalid, after the tries that its settings allow.
 */
export async function fetchHttp(
  source: HttpSource,
  name: string,
  folder: string,
  abort: AbortSignal,
): Promise<OpenFile> {
  const resolved = resolveHttp(source, name)
  const file = `answer${/\.(gz|zst)$/i.exec(resolved.url.pathname)?.[0] ?? ''}`
  for (let tried = 0; ; tried++) {
    const problem = await tryOnce(source, resolved, name, path.join(folder, file), abort)
    if (problem === undefined) return await openLocalFile(folder, file)
    const pauseMs = Math.max(problem.afterMs ?? 0, backOffMs(tried, source.longestWaitMs))
    if (!problem.again || tried >= source.retries || pauseMs > source.longestWaitMs) throw problem.failure
    await pause(pauseMs, abort)
  }
}

interface Problem {
  readonly failure: ApplicationFailure
  readonly again: boolean
  readonly afterMs?: number | undefined
}

async function tryOnce(
  source: HttpSource,
  { url, headers, secrets }: ResolvedRequest,
  name: string,
  file: string,
  abort: AbortSignal,
): Promise<Problem | undefined> {
  const { timeoutMs, maxBytes, privateNetwork } = source
  let answer: HttpAnswer
  try {
    answer = await httpToFile({ url: url.href, headers, timeoutMs, maxBytes, privateNetwork, abort }, file)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    return ofTransport(error, name, url)
  }
  const redact = redactor(secrets)
  const beginning = redact(await beginningOf(file))
  return ofAnswer(answer, beginning, source, name)
}

function ofTransport({ kind, message }: HttpError, name: string, url: URL): Problem {
  switch (kind) {
    case 'unreachable':
      return {
        again: true,
        failure: failure(
          'SourceUnreachable',
          `${name}: ${url.host} does not answer (${message}); see that it is up and can be reached from the worker`,
        ),
      }
    case 'forbidden':
      return {
        again: false,
        failure: failure('SourceRefused', `${name}: ${message}. Correct the url in the pipeline file`),
      }
    case 'too large':
      return {
        again: false,
        failure: failure('SourceInvalid', `${name}: ${message}; raise \`max_bytes\` if that is right`),
      }
  }
}

/** What is wrong with an answer; undefined when its body may be what was asked for. */
function ofAnswer(
  { status, headers }: HttpAnswer,
  beginning: string,
  source: HttpSource,
  name: string,
): Problem | undefined {
  const said = beginning === '' ? 'an empty answer' : `it said: ${beginning.replaceAll(/\s+/g, ' ').slice(0, 200)}`
  const throttle = throttled(beginning)
  if (status === 429 || (throttle !== undefined && (status === 200 || status === 503))) {
    const afterMs = retryAfterMs(headers['retry-after'], Date.now()) ?? throttle?.afterMs
    const when = afterMs === undefined ? '' : ` for ${Math.ceil(afterMs / 1000)} s more`
    const text = `${name}: the quota is used up${when} (${said}); run it again later, or ask for fewer at once`
    return { again: true, afterMs, failure: failure('SourceThrottled', text) }
  }
  if (status === 401 || status === 403) {
    const help = source.hint ?? 'correct the key where the worker runs and start the worker again'
    return {
      again: false,
      failure: failure('SourceRefused', `${name}: the key was refused (HTTP ${status}, ${said}); ${help}`),
    }
  }
  if (status >= 500 || status === 408 || status === 425) {
    const text = `${name}: HTTP ${status} (${said}); nothing was loaded, the other side has to mend it`
    return {
      again: true,
      afterMs: retryAfterMs(headers['retry-after'], Date.now()),
      failure: failure('SourceUnreachable', text),
    }
  }
  if (status !== 200) {
    const text = `${name}: HTTP ${status} (${said}); correct url and params in the pipeline file`
    return { again: false, failure: failure('SourceRefused', text) }
  }
  if (beginning.trim() === '' || /^\uFEFF?\s*[<{[]/.test(beginning)) {
    const text = `${name}: HTTP 200, but no CSV (${said}); nothing was loaded. Look at the address by hand`
    return { again: false, failure: failure('SourceInvalid', text) }
  }
  return undefined
}

/** A gateway's word for an exhausted quota, which can come with any status. */
function throttled(beginning: string): { readonly afterMs: number | undefined } | undefined {
  if (
    !/^\uFEFF?\s*\{/.test(beginning) ||
    !/"?code"?\s*:\s*"?9008\d\d|throttled out|exceeded your quota/i.test(beginning)
  ) {
    return undefined
  }
  const next = /"nextAccessTime"\s*:\s*"([^"]+)"/.exec(beginning)?.[1]
  return { afterMs: next === undefined ? undefined : retryAfterMs(next.replace('+0000', ''), Date.now()) }
}

/** Doubled each time, between half of it and the whole, so that those who failed together do not come back together. */
function backOffMs(tried: number, longestMs: number): number {
  const doubled = Math.min(FIRST_PAUSE_MS * 2 ** tried, longestMs)
  return doubled / 2 + (Math.random() * doubled) / 2
}

async function pause(ms: number, abort: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: abort }).catch((error: unknown) => {
    abort.throwIfAborted()
    throw error
  })
}

async function beginningOf(file: string): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BODY_BYTES), 0, BODY_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
