// What the attempts before this one did, from what they left in their folders.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { madeNode, recordedLedger, recordedLines } from '../../tests/fixtures/dbt/evidence.ts'
import { earlierAttempts, writeLedger } from './resume.ts'

const folders: string[] = []
let stepDir = ''
beforeEach(async () => {
  stepDir = await mkdtemp(path.join(tmpdir(), 'millrace-resume-'))
  folders.push(stepDir)
})
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

const asItIs = (text: string) => text
const id = (name: string) => `model.shop.${name}`

/** The ledger of an attempt that ended. */
async function attempt(name: string, states: Readonly<Record<string, string | undefined>>, part: object = {}) {
  await mkdir(path.join(stepDir, name), { recursive: true })
  const nodes = Object.entries(states).map(([node, status]) => madeNode(id(node), status, {}, { attempt: 1, ...part }))
  await writeLedger(path.join(stepDir, name), { startedAt: `began ${name}`, success: true, nodes, ...part })
}

/** `status` of each node by its name. */
async function statuses(): Promise<Record<string, string | undefined>> {
  const { nodes } = await earlierAttempts(stepDir, asItIs)
  return Object.fromEntries([...nodes.values()].map(({ name, result }) => [name, result?.status]))
}

describe('over several attempts', () => {
  test('of none, nothing is known: an empty folder, or none', async () => {
    const nothing = { nodes: new Map(), startedAt: undefined, hooksDone: false }

    expect(await earlierAttempts(stepDir, asItIs)).toEqual(nothing)
    expect(await earlierAttempts(path.join(stepDir, 'none'), asItIs)).toEqual(nothing)
  })

  test('the latest word on each node counts, in the order of their numbers: 2.1 comes before 10.1', async () => {
    await attempt('10.1', { a: 'success', b: 'error' })
    await attempt('2.1', { a: 'error', b: 'success', c: 'success' })
    await attempt('1.2', { c: 'error', d: 'warn' })
    await attempt('1.10', { d: 'success' })

    expect(await statuses()).toEqual({ a: 'success', b: 'error', c: 'success', d: 'success' })
  })

  test('a node that was skipped later is done as before; one that was only skipped is skipped', async () => {
    await attempt('1.1', { a: 'success', b: 'error' })
    await attempt('2.1', { a: 'skipped', b: 'skipped', c: 'skipped' })

    expect(await statuses()).toEqual({ a: 'success', b: 'error', c: 'skipped' })
  })

  test("the step's own ledger is the first word: of a run that this one goes on with, or of another machine", async () => {
    await writeLedger(stepDir, {
      startedAt: 'first',
      success: undefined,
      nodes: [madeNode(id('a'), 'success'), madeNode(id('b'), 'error')],
    })
    await attempt('1.1', { b: 'success' })

    expect(await statuses()).toEqual({ a: 'success', b: 'success' })
    expect((await earlierAttempts(stepDir, asItIs)).startedAt).toBe('first')
  })

  test('the first attempt says when it all began, the last one whether the hooks at the end ran', async () => {
    await attempt('1.1', { a: 'error' }, { success: false })
    await attempt('1.2', { a: undefined }, { success: undefined })
    const interrupted = await earlierAttempts(stepDir, asItIs)
    await attempt('2.1', { a: 'success' })

    expect([interrupted.startedAt, interrupted.hooksDone]).toEqual(['began 1.1', false])
    expect((await earlierAttempts(stepDir, asItIs)).hooksDone).toBe(true)
  })

  test('a hook that failed must run again; it is no node of the step, and one that goes well later is enough', async () => {
    const hook = (status: string) => madeNode('operation.shop.end', status)
    const ended = { startedAt: undefined, success: false }
    await mkdir(path.join(stepDir, '1.1'))
    await writeLedger(path.join(stepDir, '1.1'), { ...ended, nodes: [madeNode(id('a'), 'success'), hook('error')] })
    const failed = await earlierAttempts(stepDir, asItIs)
    await attempt('2.1', { a: 'success' })

    expect([[...failed.nodes.keys()], failed.hooksDone]).toEqual([[id('a')], false])
    expect((await earlierAttempts(stepDir, asItIs)).hooksDone).toBe(true)
  })

  test('other folders are passed over', async () => {
    await attempt('state', { a: 'success' })
    await attempt('1.1.old', { a: 'success' })

    expect(await statuses()).toEqual({})
  })
})

describe('of an attempt whose worker died', () => {
  async function abandoned(name: string, text: string) {
    await mkdir(path.join(stepDir, name), { recursive: true })
    await writeFile(path.join(stepDir, name, 'dbt-events.jsonl'), text)
  }
  const LINES = recordedLines('failing-build')

  test('what dbt wrote counts as if we had read it, and becomes its ledger', async () => {
    await abandoned('1.1', LINES.join('\n'))

    const { nodes, startedAt, hooksDone } = await earlierAttempts(stepDir, asItIs)

    const expected = recordedLedger('failing-build')
    expect([nodes, startedAt, hooksDone]).toEqual([expected.nodes, expected.startedAt, true])
    await rm(path.join(stepDir, '1.1', 'dbt-events.jsonl'))
    expect((await earlierAttempts(stepDir, asItIs)).nodes).toEqual(nodes)
  })

  test('a torn last line is passed over; nodes in the middle have no end', async () => {
    const end = LINES.findIndex((line) => line.includes('"name": "NodeFinished"') && line.includes('"sn"'))
    const torn = [...LINES.slice(0, end), LINES[end]?.slice(0, 200)].join('\n')
    await abandoned('1.1', torn)

    const { nodes, hooksDone } = await earlierAttempts(stepDir, asItIs)

    expect(nodes.get('snapshot.shop.sn')?.result).toBeUndefined()
    expect(nodes.get('model.shop.m1')?.result?.status).toBe('success')
    expect(hooksDone).toBe(false)
  })

  test('its nodes are counted as tried once more', async () => {
    await attempt('1.1', { m1: 'success', mb: 'error' }, { attempt: 2 })
    await abandoned('1.2', LINES.join('\n'))

    const { nodes } = await earlierAttempts(stepDir, asItIs)

    expect([id('m1'), id('mb'), id('m2')].map((each) => nodes.get(each)?.attempt)).toEqual([3, 3, 1])
  })

  test('a node that it only skipped is not tried more often by that', async () => {
    await attempt('1.1', { after_bad: 'error' }, { attempt: 2 })
    await abandoned('1.2', LINES.join('\n'))

    const { nodes } = await earlierAttempts(stepDir, asItIs)

    expect([nodes.get(id('after_bad'))?.attempt, nodes.get(id('bad'))?.attempt]).toEqual([2, 1])
  })

  test('its own ledger, where there is one, says more than the events', async () => {
    await abandoned('1.1', LINES.join('\n'))
    await attempt('1.1', { m1: 'error' })

    expect(await statuses()).toEqual({ m1: 'error' })
  })

  test('secrets do not get into its ledger', async () => {
    await abandoned('1.1', LINES.join('\n'))

    await earlierAttempts(stepDir, (text) => text.replaceAll('Conversion Error', '[redacted]'))

    const ledger = await readFile(path.join(stepDir, '1.1', 'ledger.json'), 'utf8')
    expect(ledger).toContain('[redacted]: Could not convert')
    expect(ledger).not.toContain('Conversion Error')
  })

  test('that had not said anything yet, nothing is known', async () => {
    await abandoned('1.1', '')
    await mkdir(path.join(stepDir, '1.2'))

    expect(await statuses()).toEqual({})
  })
})
