// The files of an ingest entry as they are now, for all who ask: planning, waiting, loading.
import type { ApplicationFailure } from '@temporalio/common'
import type { NamedFile } from '../ingest/shape.ts'
import { failure } from '../pipeline/failure.ts'
import type { IngestEntry } from '../pipeline/plan.ts'
import { findLocalFiles, openLocalFile } from '../sources/local.ts'

/** In the order in which they are loaded; the caller closes them. Fails with FileRefused when one of them may not be read. */
export async function openEntryFiles(root: string, entry: IngestEntry): Promise<NamedFile[]> {
  const opened: NamedFile[] = []
  try {
    for (const name of await findLocalFiles(root, entry.files)) {
      opened.push({ name, file: await openLocalFile(root, name, entry.inbox) })
    }
    return opened
  } catch (error) {
    await Promise.all(opened.map(({ file }) => file.handle.close()))
    throw error
  }
}

export function missingFiles({ files }: IngestEntry): ApplicationFailure {
  return failure(
    'FileMissing',
    /[*?]/.test(files)
      ? `no file matches ${files}; put the files there, or start the run for another date`
      : `${files} does not exist; put the file there, or start the run for another date`,
  )
}
