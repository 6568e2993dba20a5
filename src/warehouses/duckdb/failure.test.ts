// DuckDB's error texts, met on the real thing, and what they mean here.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { failure } from '../../pipeline/failure.ts'
import { openEngine, quoteText } from '../../platform/duckdb.ts'
import { startGroup } from '../../platform/subprocess.ts'
import { INSTALLATION } from '../../platform/workspace.ts'
import { asDuckdbFailure } from './failure.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-failure-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** What attaching the file fails with. */
async function attachFailure(file: string) {
  const engine = await openEngine({ scratchDir: folder })
  try {
    await engine.run(`ATTACH ${quoteText(file)} AS w`)
    return undefined
  } catch (error) {
    return asDuckdbFailure(error, file)
  } finally {
    engine.close()
  }
}

test('a file that another process holds is busy, and another try can help', async () => {
  const file = path.join(folder, 'held.duckdb')
  const program = 'import duckdb, sys; held = duckdb.connect(sys.argv[1]); print("open", flush=True); sys.stdin.read()'
  const stop = new AbortController()
  const stdoutFile = path.join(folder, 'held.out')
  const outputs = { stdoutFile, stderrFile: path.join(folder, 'held.err') }
  const holder = await startGroup(
    { file: INSTALLATION.python, args: ['-c', program, file], cwd: folder, env: {}, ...outputs },
    stop.signal,
  )
  try {
    await vi.waitFor(async () => expect(await readFile(stdoutFile, 'utf8')).toBe('open\n'), 10_000)

    expect(await attachFailure(file)).toMatchObject({
      type: 'WarehouseBusy',
      message: expect.stringMatching(
        /^.*held\.duckdb is open in .*; DuckDB lets only one program write\. Close it there$/,
      ),
    })
  } finally {
    stop.abort()
    await holder.ended
  }
})

test('a file of something else is refused with the place to correct', async () => {
  const file = path.join(folder, 'notes.duckdb')
  await writeFile(file, 'no database at all, but long enough to be looked at '.repeat(300))

  expect(await attachFailure(file)).toMatchObject({
    type: 'ProfileInvalid',
    message: `${file} is not a DuckDB database; correct \`path\` in profiles.yml`,
  })
})

test('a folder that does not exist is a failure that names the file', async () => {
  expect(await attachFailure(path.join(folder, 'no', 'w.duckdb'))).toMatchObject({
    type: 'WarehouseFailed',
    message: expect.stringMatching(/^DuckDB could not work on .*no\/w\.duckdb: IO Error: Cannot open file/),
  })
})

describe('by its text', () => {
  test.each([
    [
      'IO Error: Could not set lock on file "w.duckdb": Conflicting lock is held in /usr/bin/duckdb (PID 42). See also x',
      'WarehouseBusy',
      'w is open in /usr/bin/duckdb (process 42); DuckDB lets only one program write. Close it there',
    ],
    [
      'IO Error: Could not set lock on file "w.duckdb": Resource temporarily unavailable',
      'WarehouseBusy',
      'w is open in another program; DuckDB lets only one program write. Close it there',
    ],
    [
      'IO Error: Could not write all bytes to file "w.duckdb.wal": No space left on device',
      'DiskFull',
      'no space left on the disk of w; free some and start the run again',
    ],
    ['Catalog Error: odd', 'WarehouseFailed', 'DuckDB could not work on w: Catalog Error: odd'],
  ])('%s', (text, type, message) => {
    expect(asDuckdbFailure(new Error(text), 'w')).toMatchObject({ type, message })
  })
})

test('a failure of our own stays what it is', () => {
  const own = failure('CountsDisagree', 'x')

  expect(asDuckdbFailure(own, 'w')).toBe(own)
})
