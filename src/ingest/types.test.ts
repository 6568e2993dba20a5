// Each type takes what it can hold exactly and refuses the rest: nothing is rounded, cut, moved or guessed. On a real DuckDB.
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseColumnType } from '../pipeline/column-type.ts'
import { openEngine, quoteText, type Engine } from '../platform/duckdb.ts'
import { DEFAULT_RULES, textReader, valueOf, type ReadingRules, type TextReader } from './types.ts'

/** Per type: `text → value` as DuckDB prints it, and texts that are none; a text with blanks at its ends stands in quotes. */
const TYPES: Readonly<Record<string, { readonly takes: string; readonly refuses: string }>> = {
  smallint: {
    takes: '32767 → 32767 | -32768 → -32768 | 007 → 7 | +5 → 5',
    refuses: '32768 | -32769 | 1.5',
  },
  int: {
    takes: '2147483647 → 2147483647 | -2147483648 → -2147483648 | -0 → 0 | "12" → 12',
    refuses: '2147483648 | -2147483649 | 1.5 | 1.0 | 1e3 | " 1" | 1_000 | "1,000" | 0x10 | １ | - | x',
  },
  bigint: {
    takes: '9223372036854775807 → 9223372036854775807 | -9223372036854775808 → -9223372036854775808',
    refuses: '9223372036854775808 | -9223372036854775809',
  },
  real: { takes: '1.5 → 1.5 | 3.4e38 → 3.4e+38', refuses: '3.5e38 | -1e39 | nan' },
  double: {
    takes: '1.5 → 1.5 | 1. → 1.0 | .5 → 0.5 | -1.5E+3 → -1500.0 | 1e308 → 1e+308 | 12 → 12.0',
    refuses: '1e400 | -1e400 | nan | inf | Infinity | 1e | "1,5" | 1_0 | 0x1p3 | . | e5',
  },
  'numeric(10,2)': {
    takes: '1.5 → 1.50 | 1.500 → 1.50 | .5 → 0.50 | -.50 → -0.50 | 1. → 1.00 | 0012345678.990 → 12345678.99',
    refuses: '1.005 | 1.001 | 123456789 | 1e2 | . | +',
  },
  'numeric(2,2)': { takes: '0.99 → .99 | 0 → .00', refuses: '1 | 1.00 | 0.999' },
  'numeric(5)': { takes: '99999 → 99999 | 99999.0 → 99999', refuses: '99999.5 | 100000' },
  boolean: {
    takes:
      'true → true | T → true | Yes → true | y → true | 1 → true | FALSE → false | f → false | no → false | 0 → false',
    refuses: 'on | off | 2 | " true" | truely | 10',
  },
  date: {
    takes: '2026-01-05 → 2026-01-05 | 2024-02-29 → 2024-02-29',
    refuses:
      '2026-02-29 | 2026-02-30 | 2026-01-05 23:59 | 2026-01-05T00:00:00 | 2026-1-5 | 20260105 | 05.01.2026 | 2026-00-10 | today',
  },
  timestamp: {
    takes: `2026-01-05 10:00:00 → 2026-01-05 10:00:00 | 2026-01-05T10:00:00Z → 2026-01-05 10:00:00
      | 2026-01-05T10:00:00+05 → 2026-01-05 05:00:00 | 2026-01-05T10:00:00+05:30 → 2026-01-05 04:30:00
      | 2026-01-05T23:00:00-0230 → 2026-01-06 01:30:00 | 2026-01-05T00:00:00+14:00 → 2026-01-04 10:00:00
      | 2026-03-29 02:30:00 → 2026-03-29 02:30:00 | 2026-01-05T10:00:00.5 → 2026-01-05 10:00:00.5
      | 2026-01-05T10:00:00.123456Z → 2026-01-05 10:00:00.123456 | 2026-01-05T10:00:00.1234560 → 2026-01-05 10:00:00.123456`,
    refuses: `2026-01-05T10:00:00.1234567 | 2026-01-05T10:00:00. | 2026-01-05 | 2026-01-05T10:00 | 2026-01-05T24:00:00
      | 2026-01-05T23:60:00 | 2026-01-05T23:59:60 | 2026-02-30T10:00:00 | 2026-01-05T10:00:00+99:99
      | 2026-01-05T10:00:00+05:60 | 2026-01-05T10:00:00+5 | 2026-01-05 10:00:00 CET | 2026-01-05 10:00:00 America/New_York`,
  },
  timestamptz: {
    takes: '2026-01-05 10:00:00 → 2026-01-05 10:00:00+00 | 2026-01-05T10:00:00+05:30 → 2026-01-05 04:30:00+00',
    refuses: '2026-01-05T10:00:00.1234567Z | 2026-02-30T10:00:00Z | 2026-01-05 10:00:00 CET',
  },
  time: {
    takes: '10:00:00 → 10:00:00 | 23:59:59.999999 → 23:59:59.999999 | 10:00:00.50 → 10:00:00.5',
    refuses: '24:00:00 | 10:00:00.1234567 | 10:00 | 9:00:00 | 10:00:00Z',
  },
  json: {
    takes: '{"a": [1, "x"]} → {"a": [1, "x"]} | null → null | 1 → 1',
    refuses: "x | {'a':1} | { | 01",
  },
}

