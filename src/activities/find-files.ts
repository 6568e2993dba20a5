// findFiles: how many files an ingest entry has by now, for runs that wait for them.
import type { IngestEntry } from '../pipeline/plan.ts'
import type { ActivityDeps } from './context.ts'
import { openEntryFiles } from './entry-files.ts'

export interface FindFilesInput {
  readonly entry: IngestEntry
}

export function createFindFiles(deps: ActivityDeps) {
  return async function findFiles({ entry }: FindFilesInput): Promise<number> {
    const files = await openEntryFiles(deps.workspace.root, entry)
    await Promise.all(files.map(({ file }) => file.handle.close()))
    return files.length
  }
}
