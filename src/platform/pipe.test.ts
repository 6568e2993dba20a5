// Two sides of a named pipe, whichever of them fails first: both end, and the first error is the one that is told.
import { open, writeFile } from 'node:fs/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEngine, type Engine } from './duckdb.ts'
import { throughPipe } from './pipe.ts'
import { makePipe } from './subprocess.ts'

let folder = ''
let pipe = ''
let engine: Engine
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-pipe-'))
  pipe = await makePipe(path.join(folder, 'rows.pipe'))
  engine = await openEngine({ scratchDir: folder })
})
afterEach(async () => {
  engine.close()
  await rm(folder, { recursive: true })
})

const copy = (query: string) => () =>
  engine.run(`COPY (${query}) TO '${pipe}' (FORMAT csv, HEADER false, USE_TMP_FILE false)`)
const MANY = 'SELECT range FROM range(2_000_000)'

async function count(bytes: Readable): Promise<number> {
  let total = 0
  for await (const chunk of bytes) total += (chunk as Buffer).length
  return total
}

test('what a statement writes is read to its end', async () => {
  // 0…1,999,999, each with a line's end.
  const bytes = 10 * 2 + 90 * 3 + 900 * 4 + 9_000 * 5 + 90_000 * 6 + 900_000 * 7 + 1_000_000 * 8

  expect(await throughPipe(pipe, copy(MANY), count)).toEqual([2_000_000, bytes])
  // The pipe is there to be used again.
  expect(await throughPipe(pipe, copy('SELECT 1'), count)).toEqual([1, 2])
})

test('several statements are one stream', async () => {
  const twice = async () => (await copy('SELECT 1')()) + (await copy('SELECT 22')())

  expect(await throughPipe(pipe, twice, count)).toEqual([2, 5])
})

test('a statement that never opens the pipe ends the stream', async () => {
  expect(await throughPipe(pipe, () => Promise.resolve('nothing'), count)).toEqual(['nothing', 0])
})

test('a reader that fails before the statement begins', async () => {
  const slow = async () => {
    await sleep(100)
    return await copy(MANY)()
  }
  await expect(throughPipe(pipe, slow, () => Promise.reject(new Error('no table')))).rejects.toThrow('no table')
})

test('a reader that fails in the middle ends the statement', async () => {
  const failing = async (bytes: Readable) => {
    for await (const chunk of bytes) if (chunk) throw new Error('disk full there')
  }
  await expect(throughPipe(pipe, copy(MANY), failing)).rejects.toThrow('disk full there')
  expect(await throughPipe(pipe, copy('SELECT 1'), count)).toEqual([1, 2])
})

test('a statement that fails in the middle fails the reader, and its error is the one that is told', async () => {
  let readersError: unknown
  const watching = (bytes: Readable) =>
    count(bytes).catch((error: unknown) => {
      readersError = error
      throw error
    })
  const failing = copy(
    `SELECT CASE WHEN range = 1_500_000 THEN error('row of Mr Smith') ELSE range END FROM range(2_000_000)`,
  )

  await expect(throughPipe(pipe, failing, watching)).rejects.toThrow('row of Mr Smith')
  // What the reader hands on to others holds nothing of the rows.
  expect(readersError).toMatchObject({ message: 'the rows ended before their time' })
})

test('a reader that stops early has not done its work', async () => {
  await expect(throughPipe(pipe, copy(MANY), () => Promise.resolve('enough'))).rejects.toThrow(
    'the rows were not read to their end',
  )
})

test("none of Node's file threads is held: as many as there are wait on other pipes meanwhile", async () => {
  const others = await Promise.all([1, 2, 3].map((number) => makePipe(path.join(folder, `other-${number}.pipe`))))
  // Each waits in one of the four threads until its pipe is read from.
  const waiting = others.map((other) => writeFile(other, 'x'))
  // The statement has the fourth.
  expect(await throughPipe(pipe, copy('SELECT 1'), count)).toEqual([1, 2])
  const release = others.map(async (other) => (await open(other, 'r+')).close())
  await Promise.allSettled([...waiting, ...release])
})
