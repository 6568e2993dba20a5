// The scanner against a second, slower reader that was written another way, on any bytes in any pieces.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FUZZ_RUNS } from '../../../tests/support/csv/fuzz.ts'
import { oracle } from '../../../tests/support/csv/oracle.ts'
import { cut, scanAll } from '../../../tests/support/csv/scan-all.ts'
import { dialects } from '../../../tests/support/csv/writer.ts'
import { DEFAULT_DIALECT, type Dialect } from '../../pipeline/dialect.ts'
import { decode } from './scan.ts'

const roomy = { maxFieldBytes: DEFAULT_DIALECT.maxFieldBytes, maxRecordBytes: DEFAULT_DIALECT.maxRecordBytes }
const narrow = fc.record({
  maxFieldBytes: fc.integer({ min: 1, max: 30 }),
  maxRecordBytes: fc.integer({ min: 1, max: 60 }),
})
const anyDialect = dialects(fc.oneof(fc.constant(roomy), narrow))

/** Bytes that look enough like a table to get far, and like nothing at all. */
function files(dialect: Dialect, columns: number): fc.Arbitrary<Buffer> {
  const { delimiter, comment } = dialect
  const quote = dialect.quote ?? '"'
  const lineEnd = dialect.lineEnd === 'lf' ? '\n' : '\r'
  const row = (field: string) => Array<string>(columns).fill(field).join(delimiter) + lineEnd
  const quotedField = quote + 'x' + quote
  const piece = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.constantFrom('a', delimiter, delimiter, quote, quote, lineEnd, lineEnd, '\r', '\n', '\r\n'),
    },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'b',
        ' ',
        '\\',
        `\\${quote}`,
        quote + quote,
        comment ?? '#',
        '\0',
        quotedField,
        '"',
        '1',
      ),
    },
    {
      weight: 6,
      arbitrary: fc.constantFrom(
        row('1'),
        row(quotedField),
        row(''),
        `${quote}${lineEnd}${quote}`,
        `${delimiter}${quote}`,
        `${quote}${delimiter}`,
        `${lineEnd}${quote}`,
        `${quote}${lineEnd}`,
        `${comment ?? '#'} ${quote}${lineEnd}`,
      ),
    },
    { weight: 2, arbitrary: fc.constantFrom(2, 8, 15, 16, 17).map((times) => row('1').repeat(times)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('\xc3', '\xa9', '\xff', '\x81', '\xef', '\xbb', '\xef\xbb\xbf', '\xf0\x9f'),
    },
  )
  const beginning = fc.constantFrom('', row('h'), row('h'), row(quotedField), `\xef\xbb\xbf${row('h')}`, '\xef\xbb')
  return fc
    .tuple(beginning, fc.array(piece, { maxLength: 30 }))
    .map(([first, rest]) => Buffer.from(first + rest.join(''), 'latin1'))
}

const cases = fc
  .tuple(anyDialect, fc.integer({ min: 1, max: 3 }))
  .chain(([dialect, columns]) =>
    fc.record({ dialect: fc.constant(dialect), columns: fc.constant(columns), bytes: files(dialect, columns) }),
  )
const sizes = fc.oneof(fc.constant([1]), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }))

/** What the second reader finds, in the scanner's terms. */
function secondReading(bytes: Buffer, dialect: Dialect, columns: number) {
  const found = oracle(bytes, dialect, columns)
  if ('refused' in found) return found
  const { records, blankLines, commentLines } = found
  const faulty = records.filter(({ fault }) => fault !== undefined).length
  return {
    header: found.header?.map(({ text }) => decode(Buffer.from(text, 'latin1'), dialect)),
    records,
    summary: { records: records.length, faulty, blankLines, commentLines },
  }
}

/** The fault that a refusal names. */
const reasonIn = (refusal: string) => (refusal.startsWith('it is empty') ? 'empty' : /\(([^)]*)\)/.exec(refusal)?.[1])

test('any bytes of any dialect in any pieces give the records, faults and places that the second reader finds', () => {
  fc.assert(
    fc.property(cases, sizes, ({ dialect, columns, bytes }, sizes) => {
      const scanned = scanAll(cut(bytes, sizes), dialect, columns)

      expect('refused' in scanned ? { refused: reasonIn(scanned.refused) } : scanned).toEqual(
        secondReading(bytes, dialect, columns),
      )
    }),
    { numRuns: FUZZ_RUNS },
  )
})

test('the sizes of the pieces change nothing', () => {
  fc.assert(
    fc.property(cases, sizes, ({ dialect, columns, bytes }, sizes) => {
      expect(scanAll(cut(bytes, sizes), dialect, columns)).toEqual(scanAll([bytes], dialect, columns))
    }),
    { numRuns: FUZZ_RUNS },
  )
})
