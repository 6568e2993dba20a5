// Which Temporal server to talk to: the one the environment configures, else this workspace's own.
import { Client, Connection } from '@temporalio/client'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import type { NativeConnectionOptions } from '@temporalio/worker'
import { failure } from '../pipeline/failure.ts'
import type { Environment } from '../platform/environment.ts'
import type { Workspace } from '../platform/workspace.ts'
import { findDevServer } from './dev-server.ts'

export interface ServerAddress {
  readonly address: string
  readonly namespace: string
  /** Of the web UI; undefined where nobody said. */
  readonly uiUrl: string | undefined
  readonly connectionOptions: NativeConnectionOptions
}

/** Fails with ServerUnreachable when no server is configured and none of ours runs. Connects to nothing yet. */
export async function serverAddress(workspace: Workspace, environment: Environment): Promise<ServerAddress> {
  if (environment.temporalConfigured) {
    const { connectionOptions, namespace } = loadClientConnectConfig()
    return {
      address: connectionOptions.address ?? 'localhost:7233',
      namespace: namespace ?? 'default',
      uiUrl: environment.uiUrl,
      connectionOptions,
    }
  }
  const own = await findDevServer(workspace)
  if (own === undefined) {
    throw failure(
      'ServerUnreachable',
      'no Temporal server runs for this workspace; start it with `npm start` (in another terminal), or set TEMPORAL_ADDRESS',
    )
  }
  return ownServerAddress(own)
}

export function ownServerAddress({ address, uiUrl }: { address: string; uiUrl: string }): ServerAddress {
  return { address, uiUrl, namespace: 'default', connectionOptions: { address } }
}

export interface ConnectedClient {
  readonly client: Client
  readonly connection: Connection
  readonly server: ServerAddress
}

export async function connectClient(server: ServerAddress): Promise<ConnectedClient> {
  try {
    const connection = await Connection.connect({ ...server.connectionOptions, connectTimeout: '5s' })
    return { connection, server, client: new Client({ connection, namespace: server.namespace }) }
  } catch (error) {
    throw unreachable(server, error)
  }
}

/** Says what is the matter, and what to do. */
export function unreachable(server: ServerAddress, error: unknown) {
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0]
  return failure(
    'ServerUnreachable',
    `no Temporal server answers at ${server.address} (${reason}); start one with \`npm start\`, or correct TEMPORAL_ADDRESS`,
  )
}

/** The run's page in the web UI: of the newest with that id, where none is named. */
export function runLink(server: ServerAddress, workflowId: string, runId?: string): string | undefined {
  if (server.uiUrl === undefined) return undefined
  const parts = ['namespaces', server.namespace, 'workflows', workflowId, ...(runId === undefined ? [] : [runId])]
  return [server.uiUrl.replace(/\/$/, ''), ...parts.map(encodeURIComponent)].join('/')
}

/** The list of runs, filtered by pipeline. */
export function runListLink(server: ServerAddress, pipeline: string): string | undefined {
  if (server.uiUrl === undefined) return undefined
  const query = encodeURIComponent(`WorkflowType="${pipeline}"`)
  return `${server.uiUrl.replace(/\/$/, '')}/namespaces/${encodeURIComponent(server.namespace)}/workflows?query=${query}`
}
