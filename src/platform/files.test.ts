// Reading the end of a file, and writing one whole.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTail, writeFileAtomically } from './files.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-files-'))
})
afterAll(() => rm(folder, { recursive: true }))

test.each<[string, number, string]>([
  ['', 4, ''],
  ['abc', 4, 'abc'],
  ['abcd', 4, 'abcd'],
  ['abcdefgh', 4, 'efgh'],
])('of %j the last %i bytes are %j', async (content, bytes, tail) => {
  const file = path.join(folder, 'tail.txt')
  await writeFile(file, content)

  expect(await readTail(file, bytes)).toBe(tail)
})

test('a file that is written anew leaves nothing else in its folder, which is made where it is missing', async () => {
  const file = path.join(folder, 'new', 'ledger.json')

  await writeFileAtomically(file, 'one')
  await writeFileAtomically(file, 'two')

  expect(await readFile(file, 'utf8')).toBe('two')
  expect(await readdir(path.dirname(file))).toEqual(['ledger.json'])
})
