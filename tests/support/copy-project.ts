// Copies what makes a workspace: pipelines, the dbt project without what dbt wrote, the sample files.
import { cp } from 'node:fs/promises'
import path from 'node:path'
import { INSTALLATION } from '../../src/platform/workspace.ts'

export async function copyProject(to: string): Promise<void> {
  for (const part of ['pipelines', 'dbt', 'data']) {
    await cp(path.join(INSTALLATION.root, part), path.join(to, part), {
      recursive: true,
      filter: (source) => !/\/dbt\/(target|logs|dbt_packages)(\/|$)/.test(source),
    })
  }
}
