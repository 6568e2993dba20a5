// The file that the load benchmarks read: rows of a watch log, as large as asked for.
import { closeSync, openSync, writeSync } from 'node:fs'

export const TYPES = {
  event_id: 'bigint',
  user_id: 'string',
  content_id: 'int',
  started_at: 'timestamp',
  minutes: 'double',
  title: 'string',
  finished: 'boolean',
  day: 'date',
  device: 'string',
}

/** Rows of a watch log; `quoted`: two of the nine fields are, one of them with a comma and doubled quotes in it. */
export function writeSample(file: string, bytes: number, quoted: boolean): void {
  const out = openSync(file, 'w')
  let written = writeSync(out, `${Object.keys(TYPES).join(',')}\n`)
  const devices = ['mobile', 'tv', 'desktop']
  for (let i = 0; written < bytes;) {
    const lines: string[] = []
    for (let line = 0; line < 10_000; line++, i++) {
      const at = new Date(Date.UTC(2026, 0, 1) + (i % 2_592_000) * 1000).toISOString()
      const title = quoted ? `"Title, with ""${i}"""` : `Some title ${i % 977}`
      const device = quoted ? `"${devices[i % 3]}"` : devices[i % 3]
      lines.push(
        `${i},u${(i * 7919) % 100_000},${(i * 31) % 5000},${at.slice(0, 10)} ${at.slice(11, 19)},${((i % 7200) / 60).toFixed(2)},${title},${i % 3 === 0},${at.slice(0, 10)},${device}`,
      )
    }
    written += writeSync(out, `${lines.join('\n')}\n`)
  }
  closeSync(out)
}
