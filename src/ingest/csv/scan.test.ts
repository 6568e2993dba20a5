// What the scanner promises of a file, each on the smallest file that shows it; scan-against-oracle.test.ts has the breadth.
import { describe, expect, test } from 'vitest'
import { cut, scanAll, type Scanned } from '../../../tests/support/csv/scan-all.ts'
import { DEFAULT_DIALECT, type Dialect } from '../../pipeline/dialect.ts'
import { CsvScanner } from './scan.ts'

function attempt(text: string | Buffer, dialect: Partial<Dialect> = {}, fields = 2) {
  return scanAll([Buffer.from(text)], { ...DEFAULT_DIALECT, ...dialect }, fields)
}

function scan(text: string | Buffer, dialect: Partial<Dialect> = {}, fields = 2): Scanned {
  const scanned = attempt(text, dialect, fields)
  if ('refused' in scanned) throw new Error(`refused: ${scanned.refused}`)
  return scanned
}

/** Each record's bytes and fault. */
const outcomes = ({ records }: Scanned) => records.map(({ text, fault }) => [text, fault])
const texts = ({ records }: Scanned) => records.map(({ fields }) => fields?.map(({ text }) => text))
const latin1 = (text: string) => Buffer.from(text, 'latin1')

describe('a fault concerns one record, which has its number, line and byte:', () => {
  test.each<[fault: string, record: string | Buffer, dialect?: Partial<Dialect>]>([
    ['too few fields', '1'],
    ['too many fields', '1,2,3'],
    ['bare quote', '1,2"x'],
    ['text after quote', '1,"2"x'],
    ['text after quote', '1,"2" '],
    ['bad escape', String.raw`1,"\n"`, { escape: 'backslash' }],
    ['bare carriage return', '1,2\rx'],
    ['NUL byte', '1,\0'],
    ['NUL byte', '1,"\0"'],
    ['invalid encoding', latin1('1,\xff')],
    ['invalid encoding', latin1('1,\xc3')],
    ['invalid encoding', latin1('1,\x81'), { encoding: 'windows-1252' }],
    ['invalid encoding', latin1('1,"\x8d"'), { encoding: 'windows-1252' }],
    ['field too long', '1,12345', { maxFieldBytes: 4 }],
    ['record too long', '1234,1234', { maxRecordBytes: 8, maxFieldBytes: 4 }],
    ['record too long', '1234,1234567890', { maxRecordBytes: 8, maxFieldBytes: 4 }],
  ])('%s', (fault, record, dialect) => {
    const bytes = Buffer.from(record)
    const file = Buffer.concat([Buffer.from('a,b\n\n1,2\n'), bytes, Buffer.from('\n3,4\n')])
    const { records, summary } = scan(file, dialect)

    expect(records.map(({ fault, number, line, byteOffset }) => ({ fault, number, line, byteOffset }))).toEqual([
      { fault: undefined, number: 1, line: 3, byteOffset: 5 },
      { fault, number: 2, line: 4, byteOffset: 9 },
      { fault: undefined, number: 3, line: 5, byteOffset: 10 + bytes.length },
    ])
    expect(summary).toEqual({ records: 3, faulty: 1, blankLines: 1, commentLines: 0 })
  })

  test('bare line feed, where lines end with CR', () => {
    expect(outcomes(scan('a,b\r1,2\nx\r3,4\r', { lineEnd: 'cr' }))).toEqual([
      ['1,2\nx', 'bare line feed'],
      ['3,4', undefined],
    ])
  })
})

test('all bytes of Latin-1, and the defined ones of Windows-1252, are characters', () => {
  const bytes = latin1('a,b\n\x80,\xff\n')

  expect(scan(bytes, { encoding: 'latin1' }).summary.faulty).toBe(0)
  expect(scan(bytes, { encoding: 'windows-1252' }).summary.faulty).toBe(0)
})

describe('the whole file is refused', () => {
  test.each<[what: string, text: string | Buffer, reason: RegExp, dialect?: Partial<Dialect>]>([
    ['when it is empty', '', /it is empty, not even a header line/],
    ['when it holds nothing but a byte order mark', '\ufeff', /it is empty/],
    ['when nothing stands behind the skipped lines', 'x\n', /it is empty/, { skip: 1 }],
    ['for a header with a bare quote', 'a",b\n1,2\n', /header in line 1 cannot be read \(bare quote\)/],
    ['for a header with text after a quote', '"a"x,b\n', /\(text after quote\)/],
    ['for a header whose quote is left open', '\n"a,b\n1,2\n', /header in line 2 cannot be read \(unclosed quote\)/],
    ['for a header that is not UTF-8', latin1('a,\xff\n'), /\(invalid encoding\)/],
    ['for a header that does not end', 'a,bcdefghijkl\n1,2\n', /\(record too long\)/, { maxRecordBytes: 4 }],
    ['with advice, where lines end with CR', 'a,b\r1,2\r', /\(bare carriage return\); .* `line_end: cr`/],
  ])('%s', (_what, text, reason, dialect) => {
    expect(attempt(text, dialect)).toEqual({ refused: expect.stringMatching(reason) })
  })

  test('but not one without a header that holds no record', () => {
    expect(scan('', { header: false }).summary).toEqual({ records: 0, faulty: 0, blankLines: 0, commentLines: 0 })
  })
})

