// All that ingestTable does with a file, without Temporal: digest, header, scan, type, commit; into any warehouse.
import path from 'node:path'
import { digestFile } from '../src/ingest/digest.ts'
import { openLoadStream } from '../src/ingest/load-stream.ts'
import { loadFiles, matchFiles, rawColumns } from '../src/ingest/shape.ts'
import { openEngine } from '../src/platform/duckdb.ts'
import { openLocalFile } from '../src/sources/local.ts'
import type { Warehouse, WarehousePlace } from '../src/warehouses/warehouse.ts'
import { contractOf, ingestEntry } from '../tests/support/ingest-entry.ts'
import { TYPES } from './sample.ts'

/** Returns the rows; a sample (sample.ts) has no rejects. */
export async function loadSample(
  file: string,
  folder: string,
  open: (place: WarehousePlace) => Promise<Warehouse>,
): Promise<number> {
  const entry = ingestEntry({ contract: contractOf(TYPES) })
  const abort = new AbortController().signal
  const opened = await openLocalFile(path.dirname(file), path.basename(file))
  const engine = await openEngine({ scratchDir: folder })
  const warehouse = await open({ engine, scratchDir: folder, abort, run: null, stagingBucket: null })
  const sha256 = await digestFile(opened, () => undefined)
  const values = { loadId: sha256.slice(0, 32), loadedAt: '2026-01-01T00:00:00.000Z', logicalDate: '2026-01-01' }
  const matched = await matchFiles(entry, [{ name: 'sample.csv', file: opened }], undefined)
  const files = loadFiles(entry, matched, values)
  const counts = await warehouse.commitLoad(
    {
      ...values,
      stream: openLoadStream(files, entry, { engine, scratchDir: folder, abort, onProgress: () => undefined }),
      table: entry.into,
      columns: files.flatMap(({ shape }) => rawColumns(shape, false)),
      contract: matched.contract,
      mayHaveMore: false,
      mode: 'replace',
      key: [],
      batchId: 'b',
      pipeline: 'bench',
      runId: 'r',
      entry: 'raw.logs',
      params: {},
      files: [{ name: 'sample.csv', sha256, sizeBytes: opened.sizeBytes }],
    },
    () => undefined,
  )
  if (counts.rejected > 0) throw new Error('the sample has rejects')
  await warehouse.close()
  engine.close()
  await opened.handle.close()
  return counts.loaded
}
