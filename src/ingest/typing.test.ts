// Typing a clean file: columns go by name, rejects carry the right numbers, and the file's name says nothing. On a real DuckDB.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseColumnType } from '../pipeline/column-type.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { ContractColumn } from '../pipeline/plan.ts'
import { openEngine, type Engine } from '../platform/duckdb.ts'
import { IS_GOOD, RECORD_COLUMN, TYPED_TABLE, typeFile } from './typing.ts'

let folder = ''
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-typing-'))
  engine = await openEngine({ scratchDir: folder })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true })
})

function contract(columns: Readonly<Record<string, string>>): ContractColumn[] {
  return Object.entries(columns).map(([name, type]) => ({
    name: identifier(name),
    type: parseColumnType(type) ?? { kind: 'string' },
    origin: 'pipeline',
  }))
}

const ORDERS = contract({ id: 'int', day: 'date', note: 'string' })

async function type(text: string, header: readonly string[], records: number, at = 'orders.csv', numbered = false) {
  const file = path.join(folder, at)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, text)
  return await typeFile(engine, { path: file, header, numbered, records }, ORDERS)
}

async function goodRows() {
  return await engine.rows(
    `SELECT ${RECORD_COLUMN}::INT AS record, id, day::VARCHAR AS day, note FROM ${TYPED_TABLE} WHERE ${IS_GOOD} ORDER BY 1`,
  )
}

test("columns are read by their names, whatever the file's order", async () => {
  await type('note,day,id\nx,2026-01-05,7\n', ['note', 'day', 'id'], 1)

  expect(await goodRows()).toEqual([{ record: 1, id: 7, day: '2026-01-05', note: 'x' }])
})

test('a reject names the record, the column and the value; the good rows keep their numbers', async () => {
  const text = 'id,day,note\n1,2026-01-05,a\nx,2026-01-05,b\n3,2026-02-30,c\n4,,\n'

  const rejects = await type(text, ['id', 'day', 'note'], 4)

  expect(rejects).toEqual([
    { recordNumber: 2, column: 'id', message: "'x' is not an int" },
    { recordNumber: 3, column: 'day', message: "'2026-02-30' is not a date" },
  ])
  expect(await goodRows()).toEqual([
    { record: 1, id: 1, day: '2026-01-05', note: 'a' },
    { record: 4, id: 4, day: null, note: null },
  ])
})

test('a record with several wrong values is one reject', async () => {
  expect(await type('id,day,note\nx,y,z\n', ['id', 'day', 'note'], 1)).toHaveLength(1)
})

test("a copy's records bring their numbers along", async () => {
  // The first line end of the file is one inside quotes.
  const copy = '3,1,2026-01-05,"\r\n"\n7,x,2026-01-05,a\n12,3,2026-01-06,b\n'

  const rejects = await type(copy, ['id', 'day', 'note'], 3, 'copy.csv', true)

  expect(rejects.map(({ recordNumber }) => recordNumber)).toEqual([7])
  expect(await goodRows()).toEqual([
    { record: 3, id: 1, day: '2026-01-05', note: '\r\n' },
    { record: 12, id: 3, day: '2026-01-06', note: 'b' },
  ])
})

test.each([
  ['LF', '\n'],
  ['CRLF', '\r\n'],
])('many records keep their numbers: %s', async (_name, end) => {
  const numbers = Array.from({ length: 20_000 }, (_, index) => index + 1)
  const text = numbers.map((n) => `${n % 1000 === 0 ? 'x' : n},2026-01-05,${n % 2 ? 'a' : '"a\nb"'}${end}`).join('')

  const rejects = await type(`id,day,note${end}${text}`, ['id', 'day', 'note'], 20_000)

  expect(rejects.map(({ recordNumber }) => recordNumber)).toEqual(numbers.filter((n) => n % 1000 === 0))
  const [counted] = await engine.rows(
    `SELECT count(*)::INT AS good, count(*) FILTER (WHERE id <> ${RECORD_COLUMN})::INT AS wrong FROM ${TYPED_TABLE} WHERE ${IS_GOOD}`,
  )
  expect(counted).toEqual({ good: 19_980, wrong: 0 })
})

test('when DuckDB counts other records than the scan did, nothing is loaded', async () => {
  await expect(type('id,day,note\n1,,\n2,,\n', ['id', 'day', 'note'], 3)).rejects.toMatchObject({
    type: 'CountsDisagree',
    message: expect.stringContaining("our scan found 3 sound records, DuckDB's reader 2"),
  })
})

test('a table of texts only rejects nothing', async () => {
  const file = path.join(folder, 'texts.csv')
  await writeFile(file, 'a\nx\n')

  const rejects = await typeFile(
    engine,
    { path: file, header: ['a'], numbered: false, records: 1 },
    contract({ a: 'text' }),
  )

  expect(rejects).toEqual([])
})

describe("the file's name is only a name", () => {
  test.each(['day=2020-02-02/orders.csv', 'orders[1].csv', 'orders*.csv', 'orders?.csv', 'orders.csv.gz', "o'r.csv"])(
    '%s',
    async (at) => {
      // What the name would match if it were a pattern.
      await writeFile(path.join(folder, 'orders1.csv'), 'id,day,note\n2,2026-01-06,other\n')

      await type('id,day,note\n1,2026-01-05,own\n', ['id', 'day', 'note'], 1, at)

      expect(await goodRows()).toEqual([{ record: 1, id: 1, day: '2026-01-05', note: 'own' }])
    },
  )
})