describe('a file is read', () => {
  const rows = [
    ['1', '2'],
    ['3', '4'],
  ]
  test.each<[what: string, text: string, dialect?: Partial<Dialect>]>([
    ['with LF', 'a,b\n1,2\n3,4\n'],
    ['with CRLF', 'a,b\r\n1,2\r\n3,4\r\n'],
    ['with both', 'a,b\n1,2\r\n3,4\n'],
    ['with CR alone, where that is declared', 'a,b\r1,2\r3,4\r', { lineEnd: 'cr' }],
    ['without a line end behind the last record', 'a,b\n1,2\n3,4'],
    ['with quotes that need not be', '"a",b\n"1","2"\r\n3,"4"'],
    ['with a byte order mark', '\ufeff"a",b\n1,2\n3,4\n'],
    ['without a header', '1,2\n3,4\n', { header: false }],
    ['behind skipped lines', 'Report\n"of, to\na,b\n1,2\n3,4\n', { skip: 2 }],
    ['with comments, whatever they hold', '# "\na,b\n1,2\n#x"\n3,4\n#', { comment: '#' }],
    ['with another delimiter and quote', "a;'b'\n1;2\n'3';4\n", { delimiter: ';', quote: "'" }],
  ])('%s', (_what, text, dialect) => {
    expect(texts(scan(text, dialect))).toEqual(rows)
  })
})

test('the header is told without quotes and escapes, in its encoding', () => {
  expect(scan('"a ""1""",é\n').header).toEqual(['a "1"', 'é'])
  expect(scan(latin1('"a\\"",\x80\n'), { escape: 'backslash', encoding: 'windows-1252' }).header).toEqual(['a"', '€'])
})

test('a record has its place whatever stood before it', () => {
  const { records } = scan('\ufeffa,b\r\n"é\n\n",1\r\n\r\nx\r\n3,4')

  expect(records.map(({ number, line, byteOffset, fault }) => ({ number, line, byteOffset, fault }))).toEqual([
    { number: 1, line: 2, byteOffset: 8, fault: undefined },
    { number: 2, line: 6, byteOffset: 20, fault: 'too few fields' },
    { number: 3, line: 7, byteOffset: 23, fault: undefined },
  ])
})

test('a blank line is no record, unless the table has a single column', () => {
  expect(scan('a,b\n\n1,2\n\r\n').summary).toMatchObject({ records: 1, blankLines: 2 })
  expect(scan('a\n\n1\n\r\n', {}, 1).summary).toMatchObject({ records: 3, faulty: 0, blankLines: 0 })
})

test('a comment is one at the start of a record only, and is counted', () => {
  const { records, summary } = scan('a,b\n#1\n1,#2\n"x\n#y",3\n', { comment: '#' })

  expect(records.map(({ line, fault }) => [line, fault])).toEqual([
    [3, undefined],
    [4, undefined],
  ])
  expect(summary.commentLines).toBe(1)
})

test(String.raw`a delimiter at the end of a line begins a field more, and \. is a text`, () => {
  expect(outcomes(scan('a,b\n1,2,\n1,\n\\.\n'))).toEqual([
    ['1,2,', 'too many fields'],
    ['1,', undefined],
    ['\\.', 'too few fields'],
  ])
  expect(texts(scan('a\n\\.\n1\n', {}, 1))).toEqual([['\\.'], ['1']])
})

test('a quoted field is told from an unquoted one, so that a text is never NULL', () => {
  expect(scan('a,b\n,""\n').records[0]?.fields).toEqual([
    { text: '', quoted: false },
    { text: '', quoted: true },
  ])
})

