// Rejects as people read them: the text of a record.
import { describe, expect, test } from 'vitest'
import type { Encoding } from '../pipeline/dialect.ts'
import { rawText } from './rejects.ts'

describe('the text of a record', () => {
  test.each<[string, Buffer, string, Encoding?]>([
    ['as it stands', Buffer.from('1,"é\n"'), '1,"é\n"'],
    ['with NUL made visible', Buffer.from('a\0b'), 'a\u2400b'],
    ['with bytes that are no UTF-8 made visible', Buffer.from('a\xffb\xc3', 'latin1'), 'a\ufffdb\ufffd'],
    ['whole at 8 KiB', Buffer.alloc(8192, 'x'), 'x'.repeat(8192)],
    ['cut behind 8 KiB', Buffer.alloc(8193, 'x'), 'x'.repeat(8192)],
    ['cut between two characters', Buffer.from(`x${'😀'.repeat(3000)}`), `x${'😀'.repeat(2047)}`],
    ['read in its own encoding: latin1', Buffer.from('caf\xe9 \x80', 'latin1'), 'café \x80', 'latin1'],
    ['read in its own encoding: windows-1252', Buffer.from('caf\xe9 \x80', 'latin1'), 'café €', 'windows-1252'],
  ])('is %s', (_how, bytes, text, encoding = 'utf-8') => {
    expect(rawText(bytes, { encoding })).toBe(text)
  })
})
