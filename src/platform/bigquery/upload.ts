// Google's resumable upload: a file in chunks, continued where it broke off. For load jobs and for Cloud Storage alike.
import { open, type FileHandle } from 'node:fs/promises'
import { retryAfterMs } from '../http.ts'
import { authorize, reasonOf, type Api } from './api.ts'
import { BigQueryError, isTransientCall } from './error.ts'
import { delayMs, pause, withRetries } from './retry.ts'

export interface Upload {
  /** Where sessions begin. */
  readonly url: string
  /** The resource that is made of the file, say a job. */
  readonly metadata: unknown
  readonly file: string
  readonly contentType: string
  readonly onProgress?: (sentBytes: number) => void
}

/** A multiple of 256 KiB, as the protocol wants; all of it is sent again when it breaks off. */
const CHUNK_BYTES = 8 * 1024 * 1024
/** "Resume incomplete": this much has arrived, send the rest. */
const GO_ON = 308
const NO_ANSWER = 599
/** A chunk over a slow line. */
const CHUNK_TIMEOUT_MS = 120_000

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/**
 * Sends the file and resolves to the resource that came of it. Broken connections and errors of the server are met by
 * asking how far it got; the tries without any progress are bounded. Throws BigQueryError: 409 where the resource is
 * there already.
 */
export async function uploadFile<T>(api: Api, upload: Upload): Promise<T> {
  const file = await open(upload.file, 'r')
  try {
    const { size } = await file.stat()
    let session = await startSession(api, upload, size)
    let offset = 0
    let vain = 0
    let isUnsure = false
    for (;;) {
      const chunk = isUnsure || offset === size ? undefined : await readChunk(file, offset, size)
      const answer = await send(api, session, chunk, offset, size)
      if (answer.status < 300) {
        upload.onProgress?.(size)
        return JSON.parse(answer.text) as T // the API's contract
      }
      const error = errorOf(answer)
      const goesOn = answer.status === GO_ON
      if (!goesOn && !isGone(answer) && !isTransientCall(error)) throw error
      const reached = goesOn ? bytesReceived(answer) : offset
      vain = reached > offset ? 0 : vain + 1
      if (vain >= api.retries.tries) throw error
      if (vain > 0) await pause(delayMs(api.retries, vain - 1, error), api.abort)
      if (isGone(answer)) session = await startSession(api, upload, size)
      offset = isGone(answer) ? 0 : reached
      isUnsure = !goesOn && !isGone(answer)
      if (reached > 0) upload.onProgress?.(offset)
    }
  } finally {
    await file.close()
  }
}

async function startSession(api: Api, { url, metadata, contentType }: Upload, size: number): Promise<string> {
  return await withRetries(api.retries, api.abort, isTransientCall, async () => {
    const answer = await request(api, {
      url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-upload-content-type': contentType,
        'x-upload-content-length': String(size),
      },
      body: JSON.stringify(metadata),
    })
    const session = answer.headers.get('location')
    if (answer.status >= 300) throw errorOf(answer)
    if (session === null)
      throw new BigQueryError({ reason: 'backendError', status: 502 }, 'an upload began without an address')
    return new URL(session, url).href
  })
}

/** The chunk from here on; without one it only asks how far the server is. NO_ANSWER where none came. */
async function send(
  api: Api,
  session: string,
  chunk: Buffer | undefined,
  offset: number,
  size: number,
): Promise<Answer> {
  const range = chunk === undefined ? `bytes */${size}` : `bytes ${offset}-${offset + chunk.length - 1}/${size}`
  try {
    return await request(api, {
      url: session,
      method: 'PUT',
      headers: { 'content-range': range },
      body: chunk ?? '',
    })
  } catch (error) {
    if (!isTransientCall(error)) throw error
    return { status: NO_ANSWER, headers: new Headers(), text: error.message }
  }
}

async function readChunk(file: FileHandle, offset: number, size: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - offset))
  let filled = 0
  while (filled < chunk.length) {
    const { bytesRead } = await file.read(chunk, filled, chunk.length - filled, offset + filled)
    if (bytesRead === 0) throw new Error('a file became shorter while it was sent')
    filled += bytesRead
  }
  return chunk
}

/** `Range: bytes=0-1048575`: the server has these; none at all where the header is missing. */
function bytesReceived({ headers }: Answer): number {
  const range = /^(?:bytes=)?0-(\d+)$/.exec(headers.get('range') ?? '')
  return range === null ? 0 : Number(range[1]) + 1
}

/** The session, not the file: it has to be begun again. */
function isGone({ status }: Answer): boolean {
  return status === 404 || status === 410
}

function errorOf({ status, headers, text }: Answer): BigQueryError {
  let error: { errors?: { reason?: string; message?: string }[]; message?: string } | undefined
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error
  } catch {
    // A gateway's page: its status says enough.
  }
  const [first] = error?.errors ?? []
  return new BigQueryError(
    {
      reason: status === NO_ANSWER ? 'unreachable' : (first?.reason ?? reasonOf(status)),
      status,
      retryAfterMs: retryAfterMs(headers.get('retry-after') ?? undefined, Date.now()),
    },
    first?.message ?? error?.message ?? `HTTP ${status}`,
  )
}

interface UploadRequest {
  readonly url: string
  readonly method: 'POST' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

async function request(api: Api, { url, method, headers, body }: UploadRequest): Promise<Answer> {
  api.abort?.throwIfAborted()
  await authorize(() => api.auth.getRequestHeaders())
  try {
    const response = await api.auth.request<string>({
      url,
      method,
      headers: { ...headers },
      data: body,
      responseType: 'text',
      // 308 means "go on" here, not "look elsewhere".
      redirect: 'manual',
      validateStatus: () => true,
      retry: false,
      timeout: CHUNK_TIMEOUT_MS,
      ...(api.abort === undefined ? {} : { signal: api.abort }),
    })
    return {
      status: response.status,
      headers: response.headers,
      text: typeof response.data === 'string' ? response.data : '',
    }
  } catch (error) {
    api.abort?.throwIfAborted()
    throw new BigQueryError({ reason: 'unreachable' }, error instanceof Error ? error.message : String(error))
  }
}
