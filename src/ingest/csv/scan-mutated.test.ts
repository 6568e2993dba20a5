// What survives in a table that was written right: all of it, and with one wrong byte all that is certain (decision 0006).
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FUZZ_RUNS } from '../../../tests/support/csv/fuzz.ts'
import type { OracleRecord } from '../../../tests/support/csv/oracle.ts'
import { cut, scanAll, type Scanned } from '../../../tests/support/csv/scan-all.ts'
import {
  dialects,
  tables,
  texts,
  writeCsv,
  writeOptions,
  type Table,
  type WriteOptions,
  type Written,
} from '../../../tests/support/csv/writer.ts'
import { DEFAULT_DIALECT, type Dialect } from '../../pipeline/dialect.ts'
import { decode, eachField } from './scan.ts'

interface Case {
  readonly dialect: Dialect
  readonly table: Table
  readonly options: WriteOptions
}

/** Written tables, of all texts that `allowed` does not leave out. */
function cases(rows: number, allowed: (text: string, dialect: Dialect) => boolean = () => true): fc.Arbitrary<Case> {
  return fc.tuple(dialects(), fc.integer({ min: 1, max: 4 })).chain(([dialect, columns]) =>
    fc.record({
      dialect: fc.constant(dialect),
      table: tables(
        texts(dialect).filter((text) => allowed(text, dialect)),
        columns,
        { minLength: 1, maxLength: rows },
      ),
      options: writeOptions,
    }),
  )
}

const columnsOf = (table: Table) => table[0]?.length ?? 1

function write({ dialect, table, options }: Case): Written {
  const header = Array.from({ length: columnsOf(table) }, (_, index) => `h${index}`)
  return writeCsv(dialect.header ? header : undefined, table, dialect, options)
}

function scan(bytes: Buffer, { dialect, table }: Case, sizes: readonly number[] = [bytes.length]): Scanned {
  const scanned = scanAll(cut(bytes, sizes), dialect, columnsOf(table))
  if ('refused' in scanned) throw new Error(`refused: ${scanned.refused}`)
  return scanned
}

test('what is written in any dialect is read again, texts as texts and NULL as NULL', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(cases(12), sizes, (written, sizes) => {
      const { dialect, table } = written
      const { bytes, ranges } = write(written)
      const { records, summary } = scan(bytes, written, sizes)

      const read = records.map(({ fields }) =>
        fields?.map(({ text, quoted }) => {
          const field = decode(Buffer.from(text, 'latin1'), dialect)
          return !quoted && dialect.nulls.includes(field) ? null : field
        }),
      )
      expect(read).toEqual(table)
      expect(records.map(({ byteOffset }) => byteOffset)).toEqual(ranges.map(({ start }) => start))
      expect(summary).toEqual({ records: table.length, faulty: 0, blankLines: 0, commentLines: 0 })
    }),
    { numRuns: FUZZ_RUNS },
  )
})

/** The bytes `[at, at + removed)` replaced. */
interface Mutation {
  readonly at: number
  readonly removed: 0 | 1
  readonly inserted: Buffer
}

const mutated = (bytes: Buffer, { at, removed, inserted }: Mutation) =>
  Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)])

/** One byte of the table deleted, inserted or changed. */
function mutations({ bytes, ranges }: Written, dialect: Dialect): fc.Arbitrary<Mutation> {
  const first = ranges[0]?.start ?? 0
  const special = [
    dialect.quote,
    dialect.quote,
    dialect.quote,
    dialect.delimiter,
    dialect.comment,
    '\\',
    '\r',
    '\n',
    'x',
  ]
  const nasty = [...special.map((text) => text?.charCodeAt(0) ?? 0x22), 0, 0x81, 0xc3]
  const anywhere = fc.integer({ min: first, max: Math.max(first, bytes.length - 1) })
  const quotes = [...bytes.keys()].filter((at) => at >= first && bytes[at] === dialect.quote?.charCodeAt(0))
  const at = quotes.length === 0 ? anywhere : fc.oneof(anywhere, fc.constantFrom(...quotes))
  const inserted = fc.constantFrom(...nasty).map((byte) => Buffer.from([byte]))
  return fc.oneof(
    fc.record({ at, removed: fc.constant(1 as const), inserted: fc.constant(Buffer.alloc(0)) }),
    fc.record({ at, removed: fc.constantFrom(0 as const, 1 as const), inserted }),
  )
}