describe('what is too long', () => {
  const limits = { maxFieldBytes: 100, maxRecordBytes: 200 }

  test('is cut, passed over up to its line end, and costs no record behind it, in pieces of any size', () => {
    const file = Buffer.from(`a,b\n1,${'x'.repeat(5000)}\n3,4\n`)

    for (const size of [1, 7, 1000, file.length]) {
      const scanned = scanAll(cut(file, [size]), { ...DEFAULT_DIALECT, ...limits }, 2)
      if ('refused' in scanned) throw new Error(scanned.refused)
      expect(outcomes(scanned)).toEqual([
        [`1,${'x'.repeat(200)}`, 'record too long'],
        ['3,4', undefined],
      ])
      expect(scanned.records[1]).toMatchObject({ line: 3, byteOffset: 5007 })
    }
  })

  test.each([
    ['a record', ''],
    ['a comment', '#'],
    ['a text whose quote is left open', '1,"'],
  ])('%s is not kept in memory', (_what, beginning) => {
    let rejectedBytes = 0
    let sound = 0
    const dialect = { ...DEFAULT_DIALECT, ...limits, comment: '#' }
    const scanner = new CsvScanner(dialect, 2, {
      header: () => 2,
      sound: () => sound++,
      faulty: (bytes) => (rejectedBytes += bytes.length),
    })
    scanner.push(Buffer.from(`a,b\n${beginning}`))
    const piece = Buffer.alloc(1024 * 1024, 'x')
    const before = process.memoryUsage().arrayBuffers
    for (let n = 0; n < 100; n++) scanner.push(piece)
    const grown = process.memoryUsage().arrayBuffers - before
    scanner.push(Buffer.from('\n3,4\n'))
    scanner.end()

    expect(grown).toBeLessThan(20 * 1024 * 1024)
    expect(rejectedBytes).toBeLessThan(1000)
    expect(sound).toBe(1)
  })
})

describe('a broken quote', () => {
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `${from + index},x\n`).join('')
  const sound = (scanned: Scanned) => scanned.records.filter(({ fault }) => fault === undefined)
  const faults = (scanned: Scanned) => scanned.records.flatMap(({ fault }) => (fault === undefined ? [] : [fault]))

  test('left open before a long file without quotes costs its line and the 16 that show that it is stray', () => {
    const scanned = scan(`a,b\n0,"x\n${lines(1, 1000)}`)

    expect(faults(scanned)).toEqual(['unclosed quote', ...Array<string>(16).fill('after broken quote')])
    expect(sound(scanned)).toHaveLength(984)
    expect(sound(scanned)[0]).toMatchObject({ number: 18, line: 19, text: '17,x' })
  })

  test('left open in a small file costs all that stands behind it, line by line', () => {
    expect(outcomes(scan('a,b\n1,2\n3,"4\n\n5,6\n7,8'))).toEqual([
      ['1,2', undefined],
      ['3,"4', 'unclosed quote'],
      ['5,6', 'after broken quote'],
      ['7,8', 'after broken quote'],
    ])
  })

  test('left open before another quoted text costs the lines up to the end of that', () => {
    expect(outcomes(scan('a,b\n1,"2\n3,4\n5,"six"\n7,8\n'))).toEqual([
      ['1,"2', 'unclosed quote'],
      ['3,4', 'after broken quote'],
      ['5,"six"', 'after broken quote'],
      ['7,8', undefined],
    ])
  })

  test('that is a bare inch mark costs its line, where no other quote follows or the next shows that it is one', () => {
    expect(outcomes(scan('a,b\n1,5"\n3,4\n5,6'))).toEqual([
      ['1,5"', 'bare quote'],
      ['3,4', undefined],
      ['5,6', undefined],
    ])
    expect(outcomes(scan('a,b\n1,5"\n3,4\n5,"six"\n'))).toEqual([
      ['1,5"', 'bare quote'],
      ['3,4', undefined],
      ['5,"six"', undefined],
    ])
  })

  test('that is one of two inch marks puts the lines between them in doubt', () => {
    expect(outcomes(scan('a,b\n5",1\n3,4\n6",7\n8,9\n"x",1\n'))).toEqual([
      ['5",1', 'bare quote'],
      ['3,4', 'after broken quote'],
      ['6",7', 'after broken quote'],
      ['8,9', undefined],
      ['"x",1', undefined],
    ])
  })

  test('with two more in the same line costs no more than the line', () => {
    expect(outcomes(scan('a,b\n1"2,"3"4\n5,6\n'))).toEqual([
      ['1"2,"3"4', 'bare quote'],
      ['5,6', undefined],
    ])
  })

  test('that ended a text early costs the rest of the text', () => {
    expect(outcomes(scan('a,b\n1,"say "hi""\n2,3\nbye"\n4,5\n'))).toEqual([
      ['1,"say "hi""', 'text after quote'],
      ['2,3', 'after broken quote'],
      ['bye"', 'after broken quote'],
      ['4,5', undefined],
    ])
  })

  test('is judged by what follows the next one, also where a piece ends between', () => {
    const file = Buffer.from('a,b\nx"\n",b"c,1\n3,4\n')

    for (let size = 1; size <= file.length; size++) {
      const scanned = scanAll(cut(file, [size]), DEFAULT_DIALECT, 2)
      expect('refused' in scanned ? scanned : outcomes(scanned)).toEqual([
        ['x"', 'bare quote'],
        ['",b"c,1', 'after broken quote'],
        ['3,4', undefined],
      ])
    }
  })

  test('is not mistaken for one in a comment', () => {
    const scanned = scan('a,b\n1,5"\n# 7" wide\n3,4\n', { comment: '#' })

    expect(outcomes(scanned)).toEqual([
      ['1,5"', 'bare quote'],
      ['3,4', undefined],
    ])
    expect(scanned.summary.commentLines).toBe(1)
  })
})
