// Files as bad as they come (tests/fixtures/malformed): each gets the verdict that stands beside it, through `millrace inspect`'s own path.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { inspectFile } from '../src/ingest/inspect.ts'
import { describeFailure } from '../src/pipeline/failure.ts'
import { DEFAULT_DIALECT, type Dialect } from '../src/pipeline/dialect.ts'
import { openEngine } from '../src/platform/duckdb.ts'
import { openLocalFile } from '../src/sources/local.ts'
import { contractOf, ingestEntry } from './support/ingest-entry.ts'

const CORPUS = fileURLToPath(new URL('fixtures/malformed', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-malformed-'))
afterAll(() => rmSync(folder, { recursive: true }))

const expectedSchema = z.record(
  z.string(),
  z.strictObject({
    what: z.string(),
    dialect: z.record(z.string(), z.unknown()).default({}),
    loads: z.int().optional(),
    /** Code → records. */
    rejects: z.record(z.string(), z.int()).default({}),
    /** A part of the reason. */
    refused: z.string().optional(),
  }),
)
const expected = expectedSchema.parse(JSON.parse(readFileSync(path.join(CORPUS, 'expected.json'), 'utf8')))

test('every file of the corpus has its verdict', () => {
  expect(Object.keys(expected).toSorted()).toEqual(
    readdirSync(CORPUS)
      .filter((name) => name !== 'expected.json')
      .toSorted(),
  )
})

test.each(Object.entries(expected))('%s', async (name, { dialect, loads, rejects, refused }) => {
  const entry = ingestEntry({
    contract: contractOf({ id: 'string', name: 'string', qty: 'string' }),
    dialect: { ...DEFAULT_DIALECT, ...(dialect as Partial<Dialect>) }, // from our own file
  })
  const engine = await openEngine({ scratchDir: folder })
  const scratchDir = mkdtempSync(path.join(folder, 'scratch-'))
  const file = await openLocalFile(CORPUS, name)
  try {
    const place = { engine, scratchDir, abort: new AbortController().signal, onProgress: () => undefined }
    const told = await inspectFile(entry, { name, file }, place).then(
      ({ counts, reasons }) => {
        expect(counts.read).toBe(counts.rows + counts.rejected)
        return { loads: counts.rows, rejects: Object.fromEntries(reasons.map(({ code, count }) => [code, count])) }
      },
      (error: unknown) => {
        const { message } = describeFailure(error)
        return { refused: refused !== undefined && message.includes(refused) ? refused : message }
      },
    )
    expect(told).toEqual(refused === undefined ? { loads, rejects } : { refused })
  } finally {
    await file.handle.close()
    engine.close()
  }
})
