// The log of a run keeps whole lines whatever happens to its writers, and can be read while it grows.
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRunLog, readRunLog, type RunEvent } from './run-log.ts'

let root: string
let folder: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-log-'))
  folder = path.join(root, 'runs', 'daily-1', 'run')
})
afterEach(() => rm(root, { recursive: true }))

const file = () => path.join(folder, 'events.jsonl')
const info = (text: string) => ({ step: 'ingest', level: 'info' as const, text })

async function texts(events: AsyncIterable<RunEvent> = readRunLog(folder)): Promise<string[]> {
  const found: string[] = []
  for await (const { text } of events) found.push(text)
  return found
}

describe('writing', () => {
  test('an entry becomes one line of JSON with its time, and the folder is made for it', async () => {
    const log = openRunLog(folder)
    log.append({ step: 'dbt-run', attempt: '1.1', level: 'warn', text: 'two\nlines' })
    log.close()

    const [line = '', ...rest] = (await readFile(file(), 'utf8')).split('\n')
    expect(rest).toEqual([''])
    expect(JSON.parse(line)).toEqual({
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      step: 'dbt-run',
      attempt: '1.1',
      level: 'warn',
      text: 'two\nlines',
    })
  })

  test('a log that is opened and never written to leaves nothing', async () => {
    openRunLog(folder).close()
    await expect(readFile(file())).rejects.toThrow('ENOENT')
  })

  test('what looks like a secret is not written', async () => {
    openRunLog(folder).append(info('connecting with password=hunter2secret'))
    expect(await readFile(file(), 'utf8')).not.toContain('hunter2secret')
  })

  test('several writers keep their lines whole and in their order', async () => {
    const logs = [openRunLog(folder), openRunLog(folder), openRunLog(folder)]
    for (let n = 0; n < 200; n++) logs[n % 3]?.append(info(`${n} ${'ä'.repeat(n * 50)}`))

    const read = (await texts()).map((text) => Number(text.split(' ')[0]))
    expect(read).toEqual(Array.from({ length: 200 }, (_none, n) => n))
  })

  test('a line that cannot be written is lost, and nothing else: no error, and later lines come', async () => {
    await mkdir(path.dirname(folder), { recursive: true })
    await writeFile(folder, 'a file where the folder should be')
    const log = openRunLog(folder)
    log.append(info('lost'))
    await rm(folder)
    log.append(info('kept'))
    expect(await texts()).toEqual(['kept'])
  })

  test.skipIf(!existsSync('/dev/full'))('a full disk costs lines, not the run', async () => {
    await mkdir(folder, { recursive: true })
    await symlink('/dev/full', file())
    const log = openRunLog(folder)
    expect(() => log.append(info('x'))).not.toThrow()
    expect(() => log.close()).not.toThrow()
  })
})

describe('a writer that was killed in the middle of a line', () => {
  const torn = '{"at":"2026-11-18T00:00:00.000Z","step":"ing'

  test('loses that line only: the next writer begins one of its own', async () => {
    openRunLog(folder).append(info('first'))
    await appendFile(file(), torn)
    const next = openRunLog(folder)
    next.append(info('second'))
    next.append(info('third'))

    expect(await texts()).toEqual(['first', 'second', 'third'])
    expect((await readFile(file(), 'utf8')).split('\n')).toHaveLength(5)
  })

  test('does not stop a reader', async () => {
    openRunLog(folder).append(info('first'))
    await appendFile(file(), torn)
    expect(await texts()).toEqual(['first'])
  })
})

describe('reading', () => {
  test('a run without a log has no events', async () => {
    expect(await texts()).toEqual([])
  })

  test('lines that are no events are passed over', async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(
      file(),
      'not json\n\n[]\nnull\n{"at":1,"step":"x","level":"info","text":"t"}\n{"at":"","step":"x"}\n',
    )
    expect(await texts()).toEqual([])
  })

  test('a character that two chunks share stays whole', async () => {
    const log = openRunLog(folder)
    log.append(info('x'))
    log.append(info('é'.repeat(100_000)))
    log.append(info('y'))
    expect(await texts()).toEqual(['x', 'é'.repeat(100_000), 'y'])
  })

  test('following waits for a file that is not there yet, and gives each line once, torn ones when they are whole', async () => {
    const seen: string[] = []
    let over = false
    const reading = (async () => {
      for await (const { text } of readRunLog(folder, () => over)) seen.push(text)
    })()
    const until = async (count: number) => {
      while (seen.length < count) await pause(20)
    }

    await pause(250)
    expect(seen).toEqual([])
    openRunLog(folder).append(info('one'))
    await until(1)
    const line = JSON.stringify({ at: '2026-11-18T00:00:00.000Z', ...info('two') })
    await appendFile(file(), line.slice(0, 30))
    await pause(450)
    expect(seen).toEqual(['one'])
    await appendFile(file(), `${line.slice(30)}\n`)
    await until(2)
    over = true
    await reading
    expect(seen).toEqual(['one', 'two'])
  })

  test('what was written before the end was told is still given', async () => {
    const log = openRunLog(folder)
    let asked = 0
    const isOver = () => {
      log.append(info(`line ${++asked}`))
      return asked === 2
    }
    expect(await texts(readRunLog(folder, isOver))).toEqual(['line 1', 'line 2'])
  })
})
