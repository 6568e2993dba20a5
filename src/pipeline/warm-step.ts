// A `warm:` step: addresses of an API that are asked for once the marts are new, so that its caches are warm for the first reader.
import { z } from 'zod'
import { durationMs } from './duration.ts'
import { count, duration, nonEmptyText } from './fields.ts'
import type { WarmWork } from './warm.ts'

/** `//host` and `/\host` would lead to another host. */
const apiPath = z.string().regex(/^\/(?![/\\])[^\s#\\]*$/, 'expected a path such as /api/summary, without the host')

export const warmStep = z
  .strictObject({
    base_url: nonEmptyText
      .regex(/^(?:https?:\/\/|\$\{\w+(?::-https?:\/\/[^}]*)?\})/, 'expected http://…, https://… or ${VAR:-http://…}')
      .describe('Of the API: its scheme and host, with ${VAR:-default} from the environment of the worker'),
    get: z.array(apiPath).min(1).max(100).describe('Paths; 200 is success, anything else warns and the run goes on'),
    timeout: duration.default('10s').describe('Of one request'),
    retries: count.max(10).default(1).describe('How often a path that was not answered with 200 is asked for again'),
    retry_delay: duration.default('2s'),
  })
  .describe('Asks for addresses of an API, so that its caches are warm; never fails a run')

export function warmWorkOf(step: z.output<typeof warmStep>): WarmWork {
  return {
    baseUrl: step.base_url,
    paths: step.get,
    timeoutMs: durationMs(step.timeout),
    retries: step.retries,
    retryDelayMs: durationMs(step.retry_delay),
  }
}
