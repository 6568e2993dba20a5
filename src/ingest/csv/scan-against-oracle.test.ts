// The scanner against a second, slower reader that was written another way: whole file at once, field by field.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scanCsv } from './scan.ts'

type Scanned = { refused: string } | { records: unknown[]; header: string; blankLines: number; clean: boolean }

async function scan(chunks: readonly Buffer[], expectedFields: number): Promise<Scanned> {
  const records: unknown[] = []
  const outcome = await scanCsv(
    (async function* () {
      yield* chunks
    })(),
    () => expectedFields,
    ({ number, line, byteOffset, bytes, fault }) =>
      records.push({ number, line, byteOffset, bytes: bytes.toString('latin1'), fault }),
  )
  if (outcome.kind === 'refused') return { refused: outcome.reason }
  const { header, summary } = outcome
  expect(summary.records).toBe(records.length)
  expect(summary.faulty).toBe(records.filter((record) => (record as { fault?: string }).fault !== undefined).length)
  return { records, header: header.toString('latin1'), blankLines: summary.blankLines, clean: summary.clean }
}

/** The same answers from the file as one string of bytes (latin1: a character per byte), by searching for what ends a field. */
function oracle(file: Buffer, expectedFields: number): Scanned {
  const text = file.toString('latin1')
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length
  const found: Extract<Scanned, { records: unknown }> = { records: [], header: '', blankLines: 0, clean: true }
  const lineEnds = new Set<string>()
  let at = text.startsWith('\xef\xbb\xbf') ? 3 : 0
  if (at === text.length) return { refused: 'the file is empty, not even a header line is there' }
  for (let first = true; at < text.length; first = false) {
    const start = at
    const record = oracleRecord(text, at)
    if (record === undefined) {
      return { refused: `a quote opened in the record that begins in line ${lineAt(start)} is never closed` }
    }
    at = record.next
    if (record.lineEnd !== '') lineEnds.add(record.lineEnd)
    const bytes = text.slice(start, record.end)
    const content = bytes.includes('\0') ? 'NUL byte' : isUtf8(bytes) ? undefined : 'invalid UTF-8'
    if (first) {
      const fault = record.fault ?? content
      if (fault !== undefined) return { refused: `its header cannot be read (${fault})` }
      found.header = bytes
    } else if (bytes === '' && expectedFields > 1) {
      found.blankLines++
    } else {
      const missing = record.fields.length < expectedFields ? 'too few fields' : undefined
      const extra = record.fields.length > expectedFields ? 'too many fields' : undefined
      const fault = record.fault ?? missing ?? extra ?? content
      found.records.push({ number: found.records.length + 1, line: lineAt(start), byteOffset: start, bytes, fault })
      found.clean &&= fault === undefined
    }
  }
  found.clean &&= found.blankLines === 0 && lineEnds.size < 2
  return found
}

/** The record that begins at `at`; undefined when a quote is left open. */
function oracleRecord(text: string, at: number) {
  const fields: string[] = []
  let fault: string | undefined
  for (;;) {
    let value = ''
    const quoted = text[at] === '"'
    if (quoted) {
      const match = /"((?:[^"]|"")*)"(?!")/y
      match.lastIndex = at
      const [all, inside = ''] = match.exec(text) ?? []
      if (all === undefined) return undefined
      value = inside.replaceAll('""', '"')
      at += all.length
    }
    const [rest = ''] = /^[^,\n]*/.exec(text.slice(at)) ?? []
    const delimiter = text[at + rest.length]
    const crlf = delimiter === '\n' && rest.endsWith('\r')
    const plain = crlf ? rest.slice(0, -1) : rest
    const wrong = /["\r]/.exec(plain)?.[0]
    if (quoted && plain !== '') fault ??= plain.startsWith('\r') ? 'bare carriage return' : 'text after quote'
    else if (!quoted && wrong !== undefined) fault ??= wrong === '"' ? 'bare quote' : 'bare carriage return'
    fields.push(value + plain)
    at += rest.length + 1
    if (delimiter === ',') continue
    const end = at - 1 - (crlf ? 1 : 0)
    return { fields, fault, end, next: at, lineEnd: delimiter === undefined ? '' : crlf ? '\r\n' : '\n' }
  }
}

