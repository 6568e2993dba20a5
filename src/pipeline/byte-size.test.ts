// Sizes are read and shown in powers of 1,000.
import { expect, test } from 'vitest'
import { formatByteSize, parseByteSize } from './byte-size.ts'

test.each([
  ['1 MB', 1_000_000],
  ['20GB', 20_000_000_000],
  ['1.5 TB', 1_500_000_000_000],
])('%s is %i bytes', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes)
})

test.each(['', '20', '20 gb', '-1 GB', '1 GiB'])("'%s' is no size", (text) => {
  expect(() => parseByteSize(text)).toThrow('not a size')
})

test.each([
  [0, '0 MB'],
  [123_456, '0.123 MB'],
  [10_485_760, '10.5 MB'],
  [1_234_567_890, '1.23 GB'],
  [2_000_000_000_000, '2 TB'],
])('%i bytes are shown as %s', (bytes, text) => {
  expect(formatByteSize(bytes)).toBe(text)
})
