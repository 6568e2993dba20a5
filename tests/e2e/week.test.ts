// A week of the daily pipeline, with late records and a corrected day: in the end the marts are those of a full rebuild.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { streamingFiles } from '../../tools/sample-data/generate.ts'
import { simulateDays } from '../support/simulated-days.ts'

const WEEK = ['2026-11-17', '2026-11-18', '2026-11-19', '2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23'] as const
const [FIRST, , CORRECTED, , , , LAST] = WEEK
const TABLES = ['analytics_dev.mart_users', 'analytics_dev.mart_content_performance']

async function writeWeek(root: string): Promise<void> {
  const { viewingFiles, interactionFiles } = streamingFiles(WEEK)
  for (const file of [...viewingFiles, ...interactionFiles]) await writeFile(path.join(root, file.path), file.text)
}

/** The day comes again without a tenth of its viewings. */
async function correctDay(root: string): Promise<string> {
  const file = path.join(root, `data/inbox/viewing_logs-${CORRECTED}.csv`)
  const lines = (await readFile(file, 'utf8')).split('\n')
  await writeFile(file, lines.filter((_, index) => index < lines.length * 0.9).join('\n') + '\n')
  return CORRECTED
}

test('seven days and a corrected one leave, row by row, the marts of a full rebuild', async () => {
  const { before, after, rebuilt } = await simulateDays({
    pipeline: 'daily',
    days: WEEK,
    builtOn: [FIRST, LAST],
    write: writeWeek,
    correct: correctDay,
    tables: TABLES,
  })
  for (const table of TABLES) {
    expect(after[table]?.length).toBeGreaterThan(100)
    expect(after[table]).toEqual(rebuilt[table])
    // The correction is seen, so that it is no rebuild of the same.
    expect(after[table]).not.toEqual(before[table])
  }
}, 600_000)
