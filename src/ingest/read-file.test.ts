// From an open file to typed rows and rejects with their places; places are counted here from the text the file was made of.
import { createHash } from 'node:crypto'
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { identifier } from '../pipeline/identifier.ts'
import type { ContractColumn } from '../pipeline/plan.ts'
import { openEngine, type Engine } from '../platform/duckdb.ts'
import { openLocalFile } from '../sources/local.ts'
import { scanFile, typeScannedFile, type ScannedFile } from './read-file.ts'
import { IS_GOOD, TYPED_TABLE } from './typing.ts'

let folder = ''
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-read-'))
  engine = await openEngine({ scratchDir: folder })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true })
})

const CONTRACT: readonly ContractColumn[] = [
  { name: identifier('id'), type: { kind: 'int', bits: 32 }, origin: 'pipeline' },
  { name: identifier('note'), type: { kind: 'string' }, origin: 'pipeline' },
]

/** Reads the file to its end; `meanwhile` happens between the scan and the typing. */
async function read(content: string | Buffer, meanwhile: (scanned: ScannedFile) => Promise<void> = async () => {}) {
  await writeFile(path.join(folder, 'in.csv'), content)
  const file = await openLocalFile(folder, 'in.csv')
  try {
    const scanned = await scanFile(file, 'in.csv', CONTRACT, () => undefined)
    await meanwhile(scanned)
    const rejects = await typeScannedFile(engine, file, scanned, CONTRACT, folder)
    const rows = await engine.rows(`SELECT id, note FROM ${TYPED_TABLE} WHERE ${IS_GOOD} ORDER BY _source_record`)
    return { scanned, rejects, rows }
  } finally {
    await file.handle.close()
  }
}

/** Where a part of the text stands: its line, counted in line ends, and its byte. */
function placeOf(text: string, part: string) {
  const before = text.slice(0, text.indexOf(part))
  return { line: before.split('\n').length, byteOffset: Buffer.byteLength(before) }
}

test('rejects of structure and of type carry number, line, byte and text of their record, in the order of the file', async () => {
  const text = '\ufeffid,note\r\n1,"é\r\n\r\n€"\r\nbad,1\r\n2\r\n\r\n3,ok\r\n4,x,y\r\nlast,"\n"\r\n5,😀\r\n'

  const { scanned, rejects, rows } = await read(text)

  const reject = (recordNumber: number, raw: string, code: string, column: string | null, message: string) =>
    Object.assign(placeOf(text, raw), { recordNumber, code, column, message, rawText: raw })
  expect(rejects).toEqual([
    reject(2, 'bad,1', 'not int', 'id', "'bad' is not an int"),
    { ...reject(3, '2', 'too few fields', null, 'too few fields: the header has 2'), ...placeOf(text, '2\r\n\r\n3') },
    reject(5, '4,x,y', 'too many fields', null, 'too many fields: the header has 2'),
    reject(6, 'last,"\n"', 'not int', 'id', "'last' is not an int"),
  ])
  expect(rows).toEqual([
    { id: 1, note: 'é\r\n\r\n€' },
    { id: 3, note: 'ok' },
    { id: 5, note: '😀' },
  ])
  expect(scanned.records).toBe(rows.length + rejects.length)
})

test('rejects of a clean file have the same places: it is read as it stands, without a copy', async () => {
  const text = 'note,id\n"a\nb",1\nx,one\nok,2'

  const { scanned, rejects } = await read(text)

  expect(scanned.clean).toBe(true)
  expect(rejects).toEqual([expect.objectContaining({ recordNumber: 2, rawText: 'x,one', ...placeOf(text, 'x,one') })])
})

