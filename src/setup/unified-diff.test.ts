// The diff says how to come from one text to the other, in the form that `patch` takes.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { unifiedDiff } from './unified-diff.ts'

const NO_END = String.raw`\ No newline at end of file`

/** A second, simpler program: does what the hunks say, line by line; undefined where they do not fit. */
function patched(before: string, diff: readonly string[]): string | undefined {
  const old = before.split(/(?<=\n)/)
  let now = ''
  let at = 0
  for (const [index, line] of diff.entries()) {
    const hunk = /^@@ -(\d+)(,0)?/.exec(line)
    if (hunk !== null) {
      const start = hunk[2] === undefined ? Number(hunk[1]) - 1 : Number(hunk[1])
      now += old.slice(at, start).join('')
      at = start
    } else if (index > 1 && line !== NO_END) {
      const text = line.slice(1) + (diff[index + 1] === NO_END ? '' : '\n')
      if (!line.startsWith('+') && old[at++] !== text) return undefined
      if (!line.startsWith('-')) now += text
    }
  }
  return now + old.slice(at).join('')
}

test('a change is shown with three lines around it, far ones apart', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n'
  const after = 'a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n'
  // As GNU diff writes it.
  expect(unifiedDiff(before, after, 'x.yml')).toEqual([
    '--- x.yml',
    '+++ x.yml',
    '@@ -1,5 +1,5 @@',
    ' a',
    '-b',
    '+B',
    ' c',
    ' d',
    ' e',
    '@@ -10,3 +10,4 @@',
    ' j',
    ' k',
    ' l',
    '+m',
  ])
})

test('changes whose surroundings touch are shown as one', () => {
  const diff = unifiedDiff('a\n1\n2\n3\n4\n5\n6\nb\n', 'A\n1\n2\n3\n4\n5\n6\nB\n', 'x')
  expect(diff.filter((line) => line.startsWith('@@'))).toEqual(['@@ -1,8 +1,8 @@'])
})

test('a new file comes from nowhere, the same text has no diff', () => {
  expect(unifiedDiff('', 'a\n', 'x.yml')).toEqual(['--- /dev/null', '+++ x.yml', '@@ -0,0 +1 @@', '+a'])
  expect(unifiedDiff('a\n', 'a\n', 'x.yml')).toEqual([])
})

test('a missing last line end is a difference', () => {
  const diff = ['--- x', '+++ x', '@@ -1 +1 @@', '-a', NO_END, '+a']
  expect(unifiedDiff('a', 'a\n', 'x')).toEqual(diff)
})

test('applied to the old text it gives the new one', () => {
  const text = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '', ' d'), { maxLength: 30 }), fc.boolean())
    .map(([lines, ended]) => lines.join('\n') + (ended && lines.length > 0 ? '\n' : ''))
  fc.assert(
    fc.property(text, text, (before, after) => {
      fc.pre(before !== after)
      expect(patched(before, unifiedDiff(before, after, 'x'))).toBe(after)
    }),
    { numRuns: 500 },
  )
})
