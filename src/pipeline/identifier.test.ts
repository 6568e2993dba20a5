// Names that every warehouse takes unquoted and in one case.
import { expect, test } from 'vitest'
import { identifier, isIdentifier, parseTableName, tableText } from './identifier.ts'

test.each(['a', '_a', 'viewing_logs', 'x1', 'constructor', 'a'.repeat(63)])("'%s' is a name", (text) => {
  expect(isIdentifier(text)).toBe(true)
  expect(identifier(text)).toBe(text)
})

test.each(['', '1a', 'A', 'viewing-logs', 'a b', 'a.b', 'ä', 'a"', 'a\n', 'a;drop table x', 'a'.repeat(64)])(
  "'%s' is no name",
  (text) => {
    expect(isIdentifier(text)).toBe(false)
    expect(() => identifier(text)).toThrow(`'${text}' is not a name`)
  },
)

test('schema.table is a table name, and comes out as it went in', () => {
  const name = parseTableName('raw.viewing_logs')

  expect(name).toEqual({ schema: 'raw', table: 'viewing_logs' })
  expect(name && tableText(name)).toBe('raw.viewing_logs')
})

test.each(['raw', 'raw.', '.logs', 'db.raw.logs', 'Raw.logs', 'raw.logs ', '"raw".logs', ''])(
  "'%s' is no table name",
  (text) => {
    expect(parseTableName(text)).toBeUndefined()
  },
)
