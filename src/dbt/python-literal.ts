// Python's literals (numbers, texts, True, False, None, lists, tuples, dicts), as dbt's `as_native` reads them.

export type PythonLiteral =
  | null
  | boolean
  | number
  | string
  | readonly PythonLiteral[]
  | { readonly [key: string]: PythonLiteral }

const WORDS: ReadonlyMap<string | undefined, null | boolean> = new Map([
  ['None', null],
  ['True', true],
  ['False', false],
])

/** No leading zeros, `_` only between digits. A number without point and exponent is whole. */
const NUMBER =
  /[+-]?(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][+-]?\d+)?|\d(?:_?\d)*\.?(?:[eE][+-]?\d+)?)(?![\w.])/y

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\u0007',
  0: '\0',
}

class NotALiteral extends Error {}

/** The text's value (`ast.literal_eval`); undefined where it is none, or one that JavaScript cannot hold exactly. */
export function pythonLiteral(text: string): { readonly value: PythonLiteral } | undefined {
  let at = 0

  const skipBlanks = () => {
    while (/\s/.test(text[at] ?? '')) at += 1
  }
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    at += found?.length ?? 0
    return found
  }
  const takeSign = (sign: string): boolean => {
    skipBlanks()
    if (text[at] !== sign) return false
    at += 1
    return true
  }
  /** Items up to the closing sign, with a comma after the last one or without. */
  const items = <T>(close: string, item: () => T): { found: T[]; comma: boolean } => {
    const found: T[] = []
    let comma = false
    while (!takeSign(close)) {
      if (found.length > 0 && !comma) throw new NotALiteral()
      found.push(item())
      comma = takeSign(',')
    }
    return { found, comma }
  }
  const value = (): PythonLiteral => {
    skipBlanks()
    if (takeSign('[')) return items(']', value).found
    if (takeSign('(')) {
      const { found, comma } = items(')', value)
      const [only] = found
      return found.length === 1 && !comma && only !== undefined ? only : found
    }
    if (takeSign('{')) return Object.fromEntries(items('}', pair).found)
    const quote = take(/["']/y)
    if (quote !== undefined) return restOfText(quote)
    const number = take(NUMBER)
    if (number !== undefined) return wholeOrNot(number)
    const word = WORDS.get(take(/\w+/y))
    if (word === undefined) throw new NotALiteral()
    return word
  }
  const pair = (): [string, PythonLiteral] => {
    const key = value()
    if (typeof key !== 'string' || !takeSign(':')) throw new NotALiteral()
    return [key, value()]
  }
  const restOfText = (quote: string): string => {
    let read = ''
    for (;;) {
      const sign = text[at]
      if (sign === undefined || sign === '\n') throw new NotALiteral()
      at += 1
      if (sign === quote) return read
      read += sign === '\\' ? escaped() : sign
    }
  }
  const escaped = (): string => {
    const hex = take(/x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}/y)
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex.slice(1), 16))
    const sign = text[at] ?? ''
    at += 1
    return ESCAPES[sign] ?? `\\${sign}`
  }

  try {
    const found = value()
    skipBlanks()
    return at === text.length ? { value: found } : undefined
  } catch (error) {
    if (error instanceof NotALiteral || error instanceof RangeError) return undefined
    throw error
  }
}

function wholeOrNot(number: string): number {
  const digits = number.replaceAll('_', '').replace(/^[+-]/, '')
  if (/^0\d*[1-9]/.test(digits) && !/[.eExXoObB]/.test(digits)) throw new NotALiteral()
  const read = Number(digits) * (number.startsWith('-') ? -1 : 1)
  const isWhole = !/[.eE]/.test(digits) || /^0[xX]/.test(digits)
  if (isWhole ? !Number.isSafeInteger(read) : !Number.isFinite(read)) throw new NotALiteral()
  return read
}