const unquoted = (text: string) => (/^".*"$/.test(text) ? text.slice(1, -1) : text)
const list = (text: string) => text.split(/\s*\| /).map(unquoted)
const pairs = (text: string) =>
  text.split(/\s*\| /).map((pair) => pair.split(' → ').map(unquoted) as [text: string, value: string])

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ scratchDir: tmpdir() })
})
afterAll(() => engine.close())

function readerOf(spelling: string, rules: Partial<ReadingRules> = {}): TextReader {
  const type = parseColumnType(spelling)
  if (type === undefined) throw new Error(`unknown type ${spelling}`)
  return textReader(type, { ...DEFAULT_RULES, ...rules })
}

/** What some SQL over `text` gives for each of the texts. */
async function evaluate(texts: readonly (string | null)[], sql: string): Promise<unknown[]> {
  await engine.run('CREATE OR REPLACE TEMP TABLE texts (number INTEGER, text VARCHAR)')
  const values = texts.map((text, index) => `(${index}, ${text === null ? 'NULL' : quoteText(text)})`)
  await engine.run(`INSERT INTO texts VALUES ${values.join(', ')}`)
  const rows = await engine.rows(`SELECT number, ${sql} AS result FROM texts ORDER BY number`)
  return rows.map(({ result }) => result)
}

/** Each text's value as DuckDB prints it, or 'refused'. */
async function typed(spelling: string, texts: readonly (string | null)[], rules: Partial<ReadingRules> = {}) {
  const values = await evaluate(texts, `(${valueOf('text', readerOf(spelling, rules))})::VARCHAR`)
  return values.map((value, index) => (value === null && texts[index] !== null ? 'refused' : value))
}

describe.each(Object.entries(TYPES))('%s', (spelling, { takes, refuses }) => {
  test('takes what it can hold as it stands', async () => {
    const [texts, values] = [pairs(takes).map(([text]) => text), pairs(takes).map(([, value]) => value)]

    expect(await typed(spelling, texts)).toEqual(values)
  })

  test('refuses the rest, and the good values behind it stay what they are', async () => {
    const [[good, value] = ['', '']] = pairs(takes)

    const found = await typed(
      spelling,
      list(refuses).flatMap((text) => [text, good]),
    )

    expect(found).toEqual(list(refuses).flatMap(() => ['refused', value]))
  })

  test('takes NULL, and refuses the empty text', async () => {
    expect(await typed(spelling, [null, '', null])).toEqual([null, 'refused', null])
  })
})

test('a string is kept as it stands, and NULL and the empty text stay apart', async () => {
  const texts = ['007', ' x ', '1.50', 'NULL', '\\N', 'a "b", c', '1\r\n2', null, '', '😀']

  expect(await typed('string', texts)).toEqual(texts)
})

