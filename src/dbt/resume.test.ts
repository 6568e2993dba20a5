// What the attempts before this one did, from what they left in their folders.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { madeNode, recordedLedger, recordedLines } from '../../tests/fixtures/dbt/evidence.ts'
import { knownRedactor, redactor } from '../platform/redaction.ts'
import { announceAttempt, earlierAttempts, NOTHING_DONE, writeLedger, type AttemptLedger } from './resume.ts'

const folders: string[] = []
let stepDir = ''
beforeEach(async () => {
  const runDir = await mkdtemp(path.join(tmpdir(), 'millrace-resume-'))
  folders.push(runDir)
  stepDir = path.join(runDir, 'dbt-build')
  await mkdir(stepDir)
})
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

const AS_IT_IS = { redact: (text: string) => text, redactKnown: (text: string) => text }
const DIGEST = 'of-the-project'
const id = (name: string) => `model.shop.${name}`
const GRANTS = 'operation.shop.grants'
const LOG = 'operation.shop.log'

const earlier = (digest = DIGEST) => earlierAttempts(stepDir, digest, AS_IT_IS)

/** The ledger of an attempt that ended; `times` its nodes were begun. */
async function attempt(
  name: string,
  states: Readonly<Record<string, string | undefined>>,
  { times = 1, ...part }: Partial<AttemptLedger> & { readonly times?: number } = {},
) {
  await mkdir(path.join(stepDir, name), { recursive: true })
  const nodes = Object.entries(states).map(([node, status]) => madeNode(id(node), status, {}, { attempt: times }))
  const ended = { digest: DIGEST, startedAt: `began ${name}`, success: true, hooks: [], nodes }
  await writeLedger(path.join(stepDir, name), { ...ended, ...part })
}

/** `status` of each node by its name. */
async function statuses(digest = DIGEST): Promise<Record<string, string | undefined>> {
  const { nodes } = await earlier(digest)
  return Object.fromEntries([...nodes.values()].map(({ name, result }) => [name, result?.status]))
}

describe('over several attempts', () => {
  test('of none, nothing is known: an empty folder, or none', async () => {
    expect(await earlier()).toEqual(NOTHING_DONE)
    expect(await earlierAttempts(path.join(stepDir, 'none'), DIGEST, AS_IT_IS)).toEqual(NOTHING_DONE)
    expect(NOTHING_DONE).toEqual({ nodes: new Map(), startedAt: undefined, hooks: new Set(), brokenOff: [] })
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
      digest: DIGEST,
      startedAt: 'first',
      success: undefined,
      hooks: [],
      nodes: [madeNode(id('a'), 'success'), madeNode(id('b'), 'error')],
    })
    await attempt('1.1', { b: 'success' })

    expect(await statuses()).toEqual({ a: 'success', b: 'success' })
    expect((await earlier()).startedAt).toBe('first')
  })

  test('the first attempt says when it all began', async () => {
    await attempt('1.1', { a: 'error' }, { success: false })
    await attempt('1.2', { a: undefined }, { success: undefined })

    expect((await earlier()).startedAt).toBe('began 1.1')
  })

  test('hooks count that ran since the last node was done', async () => {
    await attempt('1.1', { a: 'success', b: 'error' }, { hooks: [GRANTS, LOG] })
    const first = await earlier()
    await attempt('1.2', { b: 'success' }, { hooks: [LOG], success: undefined })

    expect([[...first.hooks], [...(await earlier()).hooks]]).toEqual([[GRANTS, LOG], [LOG]])
  })

  test('an attempt that came to no node takes back no hook, and leads to none', async () => {
    await attempt('1.1', { a: 'success' }, { hooks: [GRANTS], success: undefined })
    await attempt('1.2', {}, { success: false })
    await announceAttempt(path.join(stepDir, '1.3'), DIGEST)

    expect([...(await earlier()).hooks]).toEqual([GRANTS])
  })

  test('a hook that failed must run again; it is no node of the step, and one that goes well later is enough', async () => {
    const nodes = [madeNode(id('a'), 'success'), madeNode(GRANTS, 'error')]
    await attempt('1.1', {}, { success: false, hooks: [LOG], nodes })
    const failed = await earlier()
    await attempt('2.1', { a: 'success' }, { hooks: [GRANTS, LOG] })

    expect([[...failed.nodes.keys()], [...failed.hooks]]).toEqual([[id('a')], [LOG]])
    expect([...(await earlier()).hooks]).toEqual([GRANTS, LOG])
  })

  test("what was done from another state of the project does not count: nodes, hooks, time, nor the step's own ledger", async () => {
    const other = { digest: 'another', hooks: [GRANTS] }
    await attempt('.', { a: 'success', d: 'success' }, other)
    await attempt('1.1', { a: 'success', b: 'success' }, other)
    await attempt('1.2', { a: 'error', c: 'success' })

    const { startedAt, hooks } = await earlier()
    expect([startedAt, [...hooks]]).toEqual(['began 1.2', []])
    expect(await statuses()).toEqual({ a: 'error', c: 'success' })
    // For the other state of the project the last attempt undid it.
    expect(await statuses('another')).toEqual({})
  })

  test('what another state of the project began and did not end does not count, and is tidied up all the same', async () => {
    await announceAttempt(path.join(stepDir, '1.1'), 'another')
    await writeFile(path.join(stepDir, '1.1', 'dbt-events.jsonl'), recordedLines('failing-build').join('\n'))

    expect(await earlier()).toEqual(NOTHING_DONE)

    expect(await readdir(path.join(stepDir, '1.1'))).toEqual(['ledger.json'])
    expect((await earlier('another')).nodes).toEqual(recordedLedger('failing-build').nodes)
  })

  test('other folders are passed over', async () => {
    await attempt('state', { a: 'success' })
    await attempt('1.1.old', { a: 'success' })

    expect(await statuses()).toEqual({})
  })
})

