// Outbound HTTP: one request, with a limit on its time and on what comes back; redirects are answers like any other.

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
  /** More than that of an answer is not read. */
  readonly maxBytes: number
}

export interface HttpResponse {
  readonly status: number
  readonly text: string
  /** As the server asks for by Retry-After; null where it does not. */
  readonly retryAfterMs: number | null
}

/** Rejects with a plain Error (`connection refused`, `no answer within 10 s`) that never names the address: it may be a secret. */
export async function request(
  url: URL,
  { method, headers, body, timeoutMs, maxBytes }: HttpRequest,
): Promise<HttpResponse> {
  const abort = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: abort,
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
    })
    return {
      status: response.status,
      text: await readText(response, maxBytes),
      retryAfterMs: retryAfterMs(response.headers.get('retry-after'), Date.now()),
    }
  } catch (error) {
    throw new Error(abort.aborted ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error), { cause: error })
  }
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  // A stream that is left early is cancelled by this loop.
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= maxBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8')
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null
  if (/^\d{1,7}$/.test(header.trim())) return Number(header) * 1000
  const atMs = Date.parse(header)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}

/** fetch says no more than "fetch failed"; what happened stands in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : undefined
  return code === undefined ? 'the connection failed' : `the connection failed (${code})`
}
