// Rejects as people read them: the record's text, and the commonest reasons.
import { describe, expect, test } from 'vitest'
import { groupByReason, rawText, type Reject } from './rejects.ts'

describe('the text of a record', () => {
  test.each([
    ['as it stands', Buffer.from('1,"é\n"'), '1,"é\n"'],
    ['with NUL made visible', Buffer.from('a\0b'), 'a\u2400b'],
    ['with bytes that are no UTF-8 made visible', Buffer.from('a\xffb\xc3', 'latin1'), 'a\ufffdb\ufffd'],
    ['whole at 8 KiB', Buffer.alloc(8192, 'x'), 'x'.repeat(8192)],
    ['cut behind 8 KiB', Buffer.alloc(8193, 'x'), 'x'.repeat(8192)],
    ['cut between two characters', Buffer.from(`x${'😀'.repeat(3000)}`), `x${'😀'.repeat(2047)}`],
  ])('is %s', (_how, bytes, text) => {
    expect(rawText(bytes)).toBe(text)
  })
})

test('reasons are counted by code and column, the commonest first, at most ten', () => {
  const reject = (code: string, column: string | null): Reject => ({
    recordNumber: 1,
    line: 2,
    byteOffset: 3,
    code,
    column,
    message: 'x',
    rawText: 'y',
  })
  const many = Array.from({ length: 11 }, (_, index) => reject('not int', `column_${index}`))

  const reasons = groupByReason([
    reject('bare quote', null),
    ...many,
    reject('not int', 'column_7'),
    reject('not date', 'column_7'),
    reject('bare quote', null),
    reject('bare quote', null),
  ])

  expect(reasons).toHaveLength(10)
  expect(reasons.slice(0, 3)).toEqual([
    { code: 'bare quote', column: null, count: 3 },
    { code: 'not int', column: 'column_7', count: 2 },
    { code: 'not int', column: 'column_0', count: 1 },
  ])
  expect(groupByReason([])).toEqual([])
})
