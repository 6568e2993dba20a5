// A TCP proxy on loopback that cuts connections at a chosen moment, as a network does: with a reset, or in silence.
import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'

export interface CuttingProxy {
  readonly host: string
  readonly port: number
  /** Of what clients have sent so far. */
  sentBytes(): number
  /** Holds for the connections that are open and those to come, until it has happened once. */
  cutAt(moment: CutMoment): void
  /** Nothing passes any more, and nobody is told. */
  freeze(): void
  stop(): Promise<void>
}

export type CutMoment =
  /** Counted from now. */
  | { readonly afterSentBytes: number }
  /** A client sends this text (in one piece, as a short statement is), for the nth time from now. */
  | { readonly sends: string; readonly nth: number; readonly and: 'the server never gets it' | 'its answer is lost' }

const HOST = '127.0.0.1'

export async function startCuttingProxy(target: {
  readonly host: string
  readonly port: number
}): Promise<CuttingProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let sentBytes = 0
  let frozen = false
  let moment: (CutMoment & { readonly fromByte: number }) | undefined
  let seen = 0

  const cut = () => {
    moment = undefined
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy()
  }
  /** Returns whether the bytes may go on to the server. */
  const clientSends = (bytes: Buffer, server: Socket): boolean => {
    sentBytes += bytes.length
    if (moment === undefined) return true
    if ('afterSentBytes' in moment) {
      const rest = bytes.length - (sentBytes - moment.fromByte - moment.afterSentBytes)
      if (rest >= bytes.length) return true
      // A message is cut where it happens to be.
      server.write(bytes.subarray(0, Math.max(0, rest)), cut)
      return false
    }
    if (!bytes.includes(moment.sends) || ++seen < moment.nth) return true
    if (moment.and === 'the server never gets it') {
      cut()
      return false
    }
    server.removeAllListeners('data')
    server.once('data', cut)
    return true
  }

  const listener = createServer((client) => {
    const server = connect(target.port, target.host)
    const pair = [client, server] as const
    pairs.add(pair)
    client.on('data', (bytes) => {
      if (frozen) return
      if (clientSends(bytes, server) && !server.write(bytes)) {
        client.pause()
        server.once('drain', () => client.resume())
      }
    })
    server.on('data', (bytes) => {
      if (!frozen) client.write(bytes)
    })
    for (const [socket, other] of [pair, pair.toReversed()] as const) {
      socket?.on('error', () => undefined)
      socket?.on('close', () => {
        pairs.delete(pair)
        if (!frozen) other?.destroy()
      })
    }
  })
  listener.listen(0, HOST)
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the system gave no port')
  return {
    host: HOST,
    port: address.port,
    sentBytes: () => sentBytes,
    cutAt(wanted) {
      seen = 0
      moment = { ...wanted, fromByte: sentBytes }
    },
    freeze() {
      frozen = true
    },
    async stop() {
      listener.close()
      cut()
      if (listener.listening) await once(listener, 'close')
    },
  }
}
