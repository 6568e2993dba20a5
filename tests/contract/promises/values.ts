// One table of values: whatever a file may hold comes back from every warehouse as the same value.
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { columnTypeText, parseColumnType } from '../../../src/pipeline/column-type.ts'
import type { PromiseOf, WarehouseHarness } from '../harness.ts'
import type { PlainValue } from '../../support/rows/plain.ts'
import { lists } from './look.ts'

/** Type, text in the file, and the value; without one, it is the text. */
type Case = readonly [type: string, text: string, value?: PlainValue]

const MEGABYTE = 'Ünïcode 𝄞 '.repeat(70_000)

const CASES: readonly Case[] = [
  ['smallint', '-32768', -32768],
  ['smallint', '+7', 7],
  ['int', '2147483647', 2147483647],
  ['int', '007', 7],
  ['bigint', '9007199254740993', 9007199254740993n],
  ['bigint', '-9223372036854775808', -9223372036854775808n],
  ['bigint', '9223372036854775807', 9223372036854775807n],
  ['real', '0.1', Math.fround(0.1)],
  ['real', '16777217', 16777216],
  ['real', '-3.4028235e38', Math.fround(-3.4028235e38)],
  ['real', '1e-45', Math.fround(1e-45)],
  ['real', '-0', -0],
  ['double', '0.1', 0.1],
  ['double', '0.30000000000000004', 0.30000000000000004],
  ['double', '1.7976931348623157e308', Number.MAX_VALUE],
  ['double', '5e-324', Number.MIN_VALUE],
  ['double', '-0.0', -0],
  ['double', '1e15', 1e15],
  ['double', '.5', 0.5],
  ['numeric(38,9)', '99999999999999999999999999999.999999999'],
  ['numeric(38,9)', '-0.000000001'],
  ['numeric', '1.10', '1.1'],
  ['numeric(10,2)', '-99999999.99'],
  ['numeric(10,2)', '0.05'],
  ['numeric(10,2)', '1.500', '1.5'],
  ['numeric(10,2)', '-0', '0'],
  ['numeric(18,0)', '999999999999999999'],
  ['boolean', 'true', true],
  ['boolean', 'NO', false],
  ['date', '0001-01-01'],
  ['date', '9999-12-31'],
  ['date', '1900-02-28'],
  ['date', '2024-02-29'],
  ['timestamp', '0001-01-01 00:00:00'],
  ['timestamp', '9999-12-31 23:59:59.999999'],
  ['timestamp', '2026-01-05T10:00:00.123456Z', '2026-01-05 10:00:00.123456'],
  ['timestamp', '2026-01-05 10:00:00.5+05:30', '2026-01-05 04:30:00.5'],
  ['timestamp', '1969-12-31 23:59:59.999999'],
  ['timestamptz', '0001-01-01 00:00:00'],
  ['timestamptz', '9999-12-31 23:59:59.999999'],
  ['timestamptz', '2026-01-05 10:00:00.000001+02', '2026-01-05 08:00:00.000001'],
  ['timestamptz', '2026-03-29T02:30:00Z', '2026-03-29 02:30:00'],
  ['time', '00:00:00'],
  ['time', '23:59:59.999999'],
  ['time', '12:34:56.5000', '12:34:56.5'],
  ['json', '{}'],
  ['json', 'null'],
  ['json', '"text"'],
  ['json', '{"b":[1,{"c":null}],"a":{"é 𝄞":"\\u0041\\n\\"\\\\","x":1.5}}'],
  ['json', ' [ true , -0.25 , "" ] '],
  ['string', 'plain'],
  ['string', ''],
  ['string', 'NULL'],
  ['string', String.raw`\N`],
  ['string', String.raw`\.`],
  ['string', String.raw`a${'\n'}\.${'\n'}b`],
  ['string', String.raw`C:\new\table\x41\u0041`],
  ['string', '\t'],
  ['string', 'two\nlines'],
  ['string', 'two\r\nlines\r'],
  ['string', '\n'],
  ['string', '"quoted", \'single\' and `back`'],
  ['string', '"'],
  ['string', '  blanks  '],
  ['string', '\u00a0\u2003\ufeffspaces\u200b'],
  ['string', 'e\u0301 is not é'],
  ['string', '𝄞 𐍈 👩‍👩‍👧'],
  ['string', 'שלום \u202eمرحبا\u202c'],
  ['string', '$1 :name @p ? %s {{ jinja }} -- ; DROP TABLE raw.logs'],
  ['string', '\u0001\u001f\u007f\u0085\u2028'],
  ['string', MEGABYTE],
]

