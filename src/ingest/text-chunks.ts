// A file as chunks of text bytes: unpacked, and in an encoding whose line ends and delimiters are single bytes.
import { isUtf8 } from 'node:buffer'
import { readSync } from 'node:fs'
import { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { MEBIBYTE, type Encoding } from '../pipeline/dialect.ts'
import { errorCode } from '../platform/files.ts'
import { ScanRefusal } from './csv/scan.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

/** By the file's name: `.gz`, `.zst`. The bytes are not asked. */
export function compressionOf(file: string): Compression {
  if (/\.gz$/i.test(file)) return 'gzip'
  return /\.zstd?$/i.test(file) ? 'zstd' : 'none'
}

const CHUNK_BYTES = MEBIBYTE
/** What a packed file may unpack to: this many times its own size (looked at from 64 MiB on), and never more than this. */
const MAX_EXPANSION = 250
const EXPANSION_GRACE_BYTES = 64 * MEBIBYTE
const MAX_UNPACKED_BYTES = 64 * 1024 * MEBIBYTE

export interface TextSource {
  readonly fd: number
  readonly sizeBytes: number
  readonly compression: Compression
  readonly encoding: Encoding
}

/**
 * The text's bytes; UTF-16 comes as UTF-8 (what is no text there as bytes that are no UTF-8). A chunk is only valid
 * until the next one is asked for. Reads synchronously: for a thread of its own. `onBytes` gets how much of the file
 * was read. Throws ScanRefusal for a damaged or bursting packed file, and for UTF-16 without a byte order mark.
 */
export async function* textChunks(source: TextSource, onBytes: (doneBytes: number) => void): AsyncGenerator<Buffer> {
  const bytes = source.compression === 'none' ? fileChunks(source.fd, onBytes) : unpacked(source, onBytes)
  if (source.encoding === 'utf-16') yield* utf16Text(bytes)
  else yield* bytes
}

/** The file's own bytes, from its beginning. */
export function* fileChunks(fd: number, onBytes: (doneBytes: number) => void): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let position = 0; ;) {
    const bytesRead = readSync(fd, buffer, 0, CHUNK_BYTES, position)
    if (bytesRead === 0) return
    position += bytesRead
    onBytes(position)
    yield buffer.subarray(0, bytesRead)
  }
}

async function* unpacked(
  { fd, sizeBytes, compression }: TextSource,
  onBytes: (doneBytes: number) => void,
): AsyncGenerator<Buffer> {
  // The unpacker holds several chunks at once, so each gets bytes of its own.
  const copies = (function* () {
    for (const chunk of fileChunks(fd, onBytes)) yield Buffer.from(chunk)
  })()
  // A gzip file may hold several streams one after the other; of zstd frames Node would read the first only.
  const unpacker =
    compression === 'gzip'
      ? createGunzip({ chunkSize: CHUNK_BYTES })
      : createZstdDecompress({ chunkSize: CHUNK_BYTES, rejectGarbageAfterEnd: true })
  const input = Readable.from(copies, { objectMode: false, highWaterMark: CHUNK_BYTES })
  input.on('error', (error) => unpacker.destroy(error))
  input.pipe(unpacker)
  let total = 0
  try {
    for await (const chunk of unpacker as AsyncIterable<Buffer>) {
      total += chunk.length
      if (total > MAX_UNPACKED_BYTES || (total > EXPANSION_GRACE_BYTES && total > sizeBytes * MAX_EXPANSION)) {
        throw new ScanRefusal(
          `it unpacks to more than ${total > MAX_UNPACKED_BYTES ? `${MAX_UNPACKED_BYTES} bytes` : `${MAX_EXPANSION} times its size`}; ` +
            'unpack it by hand if that is right',
        )
      }
      yield chunk
    }
    if (unpacker.bytesWritten !== sizeBytes) throw new Error('bytes that are not part of it stand behind its end')
  } catch (error) {
    if (error instanceof ScanRefusal) throw error
    if (compression === 'zstd' && errorCode(error) === 'ERR_TRAILING_JUNK_AFTER_STREAM_END') {
      throw new ScanRefusal('more follows behind its first zstd frame; pack it anew with zstd, not pzstd')
    }
    throw new ScanRefusal(
      `it is not a whole ${compression} file (${error instanceof Error ? error.message : String(error)})`,
    )
  } finally {
    input.destroy()
    unpacker.destroy()
  }
}

/** No text at all: a byte that UTF-8 never has. */
const NO_TEXT = Buffer.of(0xff)

async function* utf16Text(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let bigEndian: boolean | undefined
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    // A copy: the bytes of a chunk are not ours to swap.
    let bytes = Buffer.concat([rest, chunk])
    if (bytes.length < 2) {
      rest = bytes
      continue
    }
    if (bigEndian === undefined) {
      const mark = bytes.readUInt16LE(0)
      if (mark !== 0xfeff && mark !== 0xfffe) {
        throw new ScanRefusal('it has no byte order mark, so it cannot be read as UTF-16; declare its encoding')
      }
      bigEndian = mark === 0xfffe
      bytes = bytes.subarray(2)
    }
    let whole = bytes.length & ~1
    if (bigEndian) bytes.subarray(0, whole).swap16()
    // The first half of a surrogate pair waits for the second.
    if (whole >= 2 && (bytes.readUInt16LE(whole - 2) & 0xfc00) === 0xd800) whole -= 2
    rest = Buffer.from(bytes.subarray(whole))
    if (bigEndian && rest.length >= 2) rest.subarray(0, 2).swap16()
    yield utf8Of(bytes.subarray(0, whole))
  }
  if (rest.length > 0) yield NO_TEXT
}

function utf8Of(utf16: Buffer): Buffer {
  const text = utf16.toString('utf16le')
  if (text.isWellFormed()) return Buffer.from(text)
  const parts = text.split(/([\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff])/)
  const bytes = Buffer.concat(parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : NO_TEXT)))
  if (isUtf8(bytes)) throw new Error('a lone surrogate was lost')
  return bytes
}
