// BigQuery's types and literals.
import { describe, expect, test } from 'vitest'
import { quoteName, quoteText, withLiterals, withParameters } from './dialect.ts'
import { rawType, sameSpelling, typeText } from './types.ts'

test.each([
  ['VARCHAR', 'STRING'],
  ['JSON', 'STRING'],
  ['SMALLINT', 'INT64'],
  ['BIGINT', 'INT64'],
  ['REAL', 'FLOAT64'],
  ['BOOLEAN', 'BOOL'],
  ['TIMESTAMP', 'TIMESTAMP'],
  ['TIMESTAMPTZ', 'TIMESTAMP'],
  ['DECIMAL(10,2)', 'NUMERIC'],
  ['DECIMAL(38,9)', 'NUMERIC'],
  ['DECIMAL(29,0)', 'NUMERIC'],
  ['DECIMAL(30,0)', 'BIGNUMERIC'],
  ['DECIMAL(20,10)', 'BIGNUMERIC'],
  ['DECIMAL(38,38)', 'BIGNUMERIC'],
])('a raw column of %s is %s', (duckdbType, expected) => {
  expect(rawType(duckdbType)).toBe(expected)
})

test.each([
  [{ type: 'INTEGER' }, 'INT64'],
  [{ type: 'FLOAT', mode: 'REQUIRED' }, 'FLOAT64'],
  [{ type: 'NUMERIC', precision: '10', scale: '2' }, 'NUMERIC(10, 2)'],
  [{ type: 'BIGNUMERIC', precision: '40' }, 'BIGNUMERIC(40)'],
  [{ type: 'STRING', maxLength: '5' }, 'STRING(5)'],
  [{ type: 'TIMESTAMP', mode: 'REPEATED' }, 'ARRAY<TIMESTAMP>'],
  [
    {
      type: 'RECORD',
      mode: 'REPEATED',
      fields: [
        { name: 'a', type: 'INTEGER' },
        { name: 'b', type: 'BOOLEAN' },
      ],
    },
    'ARRAY<STRUCT<a INT64, b BOOL>>',
  ],
])('%o is written %s', (field, expected) => {
  expect(typeText(field)).toBe(expected)
})

test.each([
  ['numeric( 10,2 )', 'NUMERIC(10, 2)'],
  ['ARRAY<STRUCT<a INTEGER>>', 'array<struct<A int64>>'],
  ['FLOAT', 'FLOAT64'],
  ['DECIMAL', 'NUMERIC'],
])('%s and %s are one type', (a, b) => {
  expect(sameSpelling(a)).toBe(sameSpelling(b))
})

test('NUMERIC(10, 2) is not NUMERIC: it would round', () => {
  expect(sameSpelling('NUMERIC(10, 2)')).not.toBe(sameSpelling('NUMERIC'))
})

test('names are quoted', () => {
  expect(quoteName('my-project', 'raw', 'order')).toBe('`my-project`.`raw`.`order`')
  expect(quoteName('a`b\\')).toBe('`a\\`b\\\\`')
})

test('a text cannot leave its literal', () => {
  expect(quoteText('it\'s \\ "q" `t`\r\n\t-- /* */')).toBe("'it\\'s \\\\ \"q\" `t`\\r\\n\t-- /* */'")
  expect(quoteText('\\')).toBe("'\\\\'")
  expect(quoteText('\uD800')).toBe("'\uFFFD'")
})

describe('values of a statement', () => {
  const statement = {
    sql: 'INSERT INTO t VALUES (?, ?, ?, CAST(? AS FLOAT64), ?)',
    values: ["a'b?", 7, 12n, 1.5, true],
  }

  test('are parameters by name', () => {
    expect(withParameters(statement)).toEqual({
      sql: 'INSERT INTO t VALUES (@p0, @p1, @p2, CAST(@p3 AS FLOAT64), @p4)',
      parameters: {
        p0: { type: 'STRING', value: "a'b?" },
        p1: { type: 'INT64', value: '7' },
        p2: { type: 'INT64', value: '12' },
        p3: { type: 'FLOAT64', value: '1.5' },
        p4: { type: 'BOOL', value: 'true' },
      },
    })
  })

  test('are literals in a script', () => {
    expect(withLiterals(statement)).toBe("INSERT INTO t VALUES ('a\\'b?', 7, 12, CAST(1.5 AS FLOAT64), TRUE)")
    expect(withLiterals({ sql: 'SELECT ?', values: [null] })).toBe('SELECT NULL')
  })

  test('are as many as there are places for them', () => {
    expect(() => withLiterals({ sql: 'SELECT ?', values: [] })).toThrow('0 values for 1 places')
    expect(() => withParameters({ sql: 'SELECT 1', values: ['a'] })).toThrow('1 values for 0 places')
  })
})
