// The canonical form of a file: what another reader, who knows only RFC 4180, finds in it is the table that was written.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FUZZ_RUNS } from '../../../tests/support/csv/fuzz.ts'
import { oracle } from '../../../tests/support/csv/oracle.ts'
import { dialects, tables, texts, writeCsv, writeOptions } from '../../../tests/support/csv/writer.ts'
import { DEFAULT_DIALECT, type Dialect } from '../../pipeline/dialect.ts'
import { CanonicalWriter } from './canonical.ts'
import { CsvScanner } from './scan.ts'

const COLUMNS = 3
const CANONICAL: Dialect = { ...DEFAULT_DIALECT, header: false }

/** `prefix` is what stands before a record's own fields. */
function canonicalOf(bytes: Buffer, dialect: Dialect, prefix?: (number: number) => (number | string | null)[]): Buffer {
  const pieces: Buffer[] = []
  const writer = new CanonicalWriter(dialect, (piece) => pieces.push(Buffer.from(piece)))
  const scanner = new CsvScanner(dialect, COLUMNS, {
    header: () => COLUMNS,
    sound(buffer, start, end, number) {
      if (prefix === undefined) return writer.row(buffer, start, end, number)
      writer.prefix(prefix(number))
      writer.fields(buffer, start, end)
    },
    faulty: (_bytes, fault) => {
      throw new Error(`the file is sound, but: ${fault}`)
    },
  })
  scanner.push(bytes)
  scanner.end()
  writer.end()
  return Buffer.concat(pieces)
}

/** Fields as an RFC 4180 reader has them: an empty unquoted one is NULL. */
function readBack(canonical: Buffer, columns: number): (string | null)[][] {
  const reading = oracle(canonical, CANONICAL, columns)
  if ('refused' in reading) throw new Error(reading.refused)
  return reading.records.map(({ fields, fault }) => {
    if (fields === undefined) throw new Error(`a record of the canonical form is faulty: ${fault}`)
    return fields.map(({ text, quoted }) => (text === '' && !quoted ? null : Buffer.from(text, 'latin1').toString()))
  })
}

const cases = dialects().chain((dialect) =>
  fc.record({
    dialect: fc.constant(dialect),
    table: tables(texts(dialect), COLUMNS, { minLength: 1, maxLength: 8 }),
    options: writeOptions,
  }),
)

test('holds the table of any dialect, each record behind its number', () => {
  fc.assert(
    fc.property(cases, ({ dialect, table, options }) => {
      const { bytes } = writeCsv(dialect.header ? ['a', 'b', 'c'] : undefined, table, dialect, options)

      const found = readBack(canonicalOf(bytes, dialect), COLUMNS + 1)

      expect(found).toEqual(table.map((record, index) => [String(index + 1), ...record]))
    }),
    { numRuns: FUZZ_RUNS },
  )
})

test('keeps whatever text stands before the fields', () => {
  fc.assert(
    fc.property(cases, fc.string(), ({ dialect, table, options }, text) => {
      const { bytes } = writeCsv(dialect.header ? ['a', 'b', 'c'] : undefined, table, dialect, options)
      const canonical = canonicalOf(bytes, dialect, (number) => [number, null, text])

      const found = readBack(canonical, COLUMNS + 3)

      expect(found).toEqual(table.map((record, index) => [String(index + 1), null, text, ...record]))
    }),
    { numRuns: Math.ceil(FUZZ_RUNS / 7) },
  )
})
