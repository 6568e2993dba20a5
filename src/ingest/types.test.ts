// Each type takes what it can hold exactly and refuses the rest: nothing is rounded, cut, moved or guessed. On a real DuckDB.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseColumnType } from '../pipeline/column-type.ts'
import { identifier } from '../pipeline/identifier.ts'
import { openEngine, type Engine } from '../platform/duckdb.ts'
import { typeFile } from './typing.ts'

/** Per type: `text → value` as DuckDB prints it, and texts that are none; both as they stand in a CSV file, one per line. */
const TYPES: Readonly<Record<string, { readonly takes: string; readonly refuses: string }>> = {
  smallint: {
    takes: '32767 → 32767 | -32768 → -32768 | 007 → 7 | +5 → 5',
    refuses: '32768 | -32769 | 1.5',
  },
  int: {
    takes: '2147483647 → 2147483647 | -2147483648 → -2147483648 | -0 → 0 | "12" → 12',
    refuses: '2147483648 | -2147483649 | 1.5 | 1.0 | 1e3 | " 1" | 1_000 | "1,000" | 0x10 | １ | - | x',
  },
  bigint: {
    takes: '9223372036854775807 → 9223372036854775807 | -9223372036854775808 → -9223372036854775808',
    refuses: '9223372036854775808 | -9223372036854775809',
  },
  real: { takes: '1.5 → 1.5 | 3.4e38 → 3.4e+38', refuses: '3.5e38 | -1e39 | nan' },
  double: {
    takes: '1.5 → 1.5 | 1. → 1.0 | .5 → 0.5 | -1.5E+3 → -1500.0 | 1e308 → 1e+308 | 12 → 12.0',
    refuses: '1e400 | -1e400 | nan | inf | Infinity | 1e | "1,5" | 1_0 | 0x1p3 | . | e5',
  },
  'numeric(10,2)': {
    takes: '1.5 → 1.50 | 1.500 → 1.50 | .5 → 0.50 | -.50 → -0.50 | 1. → 1.00 | 0012345678.990 → 12345678.99',
    refuses: '1.005 | 1.001 | 123456789 | 1e2 | . | +',
  },
  'numeric(2,2)': { takes: '0.99 → .99 | 0 → .00', refuses: '1 | 1.00 | 0.999' },
  'numeric(5)': { takes: '99999 → 99999 | 99999.0 → 99999', refuses: '99999.5 | 100000' },
  boolean: {
    takes:
      'true → true | T → true | Yes → true | y → true | 1 → true | FALSE → false | f → false | no → false | 0 → false',
    refuses: 'on | off | 2 | " true" | truely | 10',
  },
  date: {
    takes: '2026-01-05 → 2026-01-05 | 2024-02-29 → 2024-02-29',
    refuses:
      '2026-02-29 | 2026-02-30 | 2026-01-05 23:59 | 2026-01-05T00:00:00 | 2026-1-5 | 20260105 | 05.01.2026 | 2026-00-10 | today',
  },
  timestamp: {
    takes: `2026-01-05 10:00:00 → 2026-01-05 10:00:00 | 2026-01-05T10:00:00Z → 2026-01-05 10:00:00
      | 2026-01-05T10:00:00+05 → 2026-01-05 05:00:00 | 2026-01-05T10:00:00+05:30 → 2026-01-05 04:30:00
      | 2026-01-05T23:00:00-0230 → 2026-01-06 01:30:00 | 2026-01-05T00:00:00+14:00 → 2026-01-04 10:00:00
      | 2026-03-29 02:30:00 → 2026-03-29 02:30:00 | 2026-01-05T10:00:00.5 → 2026-01-05 10:00:00.5
      | 2026-01-05T10:00:00.123456Z → 2026-01-05 10:00:00.123456 | 2026-01-05T10:00:00.1234560 → 2026-01-05 10:00:00.123456`,
    refuses: `2026-01-05T10:00:00.1234567 | 2026-01-05T10:00:00. | 2026-01-05 | 2026-01-05T10:00 | 2026-01-05T24:00:00
      | 2026-01-05T23:60:00 | 2026-01-05T23:59:60 | 2026-02-30T10:00:00 | 2026-01-05T10:00:00+99:99
      | 2026-01-05T10:00:00+05:60 | 2026-01-05T10:00:00+5 | 2026-01-05 10:00:00 CET | 2026-01-05 10:00:00 America/New_York`,
  },
  timestamptz: {
    takes: '2026-01-05 10:00:00 → 2026-01-05 10:00:00+00 | 2026-01-05T10:00:00+05:30 → 2026-01-05 04:30:00+00',
    refuses: '2026-01-05T10:00:00.1234567Z | 2026-02-30T10:00:00Z | 2026-01-05 10:00:00 CET',
  },
  time: {
    takes: '10:00:00 → 10:00:00 | 23:59:59.999999 → 23:59:59.999999 | 10:00:00.50 → 10:00:00.5',
    refuses: '24:00:00 | 10:00:00.1234567 | 10:00 | 9:00:00 | 10:00:00Z',
  },
  json: {
    takes: '"{""a"": [1, ""x""]}" → {"a": [1, "x"]} | null → null | 1 → 1',
    refuses: "x | {'a':1} | { | 01",
  },
}

