// Places in a YAML text: where an item of a block ends and what belongs to it, so that text can be put in and all else stays as it is.
import { isMap, isScalar, isSeq, stringify, type Pair, type ParsedNode, type YAMLMap } from 'yaml'

export type ParsedMap = YAMLMap.Parsed
export type ParsedPair = Pair<ParsedNode, ParsedNode | null>

/** Replaces the text from `start` to `end` (offsets). */
export interface Patch {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Patches must not overlap. */
export function applyPatches(text: string, patches: readonly Patch[]): string {
  return [...patches]
    .sort((a, b) => b.start - a.start)
    .reduce((rest, { start, end, text: put }) => rest.slice(0, start) + put + rest.slice(end), text)
}

export function findPair(map: ParsedMap, name: string): ParsedPair | undefined {
  return map.items.find(({ key }) => isScalar(key) && key.value === name)
}

/** A map of lines, which further lines can be added to; not one in braces. */
export function isBlockMap(node: ParsedNode | null): node is ParsedMap {
  return isMap(node) && node.flow !== true && node.items.length > 0
}

/** `key:` with nothing behind it. */
export function isEmptyValue(node: ParsedNode | null): boolean {
  return node === null || (isScalar(node) && node.value === null && node.range[0] === node.range[1])
}

/** How far the key stands from the line's begin. */
export function columnOf(text: string, { key }: ParsedPair): number {
  return key.range[0] - lineStart(text, key.range[0])
}

export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1
}

/** Where the pair's last character is, without comments behind it. (The range of a block ends behind its comments.) */
export function contentEnd({ key, value }: ParsedPair): number {
  if (value === null) return key.range[1]
  if ((isMap(value) || isSeq(value)) && value.flow !== true) {
    const last = value.items.at(-1)
    if (last === undefined) return value.range[1]
    // Items of a map are pairs, those of a list are nodes.
    return 'key' in last ? contentEnd(last) : contentEnd({ key: last, value: last } as ParsedPair)
  }
  return value.range[1]
}

/** Where the line behind the pair begins; behind comment lines as well that are indented by `column` or more. */
export function endOfLines(text: string, pair: ParsedPair, column: number): number {
  const end = contentEnd(pair)
  const newline = text[end - 1] === '\n' ? end - 1 : text.indexOf('\n', end)
  let next = newline === -1 ? text.length : newline + 1
  for (;;) {
    const comment = /^(?:[ \t]*\r?\n)*( *)#[^\n]*(?:\n|$)/.exec(text.slice(next))
    if (comment === null || (comment[1] ?? '').length < column) return next
    next += comment[0].length
  }
}

/** Lines put in where one begins; at the end of a text that does not end its last line, that is done first. */
export function insertLines(text: string, at: number, lines: readonly string[]): Patch {
  const eol = lineEnding(text)
  const unended = at > 0 && text[at - 1] !== '\n'
  return { start: at, end: at, text: (unended ? eol : '') + lines.map((line) => line + eol).join('') }
}

function lineEnding(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n'
}

/** Quoted where Python's YAML 1.1 would read something else than the text (`no`, `12:30`). */
export function scalarText(value: string | number): string {
  return stringify(value, { version: '1.1', lineWidth: 0 }).trimEnd()
}