function isUtf8(latin1: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'))
    return true
  } catch {
    return false
  }
}

/** The file in chunks of the given sizes, over and over. */
function cut(file: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, n = 0; at < file.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    chunks.push(file.subarray(at, at + size))
    at += size
  }
  return chunks
}

const BOM = '\ufeff'
const inputs: readonly [what: string, text: string | Buffer, fields?: number][] = [
  ['LF', 'a,b\n1,2\n3,4\n'],
  ['CRLF', 'a,b\r\n1,2\r\n3,4\r\n'],
  ['mixed line ends', 'a,b\n1,2\r\n3,4\n'],
  ['no final newline', 'a,b\n1,2'],
  ['header only', 'a,b\n'],
  ['header only, no newline', 'a,b'],
  ['an empty file', ''],
  ['nothing but a byte order mark', BOM],
  ['a byte order mark', `${BOM}a,b\n1,2\n`],
  ['a byte order mark before a quoted header', `${BOM}"a\n",b\n1,2\n`],
  ['half a byte order mark', Buffer.from([0xef, 0xbb])],
  ['a byte order mark in the middle', `a,b\n${BOM}1,2\n`],
  ['blank lines between, CRLF and LF', 'a,b\n\n1,2\n\r\n\n3,4\n\n'],
  ['blank lines of a table with one column', 'a\n\n1\n\n', 1],
  ['commas, quotes and line ends inside quotes', 'a,b\n"1,\n2","say ""hi"""\n"\r\n",""\n3,4\n'],
  ['a quoted line end before a fault', 'a,b\n"\n\n",1\nx\n'],
  ['a lone carriage return', 'a,b\n1,\r2\n3,4\n'],
  ['a lone carriage return before a quote', 'a,b\n1,\r"x\ny"\n3,4\n'],
  ['a lone carriage return at the end', 'a,b\n1,2\r'],
  ['a lone carriage return after a quote', 'a,b\n"1"\r"x,2\n3,4\n'],
  ['nothing but lone carriage returns', 'a,b\r1,2\r3,4\r'],
  ['a NUL byte', 'a,b\n1,\0\n3,4\n'],
  ['invalid UTF-8', Buffer.from('a,b\n1,\xff\n3,\xc3\n', 'latin1')],
  ['UTF-8 of two, three and four bytes', 'a,b\né,€\n😀,x\n'],
  ['a bare quote', 'a,b\n1,2"3\n4,5\n'],
  ['text after a quote', 'a,b\n"1"x,2\n"1" ,2\n3,4\n'],
  ['too few and too many fields', 'a,b\n1\n1,2,3\n4,5\n'],
  ['a quote that is never closed', 'a,b\n1,2\n3,"4\n5,6\n'],
  ['a quote that is never closed in the header', 'a,"b\n1,2\n'],
  ['a header with text after a quote', '"a"x,b\n1,2\n'],
]

describe.each(inputs)('%s', (_what, text, fields = 2) => {
  const file = Buffer.from(text)

  test.each([1, 2, 3, 5, 1000])('is read alike in chunks of %i bytes', async (size) => {
    expect(await scan(cut(file, [size]), fields)).toEqual(oracle(file, fields))
  })
})

const pieces = ['a', '1', ',', ',', '\n', '\n', '\r\n', '\r', '"', '""', '"x"', '"\n"', ',"', '",', 'é', '😀', '\0']
const piece = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...pieces).map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.constantFrom(0x80, 0xc3, 0xff, 0xef, 0xbb).map((byte) => Buffer.from([byte])) },
)
const file = fc
  .tuple(fc.constantFrom('', 'a,b\n', 'a,b\r\n', BOM, `${BOM}a,b\n`), fc.array(piece, { maxLength: 30 }))
  .map(([beginning, parts]) => Buffer.concat([Buffer.from(beginning), ...parts]))
const chunkSizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })

test('any bytes in any chunks give the records, faults and places that the second reader finds', async () => {
  await fc.assert(
    fc.asyncProperty(file, chunkSizes, fc.integer({ min: 1, max: 3 }), async (bytes, sizes, fields) => {
      expect(await scan(cut(bytes, sizes), fields)).toEqual(oracle(bytes, fields))
    }),
    { numRuns: 1000 },
  )
})