const list = (text: string) => text.split(/\s*\| /)
const pairs = (text: string) => list(text).map((pair) => pair.split(' → ') as [text: string, value: string])

let folder = ''
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-types-'))
  engine = await openEngine({ scratchDir: folder })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true })
})

/** Each text's value, or 'refused', as records of one file; its second column only keeps blank lines apart. */
async function typed(spelling: string, texts: readonly string[]): Promise<unknown[]> {
  const file = path.join(folder, 'values.csv')
  await writeFile(file, `value,number\n${texts.map((text, index) => `${text},${index}\n`).join('')}`)
  const contract = [
    { name: identifier('value'), type: parseColumnType(spelling) ?? { kind: 'string' }, origin: 'pipeline' },
    { name: identifier('number'), type: { kind: 'int', bits: 32 }, origin: 'pipeline' },
  ] as const
  const clean = { path: file, header: ['value', 'number'], numbered: false, records: texts.length }
  const rejects = await typeFile(engine, clean, contract)
  const refused = new Set(rejects.map(({ recordNumber }) => recordNumber))
  const rows = await engine.rows('SELECT value::VARCHAR AS value FROM typed ORDER BY _source_record')
  return rows.map((row, index) => (refused.has(index + 1) ? 'refused' : row['value']))
}

describe.each(Object.entries(TYPES))('%s', (spelling, { takes, refuses }) => {
  test('takes what it can hold as it stands', async () => {
    const [texts, values] = [pairs(takes).map(([text]) => text), pairs(takes).map(([, value]) => value)]

    expect(await typed(spelling, texts)).toEqual(values)
  })

  test('refuses the rest, and the good values behind it stay what they are', async () => {
    const [[good, value] = ['', '']] = pairs(takes)

    const found = await typed(
      spelling,
      list(refuses).flatMap((text) => [text, good]),
    )

    expect(found).toEqual(list(refuses).flatMap(() => ['refused', value]))
  })

  test('takes an empty field for NULL, and refuses the empty text', async () => {
    expect(await typed(spelling, ['', '""', ''])).toEqual([null, 'refused', null])
  })
})

test('a string is kept as it stands, and NULL and the empty text stay apart', async () => {
  const texts = ['007', '" x "', ' x ', '1.50', 'NULL', '\\N', '"a ""b"", c"', '"1\r\n2"', '', '""', '😀']
  const values = ['007', ' x ', ' x ', '1.50', 'NULL', '\\N', 'a "b", c', '1\r\n2', null, '', '😀']

  expect(await typed('string', texts)).toEqual(values)
})
