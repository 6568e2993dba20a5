// Writes the sample exports into data/inbox and data/dwh-sig, and what is true of them into tests/fixtures/: the same bytes every time.
//
//   node tools/sample-data/generate.ts [--out DIR]      DIR takes the place of the project's root folder
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { exportDates, socialInteractions, viewingLogs } from './exports.ts'
import { dayFiles, type DayFile, type FileTruth } from './files.ts'
import { industryData } from './industry.ts'
import { interactionsOn, type Interaction } from './social.ts'
import { dateOf, dayMs, startOf } from './time.ts'
import { viewingsOn, type Viewing } from './viewing.ts'

const daysBefore = 2 // also happen, and their late records are in the first exports

/** What all exports up to a date hold together, broken records left out. */
type TruthThrough = {
  readonly viewings: number
  readonly interactions: number
  readonly users: number
  readonly contents: number
  readonly watchedSeconds: number
}

export type SampleTruth = {
  readonly files: Readonly<Record<string, FileTruth>>
  readonly through: Readonly<Record<string, TruthThrough>>
}

/** Writes all files below `root`. */
export function writeSampleData(root: string): void {
  const { viewingFiles, interactionFiles } = streamingFiles(exportDates)
  const files = [...viewingFiles, ...interactionFiles]
  const truth: SampleTruth = {
    files: Object.fromEntries(files.map(({ path, truth }) => [path, truth])),
    through: Object.fromEntries(exportDates.map((date) => [date, truthThrough(date, viewingFiles, interactionFiles)])),
  }
  for (const { path, text } of files) writeFile(join(root, path), text)
  writeFile(join(root, 'tests/fixtures/sample-truth.json'), `${JSON.stringify(truth, null, 2)}\n`)
  const industry = industryData()
  for (const [path, text] of Object.entries(industry.files)) writeFile(join(root, path), text)
  writeFile(join(root, 'tests/fixtures/industry-truth.json'), `${JSON.stringify(industry.truth, null, 1)}\n`)
}

/** Both exports of each of these days, which follow each other. */
export function streamingFiles(dates: readonly [string, ...string[]]) {
  const first = startOf(dates[0]) - daysBefore * dayMs
  const happened = Array.from({ length: daysBefore + dates.length }, (_, day) => {
    const date = dateOf(first + day * dayMs)
    const viewings = viewingsOn(date)
    return { viewings, interactions: interactionsOn(date, viewings) }
  })
  const allViewings = happened.flatMap(({ viewings }) => viewings)
  const allInteractions = happened.flatMap(({ interactions }) => interactions)
  return {
    viewingFiles: dayFiles(viewingLogs, allViewings, dates),
    interactionFiles: dayFiles(socialInteractions, allInteractions, dates),
  }
}

function truthThrough(
  date: string,
  viewingFiles: readonly DayFile<Viewing>[],
  interactionFiles: readonly DayFile<Interaction>[],
): TruthThrough {
  const viewings = viewingFiles.filter((file) => file.date <= date).flatMap(({ good }) => good)
  const interactions = interactionFiles.filter((file) => file.date <= date).flatMap(({ good }) => good)
  const all = [...viewings, ...interactions]
  return {
    viewings: viewings.length,
    interactions: interactions.length,
    users: new Set(all.map(({ person }) => person.userId)).size,
    contents: new Set(all.map(({ content }) => content.contentId)).size,
    watchedSeconds: viewings.reduce((sum, { watchedSeconds }) => sum + watchedSeconds, 0),
  }
}

function writeFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

if (import.meta.main) {
  const projectRoot = join(import.meta.dirname, '../..')
  const { values } = parseArgs({ options: { out: { type: 'string', default: projectRoot } } })
  writeSampleData(values.out)
}
