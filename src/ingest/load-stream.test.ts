// A load's records, from bytes to typed rows: what comes through, what is rejected and why, and what stops it. On a real DuckDB.
import { appendFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { contractOf } from '../../tests/support/ingest-entry.ts'
import { load, withStream, type Files, type Loaded } from '../../tests/support/load-files.ts'
import { DEFAULT_DIALECT, type Dialect } from '../pipeline/dialect.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { ContractColumn, IngestEntry } from '../pipeline/plan.ts'

const ORDERS = contractOf({ id: 'int', day: 'date', note: 'text' })
const KEY = [identifier('id')]

const dialect = (change: Partial<Dialect>): Pick<IngestEntry, 'dialect'> => ({
  dialect: { ...DEFAULT_DIALECT, ...change },
})

/** The columns named, of each row. */
function values({ rows }: Loaded, ...columns: string[]): (string | null | undefined)[][] {
  return rows.map((row) => columns.map((column) => row[column]))
}

const reasons = ({ rejects }: Loaded) => rejects.map(({ record, code, column }) => [record, code, column])

function requireBalance({ counts, rows, rejects }: Loaded): void {
  expect(counts.read).toBe(counts.rows + counts.superseded + counts.rejected)
  expect(rows).toHaveLength(counts.rows)
  expect(rejects).toHaveLength(counts.rejected)
}

describe('rows', () => {
  test("come in the file's order, whatever that of its columns, each with where it came from", async () => {
    const loaded = await load({ 'in.csv': 'note,day,id\nx,2026-01-05,7\n,,\n""," ",8\n' }, { contract: ORDERS })

    expect(loaded.rows).toEqual([
      { id: '7', day: '2026-01-05', note: 'x', ...origin('1') },
      { id: null, day: null, note: null, ...origin('2') },
    ])
    expect(loaded.counts).toEqual({ read: 3, rows: 2, superseded: 0, rejected: 1, blankLines: 0, commentLines: 0 })
  })

  const origin = (record: string) => ({
    _load_id: 'A',
    _source_file: 'in.csv',
    _source_record: record,
    _loaded_at: '2026-11-19 02:00:00',
    _logical_date: '2026-11-18',
  })

  test.each([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
  ])('keep their numbers, however many there are: %s', async (_name, end) => {
    const numbers = Array.from({ length: 200_000 }, (_, index) => index + 1)
    const lines = numbers.map((n) => `${n % 10_000 === 0 ? 'x' : n},2026-01-05,${n % 2 ? 'a' : '"a\nb"'}${end}`)

    await withStream({ 'in.csv': `id,day,note${end}${lines.join('')}` }, { contract: ORDERS }, async (place) => {
      const counts = await place.stream.rows((query) => place.engine.run(`INSERT INTO accepted ${query}`))
      const [seen] = await place.engine.rows(
        'SELECT count(*)::INT AS good, count(*) FILTER (WHERE id <> _source_record)::INT AS wrong FROM accepted',
      )

      expect(counts).toMatchObject({ read: 200_000, rows: 199_980, rejected: 20 })
      expect(seen).toEqual({ good: 199_980, wrong: 0 })
    })
  })

  test('of several files are counted together, each with its own file and record', async () => {
    const files = { 'a.csv': 'id,day,note\n1,,\nx,,\n', 'b.csv': 'note,id,day\n,2,\n,y,\n' }

    const loaded = await load(files, { contract: ORDERS })

    expect(values(loaded, 'id', '_source_file', '_source_record')).toEqual([
      ['1', 'a.csv', '1'],
      ['2', 'b.csv', '1'],
    ])
    expect(loaded.rejects.map(({ file, record }) => [file, record])).toEqual([
      ['a.csv', 2],
      ['b.csv', 2],
    ])
    requireBalance(loaded)
  })

  test('have NULL in optional columns that the file lacks, and the columns that no file has', async () => {
    const optional = (name: string): ContractColumn[] => contractOf({ [name]: 'int' }, { optional: true })
    const named = (name: string, type: string, value: IngestEntry['added'][number]['value']) =>
      contractOf({ [name]: type }).map((column) => ({ name: column.name, type: column.type, value }))

    const loaded = await load(
      { 'a.csv': 'id\n1\n', 'b.csv': 'id,age\n2,30\nx,x\n3,x\n' },
      {
        contract: [...contractOf({ id: 'int' }), ...optional('age')],
        added: [
          ...named('department', 'text', { kind: 'text', text: "sales 'n' more" }),
          ...named('version', 'numeric(4,1)', { kind: 'text', text: '2' }),
          ...named('at', 'timestamp', { kind: 'loaded_at' }),
          ...named('on_day', 'date', { kind: 'logical_date' }),
          ...named('came_from', 'text', { kind: 'source_file' }),
        ],
      },
    )

    const added = ["sales 'n' more", '2.0', '2026-11-19 02:00:00', '2026-11-18']
    expect(values(loaded, 'id', 'age', 'department', 'version', 'at', 'on_day', 'came_from')).toEqual([
      ['1', null, ...added, 'a.csv'],
      ['2', '30', ...added, 'b.csv'],
    ])
    expect(reasons(loaded)).toEqual([
      [2, 'not int', 'id'],
      [3, 'not int', 'age'],
    ])
  })

  test('keep a column that only a later file has, with evolve', async () => {
    const files = { 'a.csv': 'id\n1\n', 'b.csv': 'extra,id\nx,2\n', 'c.csv': 'id\n3\n' }

    const loaded = await load(files, { contract: contractOf({ id: 'int' }), extraColumns: 'evolve' })

    expect(values(loaded, 'id', 'extra')).toEqual([
      ['1', null],
      ['2', 'x'],
      ['3', null],
    ])
  })

  test('are all texts where nobody declared columns', async () => {
    const loaded = await load({ 'in.csv': 'b,a\n007,1.50\n,""\n' }, { contract: null })

    expect(values(loaded, 'b', 'a')).toEqual([
      ['007', '1.50'],
      [null, ''],
    ])
  })

  test("are read by the dialect's own rules, and texts stay what they are", async () => {
    const text = [
      '# made by hand',
      'id;price;note',
      "1;1,50;'a;b'",
      '-;-;-',
      "2;,5;'-'",
      '# 3;1,0;x',
      "3;2;'it\\'s \\\\ \"so\"'",
    ].join('\n')
    const rules = { delimiter: ';', quote: "'", escape: 'backslash', nulls: ['-'], comment: '#', decimal: ',' } as const

    const loaded = await load(
      { 'in.csv': `ignored\n${text}` },
      { contract: contractOf({ id: 'int', price: 'numeric(6,2)', note: 'text' }), ...dialect({ ...rules, skip: 1 }) },
    )

    expect(values(loaded, 'id', 'price', 'note')).toEqual([
      ['1', '1.50', 'a;b'],
      [null, null, null],
      ['2', '0.50', '-'],
      ['3', '2.00', 'it\'s \\ "so"'],
    ])
    expect(loaded.counts).toMatchObject({ read: 4, rows: 4, commentLines: 2 })
  })
})

describe('a reject', () => {
  const text = [
    'id,day,note',
    '1,2026-01-05,"two',
    'lines"',
    'x,2026-02-30,é',
    '3,2026-02-30,"a""b"',
    '4,2026-01-05',
    '',
    '5,2026-01-05,b"c',
    '6,2026-01-05,ok',
    '',
  ].join('\n')

  test('says which record, on which line, at which byte, and what is wrong with it', async () => {
    const loaded = await load({ 'in.csv': text }, { contract: ORDERS })

    const at = (needle: string) => ({
      byteOffset: Buffer.byteLength(text.slice(0, text.indexOf(needle))),
      line: text.slice(0, text.indexOf(needle)).split('\n').length,
      file: 'in.csv',
      rawText: needle,
    })
    expect(loaded.rejects).toEqual([
      { ...at('x,2026-02-30,é'), record: 2, code: 'not int', column: 'id', message: "'x' is not an int" },
      {
        ...at('3,2026-02-30,"a""b"'),
        record: 3,
        code: 'not date',
        column: 'day',
        message: "'2026-02-30' is not a date",
      },
      {
        ...at('4,2026-01-05'),
        record: 4,
        code: 'too few fields',
        column: null,
        message: 'too few fields: the table has 3',
      },
      { ...at('5,2026-01-05,b"c'), record: 5, code: 'bare quote', column: null, message: 'bare quote' },
    ])
    expect(values(loaded, 'id', '_source_record')).toEqual([
      ['1', '1'],
      ['6', '6'],
    ])
    expect(loaded.counts).toMatchObject({ read: 6, rows: 2, rejected: 4, blankLines: 1 })
    requireBalance(loaded)
  })

  test('is one, however much is wrong with the record', async () => {
    const loaded = await load({ 'in.csv': 'id,day,note\nx,y,z\n' }, { contract: ORDERS })

    expect(reasons(loaded)).toEqual([[1, 'not int', 'id']])
  })

  test("has its text as it stands in the file, whatever the dialect's quotes and encoding", async () => {
    const bytes = Buffer.from('id;note\nx;\'caf\xe9 \x80, "1"\'\n', 'latin1')

    const loaded = await load(
      { 'in.csv': bytes },
      {
        contract: contractOf({ id: 'int', note: 'text' }),
        ...dialect({ delimiter: ';', quote: "'", encoding: 'windows-1252' }),
      },
    )

    expect(loaded.rejects).toMatchObject([{ rawText: 'x;\'café €, "1"\'', message: "'x' is not an int" }])
  })

  test('shows the first 200 characters of a wrong value, and the first 8 KiB of the record', async () => {
    const loaded = await load({ 'in.csv': `id,day,note\n${'x'.repeat(9000)},,\n` }, { contract: ORDERS })

    expect(loaded.rejects).toMatchObject([{ message: `'${'x'.repeat(200)}' is not an int`, rawText: 'x'.repeat(8192) }])
  })
})

describe('a rule of a column rejects', () => {
  async function reject(type: string, rule: Partial<ContractColumn>, texts: readonly string[], change = {}) {
    const contract = [...contractOf({ value: type }, rule), ...contractOf({ n: 'int' })]
    const lines = texts.map((text, index) => `${text},${index}\n`)
    const loaded = await load({ 'in.csv': `value,n\n${lines.join('')}` }, { contract, ...change })
    requireBalance(loaded)
    expect(loaded.rejects.every(({ column }) => column === 'value')).toBe(true)
    return loaded.rejects.map(({ record, code, message }) => [texts[record - 1], code, message])
  }

  test('a value that is missing; the empty text is one', async () => {
    expect(await reject('text', { notNull: true }, ['a', '', '""'])).toEqual([
      ['', 'is null', 'a value is missing that must be there'],
    ])
  })

  test('a value that is none of the accepted ones, compared as values', async () => {
    const among = 'is none of'
    expect(await reject('text', { accepted: ['a', "b's"] }, ['a', "b's", 'A', '""', ''])).toEqual([
      ['A', 'not accepted', `'A' ${among} a, b's`],
      ['""', 'not accepted', `'' ${among} a, b's`],
    ])
    expect(await reject('numeric(4,1)', { accepted: ['1', '2.5'] }, ['1.0', '02.50', '2', ''])).toEqual([
      ['2', 'not accepted', `'2' ${among} 1, 2.5`],
    ])
    expect(await reject('boolean', { accepted: ['true'] }, ['yes', 'no'])).toEqual([
      ['no', 'not accepted', `'no' ${among} true`],
    ])
  })

  test('a number outside its bounds, which themselves are inside', async () => {
    expect(await reject('int', { min: '0', max: '100' }, ['0', '100', '-1', '101', '9', ''])).toEqual([
      ['-1', 'below minimum', "'-1' is less than 0"],
      ['101', 'above maximum', "'101' is more than 100"],
    ])
    expect(await reject('numeric(6,2)', { min: '0.5', max: '9.99' }, ['0.50', '0.49', '9.99', '10'])).toEqual([
      ['0.49', 'below minimum', "'0.49' is less than 0.5"],
      ['10', 'above maximum', "'10' is more than 9.99"],
    ])
  })

  test('a day or an instant outside its bounds, also where its offset makes it so', async () => {
    expect(await reject('date', { min: '2020-01-01' }, ['2020-01-01', '2019-12-31'])).toEqual([
      ['2019-12-31', 'below minimum', "'2019-12-31' is less than 2020-01-01"],
    ])
    const noon = '2026-01-05T12:00:00'
    expect(await reject('timestamp', { max: '2026-01-05 12:00:00' }, [noon, `${noon}+01`, `${noon}-01`])).toEqual([
      [`${noon}-01`, 'above maximum', `'${noon}-01' is more than 2026-01-05 12:00:00`],
    ])
  })

  test('a value of the wrong type first, and says that', async () => {
    expect(await reject('int', { notNull: true, min: '5' }, ['x', '4', ''])).toEqual([
      ['x', 'not int', "'x' is not an int"],
      ['4', 'below minimum', "'4' is less than 5"],
      ['', 'is null', 'a value is missing that must be there'],
    ])
  })

  test('also where the raw table keeps the texts: they are compared as values', async () => {
    expect(await reject('int', { max: '9' }, ['009', '10', '9'], { rawAsText: true })).toEqual([
      ['10', 'above maximum', "'10' is more than 9"],
    ])
  })

  test.each<[string, string, Partial<ContractColumn>, string]>([
    ['a minimum', 'int', { min: '1.5' }, "'1.5' is not an int"],
    ['a maximum', 'timestamp', { max: '2026-01-05' }, "'2026-01-05' is not a timestamp"],
    ['an accepted value', 'date', { accepted: ['2026-01-05', 'today'] }, "'today' is not a date"],
  ])('nothing when it cannot be read itself; %s of that kind fails the load', async (_what, type, rule, message) => {
    await expect(reject(type, rule, ['1'])).rejects.toMatchObject({
      type: 'ContractUnknown',
      message: expect.stringContaining(message),
    })
  })
})

describe('raw: text', () => {
  test('keeps every text as it stands, and checks the types all the same', async () => {
    const contract = contractOf({ id: 'int', price: 'numeric(6,2)', at: 'timestamp', ok: 'boolean', note: 'text' })
    const text = [
      'id,price,at,ok,note',
      '007,"01.500",2026-01-05T10:00:00+05:30,Y, 1.50',
      '+5,.5,,,""',
      'x,1,,,',
      '1,1.005,,,',
      '1,1,2026-02-30 10:00:00,,',
      '1,1,,maybe,',
      '',
    ].join('\n')

    const loaded = await load({ 'in.csv': text }, { contract, rawAsText: true })

    expect(values(loaded, 'id', 'price', 'at', 'ok', 'note')).toEqual([
      ['007', '01.500', '2026-01-05T10:00:00+05:30', 'Y', ' 1.50'],
      ['+5', '.5', null, null, ''],
    ])
    expect(reasons(loaded)).toEqual([
      [3, 'not int', 'id'],
      [4, 'not numeric(6,2)', 'price'],
      [5, 'not timestamp', 'at'],
      [6, 'not boolean', 'ok'],
    ])
  })
})

describe('records with the same key', () => {
  const FILES: Files = {
    'a.csv': 'id,day,note\n1,2026-01-01,a1\n2,2026-01-09,a2\n2,2026-01-02,a3\n4,,a4\nx,,a5\n',
    'b.csv': 'id,day,note\n1,2026-01-05,b1\n3,2026-01-01,b2\n2,,b3\n4,,b4\n,2026-01-01,b5\n',
  }
  const keyed = (change: Partial<IngestEntry>) =>
    load(FILES, {
      contract: ORDERS.map((column) => ({ ...column, notNull: column.name === 'id' })),
      key: KEY,
      ...change,
    })

  test('are all rejected, in every file, with the others', async () => {
    const loaded = await keyed({})

    expect(values(loaded, 'note')).toEqual([['b2']])
    expect(loaded.rejects.map(({ file, record, code, column }) => [file, record, code, column])).toEqual([
      ['a.csv', 1, 'duplicate key', 'id'],
      ['a.csv', 2, 'duplicate key', 'id'],
      ['a.csv', 3, 'duplicate key', 'id'],
      ['a.csv', 4, 'duplicate key', 'id'],
      ['a.csv', 5, 'not int', 'id'],
      ['b.csv', 1, 'duplicate key', 'id'],
      ['b.csv', 3, 'duplicate key', 'id'],
      ['b.csv', 4, 'duplicate key', 'id'],
      ['b.csv', 5, 'is null', 'id'],
    ])
    expect(loaded.rejects[0]).toMatchObject({ line: 2, byteOffset: 12, rawText: '1,2026-01-01,a1' })
    expect(loaded.counts).toMatchObject({ read: 10, rows: 1, superseded: 0, rejected: 9 })
    requireBalance(loaded)
  })

  test.each<[string, Partial<IngestEntry>, string[]]>([
    ['the first one stays', { duplicates: 'keep_first' }, ['a1', 'a2', 'a4', 'b2']],
    ['the last one stays', { duplicates: 'keep_last' }, ['b1', 'b2', 'b3', 'b4']],
    [
      'the newest stays; without a date it is the oldest, and of equals the last one stays',
      { duplicates: 'keep_last', newestBy: identifier('day') },
      ['a2', 'b1', 'b2', 'b4'],
    ],
    ['upsert takes the last one', { mode: 'upsert' }, ['b1', 'b2', 'b3', 'b4']],
    ['upsert takes the newest', { mode: 'upsert', newestBy: identifier('day') }, ['a2', 'b1', 'b2', 'b4']],
  ])('leave one: %s; the others are counted as superseded', async (_what, change, notes) => {
    const loaded = await keyed(change)

    expect(new Set(values(loaded, 'note').flat())).toEqual(new Set(notes))
    expect(loaded.counts).toMatchObject({ read: 10, rows: 4, superseded: 4, rejected: 2 })
    expect(loaded.rejects.map(({ code }) => code)).toEqual(['not int', 'is null'])
    requireBalance(loaded)
  })

  test('are newest by value, not by text, where the raw table keeps the texts', async () => {
    const loaded = await load(
      { 'in.csv': 'id,version\n1,10\n1,9\n01,1\n' },
      {
        contract: contractOf({ id: 'int', version: 'int' }),
        rawAsText: true,
        key: KEY,
        duplicates: 'keep_last',
        newestBy: identifier('version'),
      },
    )

    expect(values(loaded, 'id', 'version')).toEqual([
      ['1', '10'],
      ['01', '1'],
    ])
  })

  test('are found by all columns of the key', async () => {
    const loaded = await load(
      { 'in.csv': 'id,day,note\n1,2026-01-01,a\n1,2026-01-02,b\n1,2026-01-01,c\n' },
      { contract: ORDERS, key: [identifier('id'), identifier('day')] },
    )

    expect(values(loaded, 'note')).toEqual([['b']])
    expect(reasons(loaded)).toEqual([
      [1, 'duplicate key', 'id, day'],
      [3, 'duplicate key', 'id, day'],
    ])
  })
})

describe('a file', () => {
  const TEXT = 'id,note\n1,café €\n2,"naïve, 😀"\n'
  const PLAIN = 'id,note\n1,café\n2,"naïve, é"\n'
  const NOTES = contractOf({ id: 'int', note: 'text' })
  const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')

  test.each<[string, string, Buffer, Partial<Dialect>, string[]]>([
    ['UTF-8', 'in.csv', Buffer.from(TEXT), {}, ['café €', 'naïve, 😀']],
    ['UTF-8 with a byte order mark', 'in.csv', Buffer.from(`\ufeff${TEXT}`), {}, ['café €', 'naïve, 😀']],
    ['latin1', 'in.csv', Buffer.from(PLAIN, 'latin1'), { encoding: 'latin1' }, ['café', 'naïve, é']],
    [
      'windows-1252',
      'in.csv',
      Buffer.from(PLAIN.replace('café', 'café \x80'), 'latin1'),
      { encoding: 'windows-1252' },
      ['café €', 'naïve, é'],
    ],
    ['UTF-16, little end first', 'in.csv', utf16(TEXT), { encoding: 'utf-16' }, ['café €', 'naïve, 😀']],
    ['UTF-16, big end first', 'in.csv', utf16(TEXT).swap16(), { encoding: 'utf-16' }, ['café €', 'naïve, 😀']],
    ['gzip', 'in.csv.gz', gzipSync(TEXT), {}, ['café €', 'naïve, 😀']],
    [
      'two gzip streams, one behind the other',
      'in.csv.GZ',
      Buffer.concat([gzipSync(TEXT.slice(0, 12)), gzipSync(TEXT.slice(12))]),
      {},
      ['café €', 'naïve, 😀'],
    ],
    ['zstd', 'in.csv.zst', zstdCompressSync(TEXT), {}, ['café €', 'naïve, 😀']],
    ['UTF-16 in gzip', 'in.csv.gz', gzipSync(utf16(TEXT)), { encoding: 'utf-16' }, ['café €', 'naïve, 😀']],
  ])('is read: %s', async (_what, name, bytes, change, notes) => {
    const loaded = await load({ [name]: bytes }, { contract: NOTES, ...dialect(change) })

    expect(values(loaded, 'note').flat()).toEqual(notes)
  })

  test.each([1, 2, 3])('in UTF-16 is read whole, whatever stands where its pieces end (%i)', async (shift) => {
    // A piece is a mebibyte: the pairs of the last record lie across its end.
    const filler = 'x'.repeat(512 * 1024 - 40 + shift)
    const text = `id,note\n1,${filler}\n2,${'😀'.repeat(40)}\n`

    for (const bytes of [utf16(text), utf16(text).swap16()]) {
      const loaded = await load({ 'in.csv': bytes }, { contract: NOTES, ...dialect({ encoding: 'utf-16' }) })
      expect(values(loaded, 'note').flat()).toEqual([filler, '😀'.repeat(40)])
    }
  })

  test('in UTF-16 with half a pair rejects that record alone', async () => {
    const loaded = await load(
      { 'in.csv': utf16('id,note\n1,a\ud800b\n2,c\n3,\udc00\n') },
      { contract: NOTES, ...dialect({ encoding: 'utf-16' }) },
    )

    expect(values(loaded, 'note')).toEqual([['c']])
    expect(reasons(loaded)).toEqual([
      [1, 'invalid encoding', null],
      [3, 'invalid encoding', null],
    ])
  })

  test.each(['day=2020-02-02/in.csv', 'in[1].csv', 'in*.csv', 'in?.csv', "o'r.csv", 'with blank.csv', 'é😀.csv'])(
    'may have any name: %s',
    async (name) => {
      const loaded = await load({ [name]: 'id,note\n1,own\n', 'in1.csv': 'id,note\n2,other\n' }, { contract: NOTES })

      expect(values(loaded, 'id', 'note', '_source_file')).toContainEqual(['1', 'own', name])
      expect(loaded.counts.rows).toBe(2)
    },
  )

  test.each<[string, string, string | Buffer, string, Partial<Dialect>?]>([
    ['without a byte', 'in.csv', '', 'it is empty, not even a header line is there'],
    ['of blank lines', 'in.csv', '\n\r\n', 'it is empty, not even a header line is there'],
    [
      'of a gzip stream without a byte in it',
      'in.csv.gz',
      gzipSync(''),
      'it is empty, not even a header line is there',
    ],
    ['that is a gzip stream cut short', 'in.csv.gz', gzipSync(TEXT).subarray(0, -6), 'it is not a whole gzip file'],
    ['that is cut behind a gzip header', 'in.csv.gz', gzipSync(TEXT).subarray(0, 8), 'it is not a whole gzip file'],
    ['named .gz without a byte', 'in.csv.gz', '', 'it is not a whole gzip file'],
    ['named .gz that is none', 'in.csv.gz', TEXT, 'it is not a whole gzip file'],
    [
      'that is a zstd stream cut short',
      'in.csv.zst',
      zstdCompressSync(TEXT).subarray(0, -3),
      'it is not a whole zstd file',
    ],
    [
      'with bytes behind its gzip stream',
      'in.csv.gz',
      Buffer.concat([gzipSync(TEXT), Buffer.from('4,stray\n')]),
      'it is not a whole gzip file',
    ],
    [
      'with bytes behind its zstd stream',
      'in.csv.zst',
      Buffer.concat([zstdCompressSync(TEXT), Buffer.from('4,stray\n')]),
      'more follows behind its first zstd frame',
    ],
    [
      'of UTF-16 without its mark',
      'in.csv',
      utf16(TEXT).subarray(2),
      'it has no byte order mark',
      { encoding: 'utf-16' },
    ],
    ['with a broken header', 'in.csv', 'id,"no\nte\n1,2\n', 'its header in line 1 cannot be read (unclosed quote)'],
  ])('%s is refused', async (_what, name, bytes, message, change = {}) => {
    const refused = load({ [name]: bytes }, { contract: NOTES, ...dialect(change) })

    await expect(refused).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringContaining(`${name}: ${message}`),
    })
    await expect(refused).rejects.toThrow('Nothing was loaded; correct the file and start the run again')
  })

  test('that is damaged only behind its first mebibyte is refused, too', async () => {
    const text = `id,note\n${Array.from({ length: 300_000 }, (_, n) => `${n},${Math.sin(n)}\n`).join('')}`
    const packed = gzipSync(text)

    await expect(load({ 'in.csv.gz': packed.subarray(0, -100) }, { contract: NOTES })).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringContaining('it is not a whole gzip file'),
    })
  })

  test('that unpacks to far more than its size is refused', async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from('id,note\n1,'), Buffer.alloc(70 * 1024 * 1024, '0')]))
    expect(bomb.length * 250).toBeLessThan(70 * 1024 * 1024)

    await expect(load({ 'in.csv.gz': bomb }, { contract: NOTES })).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringContaining(
        'it unpacks to more than 250 times its size; unpack it by hand if that is right',
      ),
    })
  })

  test('with a header only has no records', async () => {
    expect((await load({ 'in.csv': 'id,note\n' }, { contract: NOTES })).counts).toMatchObject({ read: 0, rows: 0 })
    expect((await load({ 'in.csv': 'id,note' }, { contract: NOTES })).counts).toMatchObject({ read: 0, rows: 0 })
  })

  test('without a header has its columns in the order of the contract', async () => {
    const headless = { contract: NOTES, ...dialect({ header: false }) }

    const loaded = await load({ 'in.csv': '1,id\n2,note\n3\n' }, headless)

    expect(values(loaded, 'id', 'note')).toEqual([
      ['1', 'id'],
      ['2', 'note'],
    ])
    expect(reasons(loaded)).toEqual([[3, 'too few fields', null]])
    await expect(load({ 'in.csv': '' }, headless)).rejects.toMatchObject({
      type: 'FileRefused',
      message: expect.stringContaining('it is empty, not a single record is there'),
    })
  })

  test('of one column has a record on every line, NULL where nothing stands', async () => {
    const loaded = await load({ 'in.csv': 'note\na\n\n""\n' }, { contract: contractOf({ note: 'text' }) })

    expect(values(loaded, 'note')).toEqual([['a'], [null], ['']])
  })
})

