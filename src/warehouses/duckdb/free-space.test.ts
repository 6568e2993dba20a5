// A load that cannot fit is refused before it begins, with the figures; on given figures and on a real small disk.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { requireFreeSpace, type DiskSpace } from './free-space.ts'

const MIB = 1024 ** 2
const disk = (freeMib: number, more = 0) => ({
  bsize: 1n,
  blocks: 1_000_000_000_000n,
  bavail: BigInt(freeMib * MIB + more),
})
const absent = () => Promise.reject(Object.assign(new Error('no such folder'), { code: 'ENOENT' }))

describe('by the figures', () => {
  test('the input and 64 MiB must fit, to the byte', async () => {
    await expect(requireFreeSpace('/w/w.duckdb', 100 * MIB, async () => disk(164))).resolves.toBeUndefined()
    await expect(requireFreeSpace('/w/w.duckdb', 100 * MIB, async () => disk(164, -1))).rejects.toMatchObject({
      type: 'DiskFull',
      message:
        'the disk of /w/w.duckdb has 163 MiB free, and this load needs 164 MiB there (100 MiB of input and 64 MiB to work with); ' +
        'free 1 MiB, or give `path` in profiles.yml a file on a larger disk, and start the run again',
    })
  })

  test('blocks count by their size, and only those that we may use', async () => {
    const space = { bsize: 4096n, blocks: 10_000_000n, bfree: 10_000_000n, bavail: 25_600n }

    await expect(requireFreeSpace('/w/w.duckdb', 36 * MIB, async () => space)).resolves.toBeUndefined()
    await expect(requireFreeSpace('/w/w.duckdb', 36 * MIB + 1, async () => space)).rejects.toThrow('has 100 MiB free')
  })

  test('of a file whose folder is not there yet, by the nearest one that is', async () => {
    const look = vi.fn<(folder: string) => Promise<DiskSpace>>((folder) =>
      folder === '/w' ? Promise.resolve(disk(1)) : absent(),
    )

    await expect(requireFreeSpace('/w/a/b/w.duckdb', 1, look)).rejects.toMatchObject({ type: 'DiskFull' })
    expect(look.mock.calls).toEqual([['/w/a/b'], ['/w/a'], ['/w']])
  })

  test.each([
    ['says nothing of its size', async () => ({ bsize: 4096n, blocks: 0n, bavail: 0n })],
    ['cannot be asked', () => Promise.reject(Object.assign(new Error('not implemented'), { code: 'ENOSYS' }))],
    ['is nowhere', absent],
  ])('a file system that %s holds nothing up', async (_what, look) => {
    await expect(requireFreeSpace('/w/w.duckdb', 1, look)).resolves.toBeUndefined()
  })
})

test('on a real disk: what lies there counts, and what is removed makes room', async ({ skip }) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-space-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const { failed } = await execa('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', folder], { reject: false })
  if (failed) return skip('mounting a small disk needs root')
  onTestFinished(async () => void (await execa('umount', ['--lazy', folder], { reject: false })))
  const file = path.join(folder, 'made on demand', 'w.duckdb')
  const filler = path.join(folder, 'filler')

  await expect(requireFreeSpace(file, 10 * MIB)).resolves.toBeUndefined()
  await writeFile(filler, Buffer.alloc(8 * MIB))
  await expect(requireFreeSpace(file, 10 * MIB)).rejects.toMatchObject({
    type: 'DiskFull',
    message: expect.stringMatching(
      /made on demand\/w\.duckdb has 72 MiB free, and this load needs 74 MiB .*; free 2 MiB,/,
    ),
  })
  await rm(filler)
  await expect(requireFreeSpace(file, 10 * MIB)).resolves.toBeUndefined()
})
