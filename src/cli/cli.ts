// What every command starts from: the workspace, the environment, and a connection when it needs one.
import { readEnvironment, type Environment } from '../platform/environment.ts'
import { findOrBeginWorkspace, findWorkspace, type Workspace } from '../platform/workspace.ts'
import type { ConnectedClient } from '../temporal/connect.ts'

export interface Cli {
  readonly workspace: Workspace
  readonly environment: Environment
  /** To the configured server, else to this workspace's own. The caller closes it. */
  connect(): Promise<ConnectedClient>
}

export function openCli(find: typeof findWorkspace = findWorkspace): Cli {
  const environment = readEnvironment()
  const workspace = find(environment.workspace)
  return {
    workspace,
    environment,
    connect: async () => {
      const { connectClient, serverAddress } = await import('../temporal/connect.ts')
      return await connectClient(await serverAddress(workspace, environment))
    },
  }
}

/** For the command that writes the first pipeline: a folder without pipelines/ becomes a workspace. */
export function openCliAnywhere(): Cli {
  return openCli(findOrBeginWorkspace)
}