test('a file of mixed line ends and blank lines loads all of its records', async () => {
  const { scanned, rejects, rows } = await read('id,note\r\n1,a\n\n2,"b\r\nc"\r\n3,\n4,"" \n5,""')

  expect(scanned).toMatchObject({ clean: false, records: 5 })
  expect(rejects).toMatchObject([{ recordNumber: 4, code: 'text after quote' }])
  expect(rows).toEqual([
    { id: 1, note: 'a' },
    { id: 2, note: 'b\r\nc' },
    { id: 3, note: null },
    { id: 5, note: '' },
  ])
})

test('any texts come out of the file as they were put in, whatever the line ends', async () => {
  const note = fc.option(fc.array(fc.constantFrom('a', 'é', '😀', ' ', ',', '"', '\n', '\r\n', '\r', '\\', '#')))
  const row = fc.record({
    note: note.map((parts) => parts?.join('') ?? null),
    end: fc.constantFrom('\n', '\r\n', '\n\n'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 8 }), async (records) => {
      const quoted = (text: string | null) => (text === null ? '' : `"${text.replaceAll('"', '""')}"`)
      const text = records.map(({ note, end }, index) => `${index},${quoted(note)}${end}`).join('')

      const { rows, rejects } = await read(`id,note\n${text}`)

      expect(rejects).toEqual([])
      expect(rows).toEqual(records.map(({ note }, index) => ({ id: index, note })))
    }),
    { numRuns: 60 },
  )
})

test('a file of rejects only loads nothing, and says all of them', async () => {
  const { rejects, rows } = await read('id,note\n1\n2\n')

  expect(rejects.map(({ recordNumber }) => recordNumber)).toEqual([1, 2])
  expect(rows).toEqual([])
})

test('the text of a reject is cut at 8 KiB, between two characters', async () => {
  const { rejects } = await read(`id,note\nx${'€'.repeat(5000)},\n`)

  // 8192 bytes: the x, 2730 times three bytes, and one byte that is left out.
  expect(rejects.map(({ rawText }) => rawText)).toEqual([`x${'€'.repeat(2730)}`])
})

test('the digest is of all bytes of the file', async () => {
  const content = Buffer.from('\ufeffid,note\r\n1,a\r\n')

  const { scanned } = await read(content)

  expect(scanned.sha256).toBe(createHash('sha256').update(content).digest('hex'))
})

test('progress is told in bytes, up to the size of the file', async () => {
  const content = `id,note\n${'1,aaaaaaaaaa\n'.repeat(200_000)}`
  await writeFile(path.join(folder, 'big.csv'), content)
  const file = await openLocalFile(folder, 'big.csv')
  const told: number[] = []

  const scanned = await scanFile(file, 'big.csv', CONTRACT, (doneBytes) => told.push(doneBytes))
  await file.handle.close()

  expect(scanned.records).toBe(200_000)
  expect(told).toEqual([1_048_576, 2_097_152, content.length])
})

describe('refuses the whole file', () => {
  test('for a quote that is never closed, with its line', async () => {
    await expect(read('id,note\n1,a\n2,"b\n')).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringMatching(
        /^in\.csv: .* begins in line 3 is never closed\. Nothing was loaded; correct the file/,
      ),
    })
  })

  test('for another header than the contract says', async () => {
    await expect(read('id,nota\n1,a\n')).rejects.toMatchObject({ type: 'HeaderMismatch' })
  })
})

describe('a file that changes while it is read is read again, never half of each', () => {
  const text = 'id,note\n1,a\n'
  const changed = { type: 'FileChanged' }

  test('when it grows', async () => {
    await expect(read(text, () => appendFile(path.join(folder, 'in.csv'), '2,b\n'))).rejects.toMatchObject(changed)
  })

  test.each([
    ['of as many records', 'id,note\n9,z\n'],
    ['of other columns', 'x,y,z\n9\n'],
  ])('when another file takes its place: %s', async (_kind, other) => {
    const replace = async () => {
      await writeFile(path.join(folder, 'new.csv'), other)
      await rename(path.join(folder, 'new.csv'), path.join(folder, 'in.csv'))
    }

    await expect(read(text, replace)).rejects.toMatchObject(changed)
  })
})