/** The records that are loaded although the right file has no such record there; those that touch the wrong byte's record left out. */
function strangers(written: Written, mutation: Mutation, records: readonly OracleRecord[]): OracleRecord[] {
  const { at, removed, inserted } = mutation
  const { bytes, ranges } = written
  const shift = inserted.length - removed
  const hit = ranges.findIndex(({ next }) => at < next)
  // A wrong line end concerns both records that it parts.
  const isLineEnd = at >= (ranges[hit]?.end ?? 0)
  const from = ranges[hit]?.start ?? bytes.length
  const to = (isLineEnd ? ranges[hit + 1] : ranges[hit])?.next ?? bytes.length
  const known = new Set(ranges.map(({ start, end }) => `${start}:${bytes.toString('latin1', start, end)}`))
  return records.filter(({ byteOffset, text, fault }) => {
    if (fault !== undefined) return false
    const end = byteOffset + text.length
    if (end >= from && byteOffset < to + shift) return false
    return !known.has(`${byteOffset < at ? byteOffset : byteOffset - shift}:${text}`)
  })
}

/**
 * A text whose quotes can only be what they are: it neither begins nor ends with a delimiter or line end (or with
 * quotes and then one of these), so that no opening quote stands as a closing one may, nor the other way round.
 */
const isTight = (text: string, { delimiter, quote }: Dialect) => {
  const content = text.split(quote ?? '\0').filter((part) => part !== '')
  const edges = [delimiter, '\r', '\n']
  return !edges.some((edge) => content.at(0)?.startsWith(edge) === true || content.at(-1)?.endsWith(edge) === true)
}

const tightCases = cases(14, isTight)
const mutatedCases = tightCases.chain((written) =>
  fc.record({ written: fc.constant(written), mutation: mutations(write(written), written.dialect) }),
)

test('with one wrong byte, every loaded record stands in the right file or touches the wrong byte’s record, where texts are tight', () => {
  fc.assert(
    fc.property(mutatedCases, ({ written, mutation }) => {
      const right = write(written)
      const { records, summary } = scan(mutated(right.bytes, mutation), written)

      expect(strangers(right, mutation, records)).toEqual([])
      const faulty = records.filter(({ fault }) => fault !== undefined).length
      expect(summary).toMatchObject({ records: records.length, faulty })
    }),
    { numRuns: FUZZ_RUNS },
  )
})

/** Where fields end with a quote, and the record each belongs to. */
function closingQuotes({ bytes, ranges }: Written, dialect: Dialect) {
  return ranges.flatMap((range) => {
    const quotes: { at: number; range: typeof range }[] = []
    eachField(bytes, range.start, range.end, dialect, (_from, to, quoted) => {
      if (quoted) quotes.push({ at: to, range })
    })
    return quotes
  })
}

test('with a closing quote lost, nothing of its record is loaded, and nothing else that is not in the right file, where texts are tight', () => {
  const lost = tightCases
    .map((written) => ({ written, quotes: closingQuotes(write(written), written.dialect) }))
    .filter(({ quotes }) => quotes.length > 0)
    .chain(({ written, quotes }) =>
      fc.record({
        written: fc.constant(written),
        quote: fc.constantFrom(...quotes),
        instead: fc.constantFrom('', 'x', '\\', '\n', written.dialect.delimiter),
      }),
    )
  fc.assert(
    fc.property(lost, ({ written, quote: { at, range }, instead }) => {
      const right = write(written)
      const mutation: Mutation = { at, removed: 1, inserted: Buffer.from(instead) }
      const { records } = scan(mutated(right.bytes, mutation), written)

      const end = range.end - 1 + instead.length
      const touching = records.filter(
        ({ byteOffset, text, fault }) =>
          fault === undefined && byteOffset <= end && byteOffset + text.length >= range.start,
      )
      expect(touching).toEqual([])
      expect(strangers(right, mutation, records)).toEqual([])
    }),
    { numRuns: FUZZ_RUNS },
  )
})

test('a known limit: behind a lost closing quote, a text that begins with a line end is taken for table', () => {
  const right = '1,"a"\n"\nq,w\n",3\n4,5\n'
  const { records } = scan(Buffer.from(right.replace('a"', 'a')), {
    dialect: { ...DEFAULT_DIALECT, header: false },
    table: [['', '']],
    options: { quoteAll: false, lineEnds: 'lf', finalLineEnd: true, byteOrderMark: false },
  })

  expect(records.map(({ text, fault }) => [text, fault])).toEqual([
    ['1,"a\n"', undefined],
    ['q,w', undefined],
    ['",3', 'unclosed quote'],
    ['4,5', 'after broken quote'],
  ])
})
