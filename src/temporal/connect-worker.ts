// A worker's connection, in a file of its own: its package is large, and clients do without it.
import { NativeConnection } from '@temporalio/worker'
import { unreachable, type ServerAddress } from './connect.ts'

/** Fails with ServerUnreachable. */
export async function connectWorker(server: ServerAddress): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(server.connectionOptions)
  } catch (error) {
    throw unreachable(server, error)
  }
}