describe('of an attempt whose worker died', () => {
  async function abandoned(name: string, text: string) {
    await announceAttempt(path.join(stepDir, name), DIGEST)
    await writeFile(path.join(stepDir, name, 'dbt-events.jsonl'), text)
  }
  const LINES = recordedLines('failing-build')

  test('what dbt wrote counts as if we had read it, and becomes its ledger', async () => {
    await abandoned('1.1', LINES.join('\n'))

    const found = await earlier()

    const { nodes, startedAt, hooks } = recordedLedger('failing-build')
    expect(found).toEqual({ nodes, startedAt, hooks, brokenOff: [] })
    expect([...hooks]).toContain('operation.shop.shop-on-run-end-0')
    expect(await earlier()).toEqual(found)
  })

  test('a torn last line is passed over; nodes in the middle have no end', async () => {
    const end = LINES.findIndex((line) => line.includes('"name": "NodeFinished"') && line.includes('"sn"'))
    const torn = [...LINES.slice(0, end), LINES[end]?.slice(0, 200)].join('\n')
    await abandoned('1.1', torn)

    const { nodes, hooks } = await earlier()

    expect(nodes.get('snapshot.shop.sn')?.result).toBeUndefined()
    expect(nodes.get('model.shop.m1')?.result?.status).toBe('success')
    expect([...hooks]).toEqual(['operation.shop.shop-on-run-start-0'])
  })

  test('its nodes are counted as tried once more', async () => {
    await attempt('1.1', { m1: 'success', mb: 'error' }, { times: 2 })
    await abandoned('1.2', LINES.join('\n'))

    const { nodes } = await earlier()

    expect([id('m1'), id('mb'), id('m2')].map((each) => nodes.get(each)?.attempt)).toEqual([3, 3, 1])
  })

  test('a node that it only skipped is not tried more often by that', async () => {
    await attempt('1.1', { after_bad: 'error' }, { times: 2 })
    await abandoned('1.2', LINES.join('\n'))

    const { nodes } = await earlier()

    expect([nodes.get(id('after_bad'))?.attempt, nodes.get(id('bad'))?.attempt]).toEqual([2, 1])
  })

  test('events that are there say more than its ledger: that of an attempt which was only announced, or half told', async () => {
    await abandoned('1.1', LINES.join('\n'))
    await attempt('1.1', { m1: 'error' })

    expect(await statuses()).toMatchObject({ m1: 'success', m2: 'success' })
  })

  test('nothing is left but what a person reads, without secrets; what dbt wrote as it was is gone', async () => {
    const secret = 'Could not convert'
    const known = { redact: redactor([secret]), redactKnown: knownRedactor([secret]) }
    await abandoned('1.1', LINES.join('\n'))
    const outputDir = path.join(stepDir, '1.1')
    await mkdir(path.join(outputDir, 'run', 'models'), { recursive: true })
    const left = ['stderr.txt', 'dbt.log', 'run_results.json', 'manifest.json', 'run/models/bad.sql', 'graph.gpickle']
    await Promise.all(left.map((name) => writeFile(path.join(outputDir, name), `select '${secret}'`)))

    await earlierAttempts(stepDir, DIGEST, known)

    expect((await readdir(outputDir)).toSorted()).toEqual(['dbt.log', 'ledger.json', 'run_results.json'])
    const files = [...(await readdir(outputDir)).map((name) => path.join(outputDir, name)), manifestOfRun()]
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    for (const text of texts) {
      expect(text).toContain('[redacted]')
      expect(text).not.toContain(secret)
    }
  })

  /** Where the last command's manifest stands, too. */
  const manifestOfRun = () => path.join(stepDir, '..', 'manifest.json')

  test('its account is the same, however often it is looked at and wherever that was cut short', async () => {
    await attempt('1.1', { m1: 'success', mb: 'error' })
    await abandoned('1.2', LINES.join('\n'))
    const first = await earlier()
    // Killed behind the ledger, before the events went.
    await writeFile(path.join(stepDir, '1.2', 'dbt-events.jsonl'), LINES.join('\n'))

    expect(await earlier()).toEqual(first)
  })

  test('and had announced nothing, it is not known from which project it was done: it does not count', async () => {
    await mkdir(path.join(stepDir, '1.1'))
    await writeFile(path.join(stepDir, '1.1', 'dbt-events.jsonl'), LINES.join('\n'))

    expect(await earlier()).toEqual(NOTHING_DONE)
    expect(await readdir(path.join(stepDir, '1.1'))).toEqual(['ledger.json'])
  })

  test('that had not said anything yet, nothing is known', async () => {
    await abandoned('1.1', '')
    await mkdir(path.join(stepDir, '1.2'))

    expect(await statuses()).toEqual({})
  })
})

test('what an attempt on another state of the project built took the place of what was there: it is done again', async () => {
  await attempt('1.1', { a: 'success' })
  await attempt('2.1', { a: 'success' }, { digest: 'another one' })
  await attempt('3.1', { b: 'success' })

  expect(await statuses()).toEqual({ b: 'success' })
})
