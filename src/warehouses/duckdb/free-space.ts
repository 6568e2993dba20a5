// Whether a load has room on the warehouse's disk, asked before it begins.
import { statfs } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { errorCode } from '../../platform/files.ts'

/** Of Node's statfs, in bigint: files of a cluster may be larger than a double counts exactly. */
export interface DiskSpace {
  /** Bytes. */
  readonly bsize: bigint
  /** Blocks in all, and those that we may use. */
  readonly blocks: bigint
  readonly bavail: bigint
}

/** For the log beside the file, the ledger, and blocks that are rewritten before the old ones are free. */
const MARGIN_BYTES = 64 * 1024 ** 2

/**
 * Fails with DiskFull when the disk of `file` (which need not be there yet) offers less than `inputBytes` and a margin.
 * Where the file system cannot tell, nothing is held up: the load will meet the end of the disk itself.
 */
export async function requireFreeSpace(
  file: string,
  inputBytes: number,
  diskSpace: (folder: string) => Promise<DiskSpace> = (folder) => statfs(folder, { bigint: true }),
): Promise<void> {
  const space = await spaceAt(path.dirname(path.resolve(file)), diskSpace)
  if (space === undefined || space.blocks === 0n) return
  const freeBytes = Number(space.bavail * space.bsize)
  const neededBytes = inputBytes + MARGIN_BYTES
  if (freeBytes >= neededBytes) return
  throw failure(
    'DiskFull',
    `the disk of ${file} has ${inMiB(freeBytes, 'down')} free, and this load needs ${inMiB(neededBytes, 'up')} there ` +
      `(${inMiB(inputBytes, 'up')} of input and ${inMiB(MARGIN_BYTES, 'up')} to work with); ` +
      `free ${inMiB(neededBytes - freeBytes, 'up')}, or give \`path\` in profiles.yml a file on a larger disk, and start the run again`,
  )
}

/** Of the nearest folder that is there. */
async function spaceAt(
  folder: string,
  diskSpace: (folder: string) => Promise<DiskSpace>,
): Promise<DiskSpace | undefined> {
  try {
    return await diskSpace(folder)
  } catch (error) {
    const parent = path.dirname(folder)
    return errorCode(error) === 'ENOENT' && parent !== folder ? await spaceAt(parent, diskSpace) : undefined
  }
}

/** Rounded so that the figures never look as if there were room. */
function inMiB(bytes: number, rounded: 'up' | 'down'): string {
  const mebibytes = bytes / 1024 ** 2
  return `${(rounded === 'up' ? Math.ceil(mebibytes) : Math.floor(mebibytes)).toLocaleString('en')} MiB`
}
