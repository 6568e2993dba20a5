// A file's SHA-256, over its bytes as they lie there (so that sha256sum says the same).
import { createHash } from 'node:crypto'
import { MEBIBYTE } from '../pipeline/dialect.ts'
import type { OpenFile } from '../sources/local.ts'

/** Reads in pieces that take about a millisecond each, so it may run beside heartbeats. Fails with FileChanged. */
export async function digestFile(file: OpenFile, onBytes: (doneBytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(MEBIBYTE)
  for (let position = 0; ;) {
    const { bytesRead } = await file.handle.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) break
    position += bytesRead
    hash.update(buffer.subarray(0, bytesRead))
    onBytes(position)
  }
  await file.assertUnchanged()
  return hash.digest('hex')
}
