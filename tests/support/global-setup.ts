// What all tests share: one Temporal server, and dbt's parse of the sample project, so that not every test waits for its own.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { INSTALLATION, workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { connectClient, ownServerAddress } from '../../src/temporal/connect.ts'
import { ensureDevServer, findDevServer } from '../../src/temporal/dev-server.ts'
import { ensureNamespace } from '../../src/temporal/ensure-namespace.ts'
import { copyProject } from './copy-project.ts'
import { guardProcess } from './guarded-process.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    temporalAddress: string
    /** A `.millrace/cache` that knows the sample project. */
    parseCache: string
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-tests-'))
  const workspace = workspaceAt(folder)
  await copyProject(folder)
  const server = await ensureDevServer(workspace, INSTALLATION.temporalServer, () => undefined)
  let callOff = (): void => undefined
  try {
    callOff = guardProcess(await pidOf(workspace), folder)
    const { connection } = await connectClient(ownServerAddress(server))
    await ensureNamespace(connection, 'default')
    await connection.close()
    const cli = path.join(INSTALLATION.root, 'bin', 'millrace.mjs')
    execFileSync(process.execPath, [cli, 'run', 'daily', '--date', '2026-11-18', '--dry-run'], {
      env: { ...process.env, MILLRACE_WORKSPACE: folder },
    })
  } catch (error) {
    callOff()
    await server.stop()
    throw error
  }
  project.provide('temporalAddress', server.address)
  project.provide('parseCache', path.join(workspace.stateDir, 'cache'))
  return async () => {
    callOff()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function pidOf(workspace: Workspace): Promise<number> {
  const running = await findDevServer(workspace)
  if (running === undefined) throw new Error('the server that was just started is not there')
  return running.pid
}