describe('what goes wrong on the way', () => {
  const BIG = { 'in.csv': `id,day,note\n${'1,2026-01-05,abcdefghijklmnopqrstuvwxyz\n'.repeat(400_000)}` }
  const threads = () => process.getActiveResourcesInfo().filter((name) => /Worker|MessagePort/.test(name)).length

  test('a file that is written to while it is read fails the load as changed', async () => {
    await withStream(BIG, { contract: ORDERS }, async ({ stream, engine, folder }) => {
      const rows = stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))
      await appendFile(path.join(folder, 'in', 'in.csv'), '"')

      await expect(rows).rejects.toMatchObject({ type: 'FileChanged', message: expect.stringContaining('in.csv') })
    })
  })

  test('an abort ends thread and statement, and its reason is told', async () => {
    await withStream(BIG, { contract: ORDERS }, async ({ stream, engine, abort }) => {
      const before = threads()
      const rows = stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))
      setTimeout(() => {
        abort.abort(new Error('cancelled in the middle'))
        engine.interrupt()
      }, 150)

      await expect(rows).rejects.toThrow('cancelled in the middle')
      expect(threads()).toBe(before)
      expect(await engine.rows('SELECT 1 AS n')).toEqual([{ n: 1 }])
    })
  })

  test('an abort before it began ends it, too', async () => {
    await withStream(BIG, { contract: ORDERS }, async ({ stream, engine, abort }) => {
      abort.abort(new Error('cancelled before'))
      engine.interrupt()

      await expect(stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))).rejects.toThrow(
        'cancelled before',
      )
    })
  })

  test.each([
    [
      'that cannot be planned, in a small file',
      { 'in.csv': 'id,day,note\n1,,\n' },
      'nowhere',
      /nowhere does not exist/,
    ],
    ['that cannot be planned, in a large file', BIG, 'nowhere', /nowhere does not exist/],
    ['that stops in the middle', BIG, 'narrow', /CHECK constraint/],
  ])('a statement %s neither hangs nor leaves a thread', async (_what, files, table, message) => {
    await withStream(files, { contract: ORDERS }, async ({ stream, engine }) => {
      const before = threads()
      await engine.run('CREATE TABLE narrow (id INT CHECK (id < 0))')

      const rows = stream.rows((query) => engine.run(`INSERT INTO ${table} SELECT id FROM (${query})`))

      await expect(rows).rejects.toThrow(message)
      expect(threads()).toBe(before)
    })
  })

  test('a stream goes on after a statement that failed', async () => {
    await withStream({ 'in.csv': 'id,day,note\n1,,\nx,,\n' }, { contract: ORDERS }, async ({ stream, engine }) => {
      await expect(stream.rows((query) => engine.run(`INSERT INTO nowhere ${query}`))).rejects.toThrow('nowhere')

      expect(await stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))).toMatchObject({
        rows: 1,
        rejected: 1,
      })
      expect(await engine.rows('SELECT id FROM accepted')).toEqual([{ id: 1 }])
    })
  })

  test('a file that another process keeps growing is never half loaded', async () => {
    await withStream(BIG, { contract: ORDERS }, async ({ stream, engine, folder }) => {
      appendFileSync(path.join(folder, 'in', 'in.csv'), ' ')

      await expect(stream.rows((query) => engine.run(`INSERT INTO accepted ${query}`))).rejects.toMatchObject({
        type: 'FileChanged',
      })
    })
  })
})