describe('the shortcut takes nothing that the pattern refuses:', () => {
  const ALPHABET = ['0', '1', '9', '-', '+', '.', ':', ' ', 'T', 'Z', 'e', 't', 'é', '٣', '\n', '\t', "'", '_']
  const SEEDS = {
    smallint: ['0', '-1', '32767', '007', '+5'],
    int: ['0', '12', '-2147483648', '2147483647'],
    bigint: ['9223372036854775807', '-9223372036854775808'],
    boolean: ['true', 'false', 'TRUE', 'no', '1'],
    date: ['2026-01-05', '0001-01-01', '9999-12-31', '2024-02-29', 'infinity', '-infinity', 'epoch', '0044-03-15 (BC)'],
    timestamp: [
      '2026-01-05 10:00:00',
      '2026-01-05T23:59:59',
      '9999-12-31 00:00:00',
      '2026-01-05 10:00:00.5',
      '2026-01-05 10:00:00+01',
      'infinity',
      '-0001-01-05 10:00:0',
      '0044-03-15 10:00:00 (BC)',
    ],
  }

  test.each(Object.entries(SEEDS))('%s', async (spelling, seeds) => {
    const reader = readerOf(spelling)
    const { shortcut, pattern } = reader
    if (shortcut === undefined || pattern === undefined) throw new Error(`${spelling} has no shortcut`)
    const texts = [...new Set(seeds.flatMap((seed) => [seed, ...mutations(seed, ALPHABET)]))]

    const byShortcut = await evaluate(texts, `coalesce(${shortcut('text', reader.candidate('text'))}, false)`)
    const byPattern = await evaluate(texts, `regexp_full_match(text, ${quoteText(pattern)})`)
    const alone = await evaluate(texts, `(${valueOf('text', { ...reader, shortcut: () => 'false' })})::VARCHAR`)

    expect(texts.filter((_, index) => byShortcut[index] === true && byPattern[index] === false)).toEqual([])
    expect(byShortcut).toContain(true)
    expect(await evaluate(texts, `(${valueOf('text', reader)})::VARCHAR`)).toEqual(alone)
  })
})

/** Every text that is one character away: replaced, put in, left out, or two. */
function mutations(text: string, alphabet: readonly string[]): string[] {
  const places = Array.from({ length: text.length + 1 }, (_, at) => at)
  return places.flatMap((at) => [
    text.slice(0, at) + text.slice(at + 1),
    ...alphabet.flatMap((character) => [
      text.slice(0, at) + character + text.slice(at),
      text.slice(0, at) + character + text.slice(at + 1),
    ]),
  ])
}

describe('with a decimal comma', () => {
  const comma = { decimal: ',' } as const

  test('numbers with a fraction take it, and nothing else changes', async () => {
    expect(await typed('numeric(10,2)', ['1,5', '-,50', '12', '1,500', '1.5', '1,505', '1,2,3'], comma)).toEqual([
      '1.50',
      '-0.50',
      '12.00',
      '1.50',
      'refused',
      'refused',
      'refused',
    ])
    expect(await typed('double', ['1,5', '1,5e3', '2', '1.5', '1.000,5'], comma)).toEqual([
      '1.5',
      '1500.0',
      '2.0',
      'refused',
      'refused',
    ])
    expect(await typed('int', ['1', '1,0'], comma)).toEqual(['1', 'refused'])
    expect(await typed('timestamp', ['2026-01-05 10:00:00.5', '2026-01-05 10:00:00,5'], comma)).toEqual([
      '2026-01-05 10:00:00.5',
      'refused',
    ])
    expect(await typed('json', ['[1.5,2]'], comma)).toEqual(['[1.5,2]'])
  })
})

