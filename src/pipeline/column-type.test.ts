// The spellings of three dbt adapters come to one vocabulary of types.
import { expect, test } from 'vitest'
import { columnTypeText, KNOWN_TYPES, parseColumnType } from './column-type.ts'

test.each([
  // Text, as the vocabulary writes types; then the adapters' own spellings.
  ['string', 'string', 'text', 'VARCHAR', 'varchar(40)', 'character varying', 'character varying(256)', 'STRING(10)'],
  ['smallint', 'int2', 'SMALLINT'],
  ['int', 'integer', 'INT4', 'INTEGER'],
  ['bigint', 'int8', 'INT64', 'BIGINT'],
  ['real', 'float4', 'REAL'],
  ['double', 'float', 'float8', 'FLOAT64', 'double precision', 'DOUBLE'],
  ['numeric(38,9)', 'numeric', 'NUMERIC', 'decimal'],
  ['numeric(10,2)', 'NUMERIC(10, 2)', 'decimal(10,2)', 'numeric ( 10 , 2 )', 'BIGNUMERIC(10,2)', '  Decimal(10,2) '],
  ['numeric(5,0)', 'numeric(5)', 'DECIMAL(5)'],
  ['boolean', 'bool', 'BOOL', 'BOOLEAN'],
  ['date', 'DATE'],
  ['timestamp', 'DATETIME', 'timestamp without time zone', 'Timestamp  Without\tTime Zone'],
  ['timestamptz', 'TIMESTAMPTZ', 'TIMESTAMP WITH TIME ZONE'],
  ['time', 'TIME'],
  ['json', 'JSON', 'jsonb'],
])('%s has its spellings', (text, ...spellings) => {
  const all = [text, ...spellings]

  const understood = all.map((spelling) => {
    const type = parseColumnType(spelling)
    return [spelling, type && columnTypeText(type)]
  })
  expect(understood).toEqual(all.map((spelling) => [spelling, text]))
})

test('sizes and zones are kept apart', () => {
  expect(parseColumnType('int2')).toEqual({ kind: 'int', bits: 16 })
  expect(parseColumnType('int8')).toEqual({ kind: 'int', bits: 64 })
  expect(parseColumnType('float4')).toEqual({ kind: 'float', bits: 32 })
  expect(parseColumnType('timestamp')).toEqual({ kind: 'timestamp', zoned: false })
  expect(parseColumnType('timestamptz')).toEqual({ kind: 'timestamp', zoned: true })
})

test.each([
  '',
  'itn',
  'varchar(',
  'varchar(x)',
  'int(4)',
  'numeric()',
  'numeric(0,0)',
  'numeric(39,0)',
  'numeric(5,6)',
  'numeric(10,-2)',
  'numeric(10,2,1)',
  'bytes',
  'array<string>',
  'struct',
  'constructor',
  'date date',
])("'%s' is no type", (spelling) => {
  expect(parseColumnType(spelling)).toBeUndefined()
})

test('the spellings named in messages are all known', () => {
  const samples = KNOWN_TYPES.map((text) => text.replace('(p,s)', '(10,2)').replace('(n)', '(40)'))

  expect(samples.filter((text) => parseColumnType(text) === undefined)).toEqual([])
})
