// Python's literals; every expected value is what ast.literal_eval of Python 3.11 gives, in JavaScript's terms.
import { expect, test } from 'vitest'
import { pythonLiteral } from './python-literal.ts'

test.each([
  ['7', 7],
  [' 7 \n', 7],
  ['-5', -5],
  ['+5', 5],
  ['1_000', 1000],
  ['0', 0],
  ['00', 0],
  ['0x1F', 31],
  ['0o17', 15],
  ['0b101', 5],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['5.', 5],
  ['1e3', 1000],
  ['1.5E-2', 0.015],
  ['True', true],
  ['False', false],
  ['None', null],
  ["'a\"b'", 'a"b'],
  ['"it\'s"', "it's"],
  ["''", ''],
  [String.raw`'a\n\t\\\'\x41\u00e9\q'`, "a\n\t\\'A\u00e9\\q"],
  ['[]', []],
  ['[1, "a", None,]', [1, 'a', null]],
  ['(1, 2)', [1, 2]],
  ['(1,)', [1]],
  ['(1)', 1],
  ['()', []],
  ['{}', {}],
  ["{'a': {'b': [True]}, 'c': -1}", { a: { b: [true] }, c: -1 }],
])('%s', (text, value) => {
  expect(pythonLiteral(text)).toEqual({ value })
})

test.each([
  '',
  'abc',
  'true',
  'null',
  'constructor',
  '007',
  '1__0',
  '_1',
  '1+2j',
  '1 2',
  '5432abc',
  '0x',
  'inf',
  "'open",
  "'a\nb'",
  '[1 2]',
  '[1',
  '[,]',
  "{'a' 1}",
  '{"type": "x", "n": null}',
  '1e999',
  '12345678901234567890',
])('is none, or more than JavaScript can hold: %s', (text) => {
  expect(pythonLiteral(text)).toBeUndefined()
})
