// What the scanner promises of a file, each on the smallest file that shows it; scan-against-oracle.test.ts has the breadth.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_RECORD_BYTES, scanCsv, splitFields, type ScannedRecord } from './scan.ts'

async function scan(text: string | Buffer, fields = 2, chunks: readonly Buffer[] = [Buffer.from(text)]) {
  const records: (Omit<ScannedRecord, 'bytes'> & { text: string })[] = []
  const outcome = await scanCsv(
    (async function* () {
      yield* chunks
    })(),
    () => fields,
    ({ bytes, ...record }) => records.push({ ...record, text: bytes.toString() }),
  )
  return { outcome, records, faults: records.map(({ fault }) => fault) }
}

describe('a file is clean, so that another reader may take it as it is,', () => {
  test.each([
    ['with LF', 'a,b\n1,2\n3,4\n', true],
    ['with CRLF', 'a,b\r\n1,2\r\n3,4\r\n', true],
    ['without a final line end', 'a,b\n1,2', true],
    ['with a byte order mark', '\ufeffa,b\n1,2\n', true],
    ['with line ends of the other kind inside quotes', 'a,b\n"1\r\n",2\n', true],
    ['not with mixed line ends', 'a,b\n1,2\r\n', false],
    ['not with a blank line', 'a,b\n1,2\n\n', false],
    ['not with a faulty record', 'a,b\n1\n', false],
  ])('%s', async (_what, text, clean) => {
    expect((await scan(text)).outcome).toMatchObject({ summary: { clean } })
  })
})

describe('the whole file is refused', () => {
  test.each([
    [
      'a quote that is never closed, with where its record began',
      'a,b\n1,2\n3,"4\n5,6\n',
      /begins in line 3 is never closed/,
    ],
    ['an empty file', '', /the file is empty/],
    ['a file of nothing but a byte order mark', '\ufeff', /the file is empty/],
    ['a header with a bare quote', 'a",b\n1,2\n', /its header cannot be read \(bare quote\)/],
    ['a header that is not UTF-8', Buffer.from('a,\xff\n', 'latin1'), /its header cannot be read \(invalid UTF-8\)/],
  ])('for %s', async (_what, text, reason) => {
    expect((await scan(text)).outcome).toEqual({ kind: 'refused', reason: expect.stringMatching(reason) })
  })

  test('for a record that does not end, before it fills the memory', async () => {
    const endless = [Buffer.from('a\n1\n"'), ...Array<Buffer>(40).fill(Buffer.alloc(1024 * 1024, 'x'))]

    expect((await scan('', 1, endless)).outcome).toEqual({
      kind: 'refused',
      reason: `the record that begins in line 3 is longer than ${MAX_RECORD_BYTES} bytes; is a quote left open there?`,
    })
  })

  test('for a record over the limit that does end', async () => {
    const file = Buffer.from(`a\n${'x'.repeat(MAX_RECORD_BYTES + 1)}\n`)

    expect((await scan(file, 1)).outcome).toMatchObject({
      kind: 'refused',
      reason: expect.stringMatching(/line 2 is longer/),
    })
  })
})

test.each([
  ['too few fields', 'a,b\n1\n3,4\n'],
  ['too many fields', 'a,b\n1,2,3\n3,4\n'],
  ['bare quote', 'a,b\n1,2"x\n3,4\n'],
  ['text after quote', 'a,b\n1,"2"x\n3,4\n'],
  ['bare carriage return', 'a,b\n1,2\rx\n3,4\n'],
  ['NUL byte', 'a,b\n1,\0\n3,4\n'],
  ['invalid UTF-8', Buffer.from('a,b\n1,\xff\n3,4\n', 'latin1')],
])('%s is the fault of one record, and the next is sound', async (fault, text) => {
  const { faults, outcome } = await scan(text)

  expect(faults).toEqual([fault, undefined])
  expect(outcome).toMatchObject({ summary: { records: 2, faulty: 1, clean: false } })
})

test('a record has its number, the line and the byte where it begins, whatever stood before it', async () => {
  const { records } = await scan('\ufeffa,b\r\n"é\n\n",1\r\n\r\nx\r\n3,4')

  expect(records).toEqual([
    { number: 1, line: 2, byteOffset: 8, text: '"é\n\n",1', fault: undefined },
    { number: 2, line: 6, byteOffset: 20, text: 'x', fault: 'too few fields' },
    { number: 3, line: 7, byteOffset: 23, text: '3,4', fault: undefined },
  ])
})

test('a blank line is no record, unless the table has a single column', async () => {
  expect((await scan('a,b\n\n1,2\n\n')).outcome).toMatchObject({ summary: { records: 1, blankLines: 2 } })
  expect((await scan('a\n\n1\n\n', 1)).outcome).toMatchObject({ summary: { records: 3, blankLines: 0 } })
})

describe('splitFields', () => {
  test.each([
    ['', ['']],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [',', ['', '']],
    ['a,', ['a', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""hi""",""', ['say "hi"', '']],
    ['"""",x', ['"', 'x']],
    ['"1\r\n2", y ', ['1\r\n2', ' y ']],
    ['é,"😀"', ['é', '😀']],
  ])('%j is %j', (text, fields) => {
    expect(splitFields(Buffer.from(text))).toEqual(fields)
  })

  test('takes apart what was put together from any texts', () => {
    const field = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', '"', ',', '\n', '""', '",'))
    fc.assert(
      fc.property(fc.array(field, { minLength: 1 }), fc.boolean(), (fields, quoteAll) => {
        const record = fields.map((text) =>
          quoteAll || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text,
        )
        expect(splitFields(Buffer.from(record.join(',')))).toEqual(fields)
      }),
    )
  })
})
