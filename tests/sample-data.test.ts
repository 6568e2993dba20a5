// The committed sample data is what the generator writes, and what sample-truth.json says of it is so.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeSampleData, type SampleTruth } from '../tools/sample-data/generate.ts'

const root = join(import.meta.dirname, '..')
const truthPath = 'tests/fixtures/sample-truth.json'
const truth: SampleTruth = JSON.parse(readFileSync(join(root, truthPath), 'utf8'))
const files = Object.entries(truth.files)

describe('the generator', () => {
  const out = mkdtempSync(join(tmpdir(), 'millrace-sample-data-'))
  afterAll(() => rmSync(out, { recursive: true }))

  test('writes exactly the committed files', () => {
    writeSampleData(out)

    const written = readdirSync(join(out, 'data/inbox')).map((name) => `data/inbox/${name}`)
    expect(written.toSorted()).toEqual(files.map(([path]) => path).toSorted())
    const industry = readdirSync(join(out, 'data/dwh-sig')).map((name) => `data/dwh-sig/${name}`)
    expect(readdirSync(join(root, 'data/dwh-sig')).length).toBe(industry.length)
    const differing = [...written, ...industry, truthPath, 'tests/fixtures/industry-truth.json'].filter(
      (path) => !readFileSync(join(out, path)).equals(readFileSync(join(root, path))),
    )
    expect(differing).toEqual([])
  })
})

describe.each(files)('%s', (path, expected) => {
  const [header = [], ...records] = readRecords(readFileSync(join(root, path), 'utf8'))
  const kinds = records.map((fields) => kindOfDamage(header, fields))
  const good = records.filter((_, index) => kinds[index] === undefined)

  test('holds the stated number of records', () => {
    expect(records.length).toBe(expected.records)
  })

  test('is broken in the stated records and nowhere else, and that is well below one per cent', () => {
    const broken = kinds.flatMap((kind, index) => (kind === undefined ? [] : [{ record: index + 1, kind }]))

    expect(broken).toEqual(expected.broken.map(({ record, kind }) => ({ record, kind })))
    expect(broken.length).toBeLessThan(records.length / 200)
  })

  test('has the stated missing values and empty texts', () => {
    expect(countByColumn(header, good, '')).toEqual(expected.nulls)
    expect(countByColumn(header, good, '""')).toEqual(expected.emptyTexts)
  })
})

test('no id occurs twice in all files of a kind', () => {
  for (const kind of ['viewing_logs', 'social_interactions']) {
    const paths = files.map(([path]) => path).filter((path) => path.includes(kind))
    const ids = paths.flatMap((path) =>
      readRecords(readFileSync(join(root, path), 'utf8'))
        .slice(1)
        .map(([id]) => id),
    )
    expect(new Set(ids).size).toBe(ids.length)
  }
})

/** Records of fields as they stand in the file, quotes included. */
function readRecords(text: string): string[][] {
  const records: string[][] = [[]]
  for (const [, field = '', end] of text.matchAll(/("(?:[^"]|"")*"|[^,\n]*)([,\n])/gy)) {
    records.at(-1)?.push(field)
    if (end === '\n') records.push([])
  }
  return records.slice(0, -1)
}

function kindOfDamage(header: readonly string[], fields: readonly string[]): string | undefined {
  if (fields.length < header.length) return 'too-few-fields'
  if (fields.length > header.length) return 'too-many-fields'
  if (fields.some((field) => !field.startsWith('"') && field.includes('"'))) return 'bare-quote'
  const has = (pattern: RegExp, column: RegExp): boolean =>
    fields.every((field, index) => !column.test(header[index] ?? '') || field === '' || pattern.test(field))
  if (!has(/^\d+$/, /_seconds$|^log_position$/)) return 'not-an-integer'
  if (!has(/^\d+(\.\d+)?$/, /^rating$|_mbps$/)) return 'not-a-number'
  const moments = fields.filter((_, index) => header[index]?.endsWith('_at'))
  return moments.every(isPossible) ? undefined : 'impossible-timestamp'
}

/** JavaScript takes 30 February for 2 March, so the wall clock must survive the way there and back. */
function isPossible(moment: string): boolean {
  const wallClock = `${moment.slice(0, 19)}Z`
  const parsed = new Date(wallClock)
  return !Number.isNaN(parsed.valueOf()) && parsed.toISOString().slice(0, 19) === wallClock.slice(0, 19)
}

function countByColumn(header: readonly string[], records: readonly string[][], field: string): Record<string, number> {
  const counts = header.map(
    (column, index) => [column, records.filter((fields) => fields[index] === field).length] as const,
  )
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}
