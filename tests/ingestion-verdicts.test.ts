// The table of verdicts in docs/ingestion.md: each row's file is inspected, and must get the verdict that stands there.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { inspectFile } from '../src/ingest/inspect.ts'
import { dialectOf, pipelineSchema } from '../src/pipeline/definition.ts'
import { describeFailure } from '../src/pipeline/failure.ts'
import { openEngine } from '../src/platform/duckdb.ts'
import { openLocalFile } from '../src/sources/local.ts'
import { contractOf, ingestEntry } from './support/ingest-entry.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-verdicts-'))
afterAll(() => rmSync(folder, { recursive: true }))

const declaredSchema = z.strictObject({
  match: z.enum(['strict', 'ignore_extra', 'evolve']).default('strict'),
  optional: z.array(z.string()).default([]),
  dialect: z.unknown().default({}),
})

const rows = readFileSync(new URL('../docs/ingestion.md', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => /^\| (.+?) \| (?:`(.*?)`)? ?\| `(.*)` \| (loads .*|refused: .*) \|$/.exec(line))
  .filter((match) => match !== null)
  .map(([, what = '', declared = '', file = '', verdict = '']) => ({ what, declared, file: unescape(file), verdict }))

/** `\n`, `\r`, `\\` and `\uXXXX`; everything else stands as it is. */
function unescape(text: string): string {
  return text.replaceAll(/\\(n|r|\\|u([0-9a-f]{4}))/g, (_all, escape: string, code?: string) => {
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16))
    return { n: '\n', r: '\r' }[escape] ?? '\\'
  })
}

test('the table is found', () => {
  expect(rows.length).toBeGreaterThan(35)
})

test.each(rows)('$what ($declared): $verdict', async ({ declared, file, verdict }) => {
  writeFileSync(path.join(folder, 'in.csv'), file)
  const { match, optional, dialect } = declaredSchema.parse(parse(`{ ${declared} }`))
  const definition = pipelineSchema.parse({
    name: 'x',
    dbt: { project_dir: 'dbt' },
    steps: [{ ingest: [{ into: 'raw.x', files: 'in.csv', dialect }] }],
  })
  const written = definition.steps[0]?.ingest?.[0]?.dialect
  if (written === undefined) throw new Error('the entry is there')
  const contract = contractOf({ id: 'string', name: 'string' }).map((column) => ({
    ...column,
    optional: optional.includes(column.name),
  }))
  const entry = ingestEntry({ contract, extraColumns: match, dialect: dialectOf(written) })
  const engine = await openEngine({ scratchDir: folder })
  const scratchDir = mkdtempSync(path.join(folder, 'scratch-'))
  const opened = await openLocalFile(folder, 'in.csv')
  try {
    const place = { engine, scratchDir, abort: new AbortController().signal, onProgress: () => undefined }
    const told = await inspectFile(entry, { name: 'in.csv', file: opened }, place).then(
      ({ counts, reasons }) => {
        expect(counts.read).toBe(counts.rows + counts.rejected)
        expect(reasons.reduce((sum, { count }) => sum + count, 0)).toBe(counts.rejected)
        const rejects =
          counts.rejected === 0 ? '' : `, rejects ${counts.rejected}: ${reasons.map(({ code }) => code).join(', ')}`
        return `loads ${counts.rows}${rejects}`
      },
      (error: unknown) => `refused: ${describeFailure(error).type}`,
    )
    expect(told).toBe(verdict)
  } finally {
    await opened.handle.close()
    engine.close()
  }
})