/** More digits than BigQuery's NUMERIC has before the point or behind it. */
const LONG_NUMBERS: readonly Case[] = [
  ['numeric(38,0)', '-99999999999999999999999999999999999999'],
  ['numeric(38,20)', '999999999999999999.99999999999999999999'],
  ['numeric(38,38)', '0.00000000000000000000000000000000000001'],
]

/** A column for each. */
const typesOf = (cases: readonly Case[]) => Object.fromEntries(cases.map(([type], index) => [`c${index}`, type]))
/** All quoted: only an unquoted empty field is NULL. */
const recordOf = (cases: readonly Case[]) => cases.map(([, text]) => `"${text.replaceAll('"', '""')}"`).join(',')
const TYPES = typesOf(CASES)
const RECORD = recordOf(CASES)

export function values(promise: PromiseOf): void {
  promise('of every type come back as they were, and so do those of the next load', async (warehouse) => {
    await warehouse.commit([RECORD, CASES.map(() => '').join(',')], { types: TYPES })
    await warehouse.commit([RECORD], { types: TYPES, loadId: 'B', batchId: 'day 2' })

    const [first, empty, next] = await stored(warehouse)
    expect(named(CASES.map(([type], index) => comparable(type, first?.[index] ?? null)))).toEqual(
      named(CASES.map(([type, text, value]) => comparable(type, value ?? text))),
    )
    expect(empty).toEqual(CASES.map(() => null))
    expect(next).toEqual(first)
  })

  promise('of numbers with 38 digits come back to the last digit', async (warehouse) => {
    await warehouse.commit([recordOf(LONG_NUMBERS)], { types: typesOf(LONG_NUMBERS) })

    expect(await lists(warehouse, 'SELECT c0, c1, c2 FROM raw.logs')).toEqual([LONG_NUMBERS.map(([, text]) => text)])
  })

  promise('come back as their texts where the raw table keeps those', async (warehouse) => {
    await warehouse.commit([RECORD, CASES.map(() => '').join(',')], { types: TYPES, rules: { rawAsText: true } })

    const [first, second] = await stored(warehouse)
    expect(named(CASES.map((_, index) => short(first?.[index] ?? null)))).toEqual(
      named(CASES.map(([, text]) => short(text))),
    )
    expect(second).toEqual(CASES.map(() => null))
  })

  promise('of a table with one column come back line by line', async (warehouse) => {
    const lines = [String.raw`\.`, '""', 'a', String.raw`\N`, '"\n"', "''"]
    await warehouse.commit(lines, { types: { note: 'text' } })

    expect(await lists(warehouse, 'SELECT note FROM raw.logs ORDER BY _source_record')).toEqual(
      [String.raw`\.`, '', 'a', String.raw`\N`, '\n', "''"].map((text) => [text]),
    )
  })
}

async function stored(warehouse: WarehouseHarness): Promise<PlainValue[][]> {
  return await lists(
    warehouse,
    `SELECT ${Object.keys(TYPES).join(', ')} FROM raw.logs ORDER BY _load_id, _source_record`,
  )
}

/** By what they are, so that a difference says where it is. */
function named(list: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    list.map((value, index) => [`${index} ${CASES[index]?.[0]} ${String(short(CASES[index]?.[1] ?? null))}`, value]),
  )
}

/**
 * What may differ between warehouses in the value of a type, and only that: a warehouse without single precision (BigQuery)
 * keeps a real as the double next to it; one that parses JSON (Postgres's jsonb, BigQuery) keeps neither its blanks nor the
 * order of its keys.
 */
function comparable(type: string, value: PlainValue): unknown {
  const parsed = parseColumnType(type)
  if (parsed === undefined) throw new Error(`unknown type ${type}`)
  if (columnTypeText(parsed) === 'real' && typeof value === 'number') return Math.fround(value)
  if (parsed.kind === 'json') return { json: JSON.parse(String(value)) as unknown }
  return short(value)
}

function short(value: PlainValue): PlainValue {
  if (typeof value !== 'string' || value.length < 1000) return value
  return `${value.length} characters, ${createHash('sha256').update(value).digest('hex')}`
}
