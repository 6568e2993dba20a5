// Lines of a file that somebody else is writing: each once, whole, and nothing of it kept in memory.
import { appendFileSync } from 'node:fs'
import { appendFile, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { followLines } from './follow-lines.ts'

const CHUNK_BYTES = 256 * 1024
const OVER = AbortSignal.abort()

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-lines-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** The lines of a file that nobody writes any more. */
async function linesOf(content: string | Buffer): Promise<string[]> {
  const file = path.join(folder, 'whole.txt')
  await writeFile(file, content)
  const lines: string[] = []
  await followLines(file, OVER, (line) => lines.push(line.toString('utf8')))
  return lines
}

describe('of a file that is complete', () => {
  test.each<[string, string, string[]]>([
    ['nothing', '', []],
    ['one line', 'a\n', ['a']],
    ['a last line without its end', 'a\nb', ['a', 'b']],
    ['empty lines', '\n\na\n\n', ['', '', 'a', '']],
    ['a carriage return, which is no line end', 'a\r\nb\rc\n', ['a\r', 'b\rc']],
  ])('%s', async (_what, content, lines) => {
    expect(await linesOf(content)).toEqual(lines)
  })

  test.each([-2, -1, 0, 1, 2])('a line end %i bytes from the border of a chunk', async (offset) => {
    const first = 'x'.repeat(CHUNK_BYTES + offset)

    expect(await linesOf(`${first}\nsecond\n`)).toEqual([first, 'second'])
  })

  test('a line of several chunks', async () => {
    const long = 'äöü'.repeat(CHUNK_BYTES)

    expect(await linesOf(`a\n${long}\nb\n`)).toEqual(['a', long, 'b'])
  })

  test('any lines at all', async () => {
    const line = fc.oneof(
      fc.string().map((text) => text.replaceAll('\n', ' ')),
      fc.nat(CHUNK_BYTES + 9).map((length) => 'y'.repeat(length)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        expect(await linesOf(lines.map((each) => `${each}\n`).join(''))).toEqual(lines)
      }),
      { numRuns: 40 },
    )
  })
})

test('a file that is not there is told of', async () => {
  await expect(followLines(path.join(folder, 'none'), OVER, () => undefined)).rejects.toMatchObject({ code: 'ENOENT' })
})

describe('of a file that is being written', () => {
  /** Follows a file while `write` writes it. */
  async function follow(write: (file: string, lines: readonly string[]) => Promise<void>): Promise<string[]> {
    const file = path.join(folder, 'growing.txt')
    await writeFile(file, '')
    const over = new AbortController()
    const lines: string[] = []
    const following = followLines(file, over.signal, (line) => lines.push(line.toString('utf8')))
    await write(file, lines)
    over.abort()
    await following
    return lines
  }

  test('a line is given when it is whole, not before, however it was cut', async () => {
    const bytes = Buffer.from('{"text": "größer"}\n{"text": "b"}\n')
    const inTheMiddle = bytes.indexOf(0xc3) + 1

    const lines = await follow(async (file, seen) => {
      await appendFile(file, bytes.subarray(0, inTheMiddle))
      await pause(120)
      expect(seen).toEqual([])
      await appendFile(file, bytes.subarray(inTheMiddle, bytes.indexOf('\n') + 3))
      await vi.waitFor(() => expect(seen).toEqual(['{"text": "größer"}']), 5_000)
      await appendFile(file, bytes.subarray(bytes.indexOf('\n') + 3))
    })

    expect(lines).toEqual(['{"text": "größer"}', '{"text": "b"}'])
  })

  test('what was written just before the end is read, and a torn last line is given', async () => {
    const lines = await follow(async (file) => await appendFile(file, 'a\nb\n{"torn": '))

    expect(lines).toEqual(['a', 'b', '{"torn": '])
  })

  test('a torn last line waits for its rest as long as the writer lives', async () => {
    const lines = await follow(async (file, seen) => {
      await appendFile(file, 'a\ntor')
      await vi.waitFor(() => expect(seen).toEqual(['a']), 5_000)
      await pause(120)
      expect(seen).toEqual(['a'])
      await appendFile(file, 'n\n')
    })

    expect(lines).toEqual(['a', 'torn'])
  })
})

test('of 60 MB each line is given once, in order, and memory stays flat', async () => {
  const file = path.join(folder, 'large.txt')
  const count = 60_000
  const handle = await open(file, 'w')
  for (let from = 0; from < count; from += 5_000) {
    await handle.write(
      Array.from({ length: 5_000 }, (_, index) => `${from + index} `.padEnd(1_047, 'x')).join('\n') + '\n',
    )
  }
  const { size } = await handle.stat()
  await handle.close()
  const before = process.memoryUsage().arrayBuffers
  let peak = 0
  let next = 0
  let outOfOrder = 0

  await followLines(file, OVER, (line) => {
    if (Number.parseInt(line.toString('latin1', 0, 8), 10) !== next) outOfOrder += 1
    next += 1
    if (next % 1_000 === 0) peak = Math.max(peak, process.memoryUsage().arrayBuffers)
  })

  expect(size).toBeGreaterThan(60 * 1024 * 1000)
  expect([next, outOfOrder]).toEqual([count, 0])
  expect(peak - before).toBeLessThan(8 * 1024 ** 2)
})

test('who outlives the writer and writes as fast as it is read does not hold it for ever', async () => {
  const file = path.join(folder, 'racing.txt')
  await writeFile(file, '0\n')
  const over = new AbortController()
  let lines = 0
  await followLines(file, over.signal, () => {
    if (++lines === 10) over.abort()
    if (lines < 20_000) appendFileSync(file, `${lines}\n`)
  })
  expect(lines).toBeLessThan(100)
})
