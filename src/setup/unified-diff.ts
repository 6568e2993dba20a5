// Two texts → what changed between them, as `diff -u` shows it.

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
  /** How many lines of the old and of the new text stand before it. */
  readonly before: readonly [old: number, new: number]
}

const CONTEXT_LINES = 3

/** Lines of a unified diff; none where the texts are the same. Made for texts of some hundred lines: its work is their product. */
export function unifiedDiff(before: string, after: string, name: string): string[] {
  if (before === after) return []
  const hunks: string[] = []
  const lines = compare(splitLines(before), splitLines(after))
  for (const [from, to] of hunkRanges(lines)) {
    const part = lines.slice(from, to)
    const count = (without: Line['sign']) => part.filter(({ sign }) => sign !== without).length
    const [oldAt, newAt] = lines[from]?.before ?? [0, 0]
    hunks.push(`@@ -${span(oldAt, count('+'))} +${span(newAt, count('-'))} @@`)
    for (const { sign, text } of part) {
      if (text.endsWith('\n')) hunks.push(sign + text.slice(0, -1).replace(/\r$/, ''))
      else hunks.push(sign + text, String.raw`\ No newline at end of file`)
    }
  }
  return [`--- ${before === '' ? '/dev/null' : name}`, `+++ ${name}`, ...hunks]
}

/** With their line ends, so that a missing last one is a difference. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** The longest common sequence stays, all else is removed or added. */
function compare(old: readonly string[], now: readonly string[]): Line[] {
  const common = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1))
  const at = (i: number, j: number) => common[i]?.[j] ?? 0
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      const row = common[i]
      if (row !== undefined) row[j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: Line[] = []
  let i = 0
  let j = 0
  while (i < old.length || j < now.length) {
    const before = [i, j] as const
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push({ sign: ' ', text: old[i++] ?? '', before })
      j++
    } else if (i < old.length && (j === now.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', text: old[i++] ?? '', before })
    } else lines.push({ sign: '+', text: now[j++] ?? '', before })
  }
  return lines
}

/** Changes with the lines around them; those that would touch are one. */
function hunkRanges(lines: readonly Line[]): [from: number, to: number][] {
  const ranges: [number, number][] = []
  for (const [index, { sign }] of lines.entries()) {
    if (sign === ' ') continue
    const from = Math.max(0, index - CONTEXT_LINES)
    const to = Math.min(lines.length, index + 1 + CONTEXT_LINES)
    const last = ranges.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = to
    else ranges.push([from, to])
  }
  return ranges
}

/** `line,count`; a part without lines is named by the line before it. */
function span(linesBefore: number, count: number): string {
  return count === 1 ? `${linesBefore + 1}` : `${count === 0 ? linesBefore : linesBefore + 1},${count}`
}
