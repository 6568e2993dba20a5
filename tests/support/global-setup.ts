// What all tests share: one Temporal server, and dbt's parse of the sample project, so that not every test waits for its own.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { INSTALLATION, workspaceAt } from '../../src/platform/workspace.ts'
import { connectClient, ownServerAddress } from '../../src/temporal/connect.ts'
import { ensureDevServer } from '../../src/temporal/dev-server.ts'
import { ensureNamespace } from '../../src/temporal/ensure-namespace.ts'
import { copyProject } from './copy-project.ts'

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
  try {
    const { connection } = await connectClient(ownServerAddress(server))
    await ensureNamespace(connection, 'default')
    await connection.close()
    const cli = path.join(INSTALLATION.root, 'bin', 'millrace.mjs')
    execFileSync(process.execPath, [cli, 'run', 'daily', '--date', '2026-11-18', '--dry-run'], {
      env: { ...process.env, MILLRACE_WORKSPACE: folder },
    })
  } catch (error) {
    await server.stop()
    throw error
  }
  project.provide('temporalAddress', server.address)
  project.provide('parseCache', path.join(workspace.stateDir, 'cache'))
  return async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
