// A week of pipelines whose data adds up, with late records and a corrected day: in the end the marts are those of a full rebuild.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { streamingFiles } from '../../tools/sample-data/generate.ts'
import { simulateDays } from '../support/simulated-days.ts'

const WEEK = ['2026-11-17', '2026-11-18', '2026-11-19', '2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23'] as const
const [FIRST, , CORRECTED, , , , LAST] = WEEK
const TABLES = ['analytics_dev.mart_users', 'analytics_dev.mart_content_performance']

/** All but by which load, and on which day, a row came. */
const INVOICES = '(select * exclude (exportee_le, _load_id) from analytics_dev.fait_factures)'
const MARTS = 'analytics_dev_dwh_marts'
const RECEIVABLES = `(select * exclude (exportee_le) from ${MARTS}_financier.mart_creances_agees)`
const INDUSTRY_TABLES = [
  INVOICES,
  RECEIVABLES,
  `(select * exclude (exportee_le) from ${MARTS}_financier.mart_indemnisations)`,
  `(select * exclude (exportee_le) from ${MARTS}_operationnel.mart_implantation_suivi)`,
  `(select * exclude (exportee_le) from ${MARTS}_operationnel.mart_emplois_crees)`,
]

const invoiceFile = (root: string, day: string) => path.join(root, `data/dwh-sig/factures-${day}.csv`)

/** Each day pays forty invoices of the first one, some of them again, and brings five new ones. */
async function writeInvoices(root: string): Promise<void> {
  const [header = '', ...invoices] = (await readFile(invoiceFile(root, FIRST), 'utf8')).trimEnd().split('\n')
  for (const [number, day] of WEEK.slice(1).entries()) {
    const paid = invoices.slice(number * 30, number * 30 + 40).map((line) => {
      const [id, attribution, issued, due, amount] = line.split(',')
      return [id, attribution, issued, due, amount, amount, `${day} 08:00:00`].join(',')
    })
    const added = invoices.slice(number * 5, number * 5 + 5).map((line, index) => {
      const [, attribution, , , amount] = line.split(',')
      return [`G${number}${index}`, attribution, day, day, amount, '0.00', `${day} 09:00:00`].join(',')
    })
    await writeFile(invoiceFile(root, day), `${[header, ...paid, ...added].join('\n')}\n`)
  }
}

/** Of what that day paid, a hundredth was not. */
async function correctInvoices(root: string): Promise<string> {
  const file = invoiceFile(root, CORRECTED)
  const text = await readFile(file, 'utf8')
  const corrected = text.split('\n').map((line) => {
    const [id, attribution, issued, due, amount, paid, changed = ''] = line.split(',')
    if (!changed.endsWith('08:00:00')) return line
    const rest = (Number(paid) * 0.99).toFixed(2)
    return [id, attribution, issued, due, amount, rest, `${CORRECTED} 10:00:00`].join(',')
  })
  await writeFile(file, corrected.join('\n'))
  return CORRECTED
}

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

test('seven days of invoices, paid and corrected, built incrementally, leave the facts and marts of a full rebuild', async () => {
  const { before, after, rebuilt } = await simulateDays({
    pipeline: 'daily-incremental',
    days: WEEK,
    builtOn: [FIRST, LAST],
    write: writeInvoices,
    correct: correctInvoices,
    tables: INDUSTRY_TABLES,
  })
  for (const table of INDUSTRY_TABLES) expect(after[table]).toEqual(rebuilt[table])
  expect(after[INVOICES]).toHaveLength(300 + 6 * 5)
  for (const table of [INVOICES, RECEIVABLES]) expect(after[table]).not.toEqual(before[table])
}, 600_000)
