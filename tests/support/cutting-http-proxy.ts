// A front of the BigQuery emulator: keeps the service's promises about jobs that the emulator does not, and cuts
// connections at a chosen moment.
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'

/**
 * As with the service, a job's id is taken once (409 afterwards, for uploads too), and a job is answered before it is done.
 */
export interface CuttingHttpProxy {
  /** A profile's `api_endpoint`. */
  readonly endpoint: string
  /** When the moment comes, once: `act` is called, and the connection is cut. */
  cutAt(moment: HttpMoment, act?: () => void): void
  /** From the moment on everything is cut, until `restore`. */
  goAwayAt(moment: HttpMoment): void
  restore(): void
  /** Whether the moment that was asked for has come. */
  hasCut(): boolean
  /** Jobs with this text in their id wait before they begin, until released; their inserts are answered. */
  hold(job: string): () => void
  /** Inserts that met a job of their id. */
  refused(): readonly string[]
  /** Bodies of the requests of a route so far that hold a text. */
  asked(route: string, text: string): readonly JobBody[]
  /** Resolves when no job runs. */
  quiet(): Promise<void>
  stop(): Promise<void>
}

export interface HttpMoment {
  readonly route: Route
  /** A text of the job's id. */
  readonly job: string
  readonly when: 'before it arrives' | 'in the middle of its body' | 'its answer is lost'
}

/** Begin of an upload, its bytes, a job without an upload, a look at a job, a look at its rows. */
type Route = 'POST /upload' | 'PUT /upload' | 'POST /jobs' | 'GET /jobs' | 'GET /queries'

interface Asked {
  readonly message: IncomingMessage
  readonly body: Buffer
  readonly route: string
  readonly url: URL
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export interface JobBody {
  readonly jobReference?: { readonly jobId?: string }
  readonly [field: string]: unknown
}

const HOST = '127.0.0.1'

export async function startCuttingHttpProxy(apiEndpoint: string): Promise<CuttingHttpProxy> {
  const target = new URL(apiEndpoint)
  /** Of each id: the job as it was wanted, and what came of it. */
  const jobs = new Map<string, { readonly wanted: JobBody; readonly done: Promise<Answer>; answer?: Answer }>()
  /** Of each session of an upload. */
  const uploads = new Map<string, JobBody>()
  const holds: { readonly job: string; readonly released: Promise<void> }[] = []
  const refused: string[] = []
  const bodies: (readonly [route: string, body: string])[] = []
  let moment: (HttpMoment & { readonly act: () => void }) | undefined
  let away = false

  const forward = async ({ message, body }: Asked, cutAfterBytes?: number): Promise<Answer> => {
    // Encodings are left out: what is answered is read here, too.
    const { 'accept-encoding': _encoding, ...headers } = message.headers
    const outgoing = httpRequest({
      host: target.hostname,
      port: target.port,
      method: message.method,
      path: message.url,
      headers,
    })
    if (cutAfterBytes !== undefined) {
      outgoing.on('error', () => undefined)
      outgoing.write(body.subarray(0, cutAfterBytes), () => outgoing.destroy())
      return { status: 0, headers: {}, body: Buffer.alloc(0) }
    }
    outgoing.end(body)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage] // what the event carries
    const content = Buffer.concat(await Array.fromAsync<Buffer>(response))
    return { status: response.statusCode ?? 0, headers: response.headers, body: content }
  }

  const keep = (wanted: JobBody, work: () => Promise<Answer>) => {
    const job: { readonly wanted: JobBody; readonly done: Promise<Answer>; answer?: Answer } = { wanted, done: work() }
    void job.done.then((answer) => (job.answer = answer))
    jobs.set(idOf(wanted), job)
  }
  const held = (id: string) => Promise.all(holds.filter(({ job }) => id.includes(job)).map(({ released }) => released))