describe('a timestamp without an offset is on the clocks of its zone:', () => {
  const paris = { timeZone: 'Europe/Paris' }

  test('in winter, in summer, and with an offset of its own', async () => {
    const texts = [
      '2026-01-05 10:00:00',
      '2026-07-05 10:00:00',
      '2026-07-05T10:00:00.25',
      '2026-07-05 10:00:00Z',
      '2026-07-05 10:00:00+05:30',
      '2026-03-29 02:30:00-03',
    ]
    const utc = [
      '2026-01-05 09:00:00',
      '2026-07-05 08:00:00',
      '2026-07-05 08:00:00.25',
      '2026-07-05 10:00:00',
      '2026-07-05 04:30:00',
      '2026-03-29 05:30:00',
    ]

    expect(await typed('timestamp', texts, paris)).toEqual(utc)
    expect(await typed('timestamptz', texts, paris)).toEqual(utc.map((text) => `${text}+00`))
  })

  test('one that they skip in spring is refused, as is one that they show twice in autumn', async () => {
    const spring = ['2026-03-29 01:59:59', '2026-03-29 02:00:00', '2026-03-29 02:59:59', '2026-03-29 03:00:00']
    const autumn = ['2026-10-25 01:59:59', '2026-10-25 02:00:00', '2026-10-25 02:59:59', '2026-10-25 03:00:00']

    expect(await typed('timestamp', spring, paris)).toEqual([
      '2026-03-29 00:59:59',
      'refused',
      'refused',
      '2026-03-29 01:00:00',
    ])
    expect(await typed('timestamp', autumn, paris)).toEqual([
      '2026-10-24 23:59:59',
      'refused',
      'refused',
      '2026-10-25 02:00:00',
    ])
  })

  // Changes of an hour, half an hour, two hours and a whole day; years with a month of other clocks.
  test.each([
    ['Europe/Paris', ['2026-01-05', '2026-03-28', '2026-03-29', '2026-07-05', '2026-10-25', '2026-10-26']],
    ['America/New_York', ['2026-03-08', '2026-11-01']],
    ['Australia/Lord_Howe', ['2026-04-05', '2026-10-04']],
    ['Antarctica/Troll', ['2026-03-29', '2026-10-25']],
    ['Pacific/Apia', ['2011-12-29', '2011-12-30', '2011-12-31']],
    ['Africa/Casablanca', ['2026-02-15', '2026-03-22']],
    ['Asia/Kathmandu', ['1986-01-01', '2026-01-01']],
  ])('%s, as Node’s own calendar has it', async (timeZone, days) => {
    const pad = (number: number) => String(number).padStart(2, '0')
    const minutes = Array.from({ length: 24 * 12 }, (_, index) => index * 5)
    const texts = days.flatMap((day) => minutes.map((m) => `${day} ${pad(Math.floor(m / 60))}:${pad(m % 60)}:00`))

    expect(await typed('timestamp', texts, { timeZone })).toEqual(texts.map((text) => onlyInstant(text, timeZone)))
  })

  /** Tries all offsets there are: the one instant at which the zone's clocks show the text, or 'refused'. */
  function onlyInstant(text: string, timeZone: string): string {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const
    const clock = new Intl.DateTimeFormat('sv-SE', { timeZone, ...parts, second: '2-digit', hourCycle: 'h23' })
    const asUtc = Date.parse(`${text.replace(' ', 'T')}Z`)
    const offsets = Array.from({ length: (15 + 15) * 4 + 1 }, (_, index) => (index - 15 * 4) * 15)
    const instants = offsets.map((minutes) => asUtc - minutes * 60_000).filter((ms) => clock.format(ms) === text)
    const [first] = instants
    return first === undefined || instants.length > 1
      ? 'refused'
      : new Date(first).toISOString().slice(0, 19).replace('T', ' ')
  }
})

describe('json is that of its standard:', () => {
  test('what DuckDB alone would take is refused', async () => {
    const bent = ['NaN', 'nan', '[NaN]', 'Infinity', '-Infinity', 'inf', '{"a": -inf}', '[1,]', '{"a":1 , }', '[1,\n]']
    const comments = ['// a comment\n1', '[1 /* two */]', '/**/{}']

    expect(await evaluate(bent, 'json_valid(text)')).toEqual(bent.map(() => true))
    expect(await typed('json', [...bent, ...comments])).toEqual([...bent, ...comments].map(() => 'refused'))
  })

  test('inside texts the same words are only words, whatever quotes and backslashes stand there', async () => {
    const texts = [
      '"NaN, Infinity // /* ,] */"',
      '{"inf":"nan,}"}',
      '["a\\",NaN,\\"b"]',
      '["\\\\","/"]',
      '"\\/ \\u0041"',
      '{"a":"x,]","b":[1,2]}',
    ]

    expect(await typed('json', texts)).toEqual(texts)
    expect(await typed('json', ['["a\\\\",NaN,"b"]', '["\\\\",]'])).toEqual(['refused', 'refused'])
  })

  test('a text is taken when JSON.parse takes it, one character away from right ones, too', async () => {
    const seeds = ['{"a":[1,-2.5e3,"x\\"y",null,true,false],"b":{}}', '[ "a\\\\" , 1 ]', '"NaN, // ,]"', '[NaN]', '1,']
    const alphabet = ['"', '\\', ',', ']', '}', '[', '{', '/', '*', 'n', 'N', 'I', '0', '.', '-', 'e', ' ', '\n', '#']
    const texts = [...new Set(seeds.flatMap((seed) => [seed, ...mutations(seed, alphabet)]))].filter(Boolean)

    const found = await typed('json', texts)

    const disagreeing = texts.filter((text, index) => (found[index] !== 'refused') !== isJson(text))
    expect(disagreeing).toEqual([])
  })

  function isJson(text: string): boolean {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
})
