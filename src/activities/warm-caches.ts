// warmCaches: an API is asked for what its readers will want next, so that it has the new marts at hand. A cold cache is a warning, never a failure.
import { setTimeout as pause } from 'node:timers/promises'
import { isWarm, type WarmedUrl, type WarmWork } from '../pipeline/warm.ts'
import { fillVariables } from '../platform/environment.ts'
import { getStatus } from '../platform/http.ts'
import { withHeartbeat } from './heartbeat.ts'

export interface WarmCachesInput {
  readonly work: WarmWork
}

/** A summary is far smaller; what comes after this is left unread. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024

export function createWarmCaches() {
  return async function warmCaches({ work }: WarmCachesInput): Promise<WarmedUrl[]> {
    return await withHeartbeat((_show, abort) => warmAll(work, abort))
  }
}

/** How each path was answered in the end, in order; all of them are asked at once, each tried again on its own. */
export async function warmAll(work: WarmWork, abort: AbortSignal): Promise<WarmedUrl[]> {
  const base = fillVariables(work.baseUrl).text
  return await Promise.all(work.paths.map((path) => warm(path, base, work, abort)))
}

async function warm(path: string, base: string, work: WarmWork, abort: AbortSignal): Promise<WarmedUrl> {
  for (let attempts = 1; ; attempts++) {
    const startedAtMs = performance.now()
    const answer = await ask(base, path, work, abort)
    const warmed = {
      path,
      status: 'status' in answer ? answer.status : null,
      answer: 'status' in answer ? String(answer.status) : answer.problem,
      durationMs: Math.round(performance.now() - startedAtMs),
      attempts,
    }
    if (isWarm(warmed) || attempts > work.retries) return warmed
    await pause(work.retryDelayMs, undefined, { signal: abort })
  }
}

async function ask(
  base: string,
  path: string,
  { timeoutMs }: WarmWork,
  abort: AbortSignal,
): ReturnType<typeof getStatus> {
  const url = urlBelow(base, path)
  if (url === undefined) {
    return {
      problem: 'base_url is no http address without a user; set its variable for the worker, or mend the pipeline file',
    }
  }
  return await getStatus({ url: url.href, timeoutMs, maxBytes: MAX_ANSWER_BYTES, abort })
}

/** `http://host/prefix` and `/api/x` → `http://host/prefix/api/x`; undefined where that is no address of the base's own host. */
export function urlBelow(base: string, path: string): URL | undefined {
  if (!URL.canParse(base)) return undefined
  const { protocol, origin, username, password, pathname } = new URL(base)
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') return undefined
  const url = new URL(origin + pathname.replace(/\/$/, '') + path)
  return url.origin === origin ? url : undefined
}
