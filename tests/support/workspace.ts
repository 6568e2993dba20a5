// A workspace of its own for a test, in a temporary folder that goes when the test ends.
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { copyProject } from './copy-project.ts'

export async function makeWorkspace(): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-workspace-')))
  const workspace = workspaceAt(root)
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await copyProject(root)
  await cp(inject('parseCache'), path.join(workspace.stateDir, 'cache'), { recursive: true })
  return workspace
}