  async function answerTo(asked: Asked): Promise<Answer> {
    const { route, url, body } = asked
    const id = jobOf(asked)
    const known = jobs.get(id)
    if (route === 'POST /jobs' || route === 'POST /upload') {
      if (known !== undefined) {
        refused.push(id)
        return duplicate(id)
      }
      const wanted = jobBody(body)
      if (route === 'POST /jobs') {
        keep(wanted, async () => {
          await held(id)
          return await forward(asked)
        })
        return json(200, running(wanted))
      }
      const begun = await forward(asked)
      uploads.set(new URL(String(begun.headers['location'])).searchParams.get('upload_id') ?? '', wanted)
      return begun
    }
    if (route === 'PUT /upload') {
      const loaded = await forward(asked)
      const wanted = uploads.get(url.searchParams.get('upload_id') ?? '')
      if (loaded.status !== 200 || wanted === undefined) return loaded
      // The emulator gives uploaded jobs ids of its own.
      const job = { ...jobBody(loaded.body), jobReference: wanted.jobReference }
      keep(wanted, () => Promise.resolve(json(200, job)))
      return json(200, job)
    }
    if (route === 'GET /jobs' && known !== undefined) return known.answer ?? json(200, running(known.wanted))
    if (route === 'GET /queries') await known?.done
    return await forward(asked)
  }

  /** Of its upload, where only the session is named. */
  function jobOf({ route, url, body }: Pick<Asked, 'route' | 'url' | 'body'>): string {
    if (route.startsWith('GET')) return url.pathname.split('/').at(-1) ?? ''
    return idOf(route === 'PUT /upload' ? (uploads.get(url.searchParams.get('upload_id') ?? '') ?? {}) : jobBody(body))
  }

  const server = createServer((message, response) => {
    void handle(message, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    )
  })
  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await Array.fromAsync<Buffer>(message))
    if (away) return void response.destroy()
    const url = new URL(message.url ?? '/', apiEndpoint)
    const asked = { message, body, url, route: routeOf(message.method ?? '', url) }
    if (asked.route.startsWith('POST')) bodies.push([asked.route, body.toString('utf8')])
    const now = moment
    const hasCome = now !== undefined && now.route === asked.route && jobOf(asked).includes(now.job) && isWhole(asked)
    if (!hasCome) return send(response, await answerTo(asked))
    moment = undefined
    if (now.when === 'in the middle of its body') await forward(asked, Math.floor(body.length / 2))
    if (now.when === 'its answer is lost') await answerTo(asked)
    now.act()
    response.destroy()
  }

  server.listen(0, HOST)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the system gave no port')
  return {
    endpoint: `http://${HOST}:${address.port}`,
    cutAt(wanted, act = () => undefined) {
      moment = { ...wanted, act }
    },
    goAwayAt(wanted) {
      moment = { ...wanted, act: () => (away = true) }
    },
    restore() {
      away = false
    },
    hasCut: () => moment === undefined,
    hold(job) {
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      holds.push({ job, released })
      return release
    },
    refused: () => refused,
    asked: (route, text) =>
      bodies.flatMap(([asked, body]) => (asked === route && body.includes(text) ? [jobBody(Buffer.from(body))] : [])),
    async quiet() {
      await Promise.all([...jobs.values()].map(({ done }) => done))
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function routeOf(method: string, { pathname }: URL): string {
  if (pathname.startsWith('/upload/')) return `${method} /upload`
  return `${method} /${/\/projects\/[^/]+\/(\w+)/.exec(pathname)?.[1] ?? ''}`
}

/** Asking how far an upload got is no upload. */
function isWhole({ route, body }: Asked): boolean {
  return route !== 'PUT /upload' || body.length > 0
}

function jobBody(body: Buffer): JobBody {
  try {
    return JSON.parse(body.toString('utf8')) as JobBody // the API's contract
  } catch {
    return {}
  }
}

function idOf({ jobReference }: JobBody): string {
  return jobReference?.jobId ?? ''
}

function running(wanted: JobBody): JobBody {
  return { ...wanted, status: { state: 'RUNNING' }, statistics: {} }
}

function duplicate(id: string): Answer {
  const message = `Already Exists: Job ${id}`
  return json(409, { error: { code: 409, message, errors: [{ reason: 'duplicate', message, domain: 'global' }] } })
}

function json(status: number, content: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(content)) }
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const { 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...others } = headers
  const known = Object.entries(others).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  response.writeHead(status, { ...Object.fromEntries(known), 'content-length': body.length })
  response.end(body)
}
