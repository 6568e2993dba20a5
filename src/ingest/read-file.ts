// Stages 2 and 3 of a load: scan the file, hold its header to the contract, type its values, collect all rejects.
import { createHash } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import path from 'node:path'
import type { ContractColumn } from '../pipeline/plan.ts'
import { columnTypeText } from '../pipeline/column-type.ts'
import { failure } from '../pipeline/failure.ts'
import type { Engine } from '../platform/duckdb.ts'
import type { OpenFile } from '../sources/local.ts'
import { scanCsv, splitFields, type ScannedRecord } from './csv/scan.ts'
import { checkHeader } from './header.ts'
import { rawText, type Reject } from './rejects.ts'
import { typeFile, type CleanFile, type TypeReject } from './typing.ts'

const CHUNK_BYTES = 1024 * 1024

export interface ScannedFile {
  /** Records of the file, the header not counted. */
  readonly records: number
  readonly sha256: string
  readonly header: readonly string[]
  readonly clean: boolean
  readonly rejects: readonly Reject[]
}

/** Reads the file once: structure, header and digest. Fails with FileRefused or HeaderMismatch for the whole file. */
export async function scanFile(
  file: OpenFile,
  label: string,
  contract: readonly ContractColumn[],
  onBytes: (doneBytes: number) => void,
): Promise<ScannedFile> {
  const hash = createHash('sha256')
  const rejects: Reject[] = []
  let header: string[] = []
  const outcome = await scanCsv(
    readChunks(file, (chunk, doneBytes) => {
      hash.update(chunk)
      onBytes(doneBytes)
    }),
    (bytes) => {
      header = splitFields(bytes)
      checkHeader(header, contract, label)
      return header.length
    },
    (record) => {
      if (record.fault !== undefined) rejects.push(structureReject(record, header.length))
    },
  )
  await file.assertUnchanged()
  if (outcome.kind === 'refused') {
    throw failure(
      'FileRefused',
      `${label}: ${outcome.reason}. Nothing was loaded; correct the file and start the run again`,
    )
  }
  const { records, clean } = outcome.summary
  return { records, sha256: hash.digest('hex'), header, clean, rejects }
}

/** Leaves the good rows in the engine (typing.ts) and returns every reject of the file, in record order. */
export async function typeScannedFile(
  engine: Engine,
  file: OpenFile,
  scanned: ScannedFile,
  contract: readonly ContractColumn[],
  scratchDir: string,
): Promise<Reject[]> {
  const clean = await cleanFile(file, scanned, scratchDir)
  let typeRejects: TypeReject[]
  try {
    typeRejects = await typeFile(engine, clean, contract)
  } finally {
    // Whatever DuckDB made of a file that changed under it: the change is the reason.
    await file.assertUnchanged()
    if (!clean.numbered) await assertSameFile(file)
  }
  const located = await locate(file, scanned.header.length, typeRejects, contract)
  return [...scanned.rejects, ...located].sort((a, b) => a.recordNumber - b.recordNumber)
}

/** The file itself where it is clean, else a copy of its sound records, each with its number in front. */
async function cleanFile(file: OpenFile, scanned: ScannedFile, scratchDir: string): Promise<CleanFile> {
  const records = scanned.records - scanned.rejects.length
  if (scanned.clean) return { path: file.path, header: scanned.header, numbered: false, records }
  const copy = path.join(scratchDir, 'clean.csv')
  const out = await open(copy, 'w')
  try {
    let waiting: Buffer[] = []
    let waitingBytes = 0
    const flush = async () => {
      await out.writev(waiting)
      waiting = []
      waitingBytes = 0
    }
    const chunks = readChunks(file, () => undefined)
    // The scanner hands out records synchronously, so what waits is written between two chunks of the source.
    const source = (async function* () {
      for await (const chunk of chunks) {
        if (waitingBytes >= CHUNK_BYTES) await flush()
        yield chunk
      }
    })()
    await scanCsv(
      source,
      () => scanned.header.length,
      ({ fault, number, bytes }) => {
        if (fault !== undefined) return
        const line = Buffer.concat([Buffer.from(`${number},`), bytes, Buffer.from('\n')])
        waiting.push(line)
        waitingBytes += line.length
      },
    )
    await flush()
  } finally {
    await out.close()
  }
  return { path: copy, header: scanned.header, numbered: true, records }
}

/** DuckDB opens the path anew: a file that was renamed onto it meanwhile is not the one that was scanned. */
async function assertSameFile(file: OpenFile): Promise<void> {
  const held = await file.handle.stat({ bigint: true })
  const there = await stat(file.path, { bigint: true }).catch(() => undefined)
  if (there?.ino === held.ino && there.dev === held.dev) return
  throw failure(
    'FileChanged',
    `${path.basename(file.path)} was replaced by another file while it was read; it will be read again`,
  )
}

/** Finds the bytes of the records that typing rejected: it knows them by number only. */
async function locate(
  file: OpenFile,
  fields: number,
  typeRejects: readonly TypeReject[],
  contract: readonly ContractColumn[],
): Promise<Reject[]> {
  if (typeRejects.length === 0) return []
  const wanted = new Map(typeRejects.map((reject) => [reject.recordNumber, reject]))
  const types = new Map(contract.map(({ name, type }) => [String(name), columnTypeText(type)]))
  const found: Reject[] = []
  await scanCsv(
    readChunks(file, () => undefined),
    () => fields,
    ({ number, line, byteOffset, bytes }) => {
      const reject = wanted.get(number)
      if (reject === undefined) return
      const { recordNumber, column, message } = reject
      const code = `not ${types.get(column) ?? 'typed'}`
      found.push({ recordNumber, line, byteOffset, code, column, message, rawText: rawText(bytes) })
    },
  )
  return found
}

function structureReject(record: ScannedRecord, expectedFields: number): Reject {
  const code = record.fault ?? ''
  return {
    recordNumber: record.number,
    line: record.line,
    byteOffset: record.byteOffset,
    code,
    column: null,
    message: code.endsWith('fields') ? `${code}: the header has ${expectedFields}` : code,
    rawText: rawText(record.bytes),
  }
}

/** The file from its beginning, whatever was read of it before. */
async function* readChunks(
  file: OpenFile,
  onChunk: (chunk: Buffer, doneBytes: number) => void,
): AsyncGenerator<Buffer> {
  let position = 0
  for (;;) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    const { bytesRead } = await file.handle.read(buffer, 0, CHUNK_BYTES, position)
    if (bytesRead === 0) return
    position += bytesRead
    const chunk = buffer.subarray(0, bytesRead)
    onChunk(chunk, position)
    yield chunk
  }
}
