// Engines: each is used once, also those that are made before anybody asks.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { keepEngineReady, openEngine, type Engine } from './duckdb.ts'

async function scratch(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-engine-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function setting(engine: Engine, name: string): Promise<unknown> {
  const [row] = await engine.rows('SELECT current_setting(?) AS value', [name])
  return row?.['value']
}

test('engines that are made ahead are in UTC, spill into the folder of whoever takes one, and share nothing', async () => {
  const stop = keepEngineReady()
  const folders = await Promise.all([scratch(), scratch(), scratch()])
  const engines = await Promise.all(folders.map((scratchDir) => openEngine({ scratchDir })))
  try {
    await engines[0]?.run('CREATE TEMP TABLE mine AS SELECT 1 AS one')
    await engines[0]?.run("SET timezone = 'Europe/Paris'")

    for (const [index, engine] of engines.entries()) {
      expect(await setting(engine, 'temp_directory')).toBe(folders[index])
      expect(await setting(engine, 'TimeZone')).toBe(index === 0 ? 'Europe/Paris' : 'UTC')
    }
    await expect(engines[1]?.rows('FROM mine')).rejects.toThrow('mine')
    await expect(engines[2]?.rows('FROM mine')).rejects.toThrow('mine')
  } finally {
    for (const engine of engines) engine.close()
    await stop()
  }
})

test('engines are to be had as before once none is made ahead any more', async () => {
  const stop = keepEngineReady()
  await stop()

  const engine = await openEngine({ scratchDir: await scratch() })

  expect(await engine.rows('SELECT 1 AS one')).toEqual([{ one: 1 }])
  engine.close()
})

test('an engine that was made ahead is closed a moment after it was let go, and at once when none is made ahead any more', async () => {
  const stop = keepEngineReady()
  const [first, second] = [
    await openEngine({ scratchDir: await scratch() }),
    await openEngine({ scratchDir: await scratch() }),
  ]
  const isOpen = (engine: Engine) =>
    engine.rows('SELECT 1').then(
      () => true,
      () => false,
    )

  first.close()
  await expect.poll(() => isOpen(first)).toBe(false)
  expect(await isOpen(second)).toBe(true)

  second.close()
  await stop()
  expect(await isOpen(second)).toBe(false)
})
