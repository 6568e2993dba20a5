// The dbt driver, with a dbt that behaves as badly as a process can: it gets an honest verdict, leaves nothing running,
// holds up nothing, and what it did is known and not done again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runDbt, type DbtWatcher } from '../../src/dbt/command.ts'
import { endLeftover, eventsFile, launchProcess, stderrFile } from '../../src/dbt/launch.ts'
import { announceAttempt, earlierAttempts, type AttemptLedger } from '../../src/dbt/resume.ts'
import { knownRedactor, redactor } from '../../src/platform/redaction.ts'
import { isAlive, processStart, startGroup, type GroupCommand } from '../../src/platform/subprocess.ts'
import {
  A,
  asked,
  attempt,
  B,
  C,
  DIGEST,
  kill,
  launchOf,
  ledgerOf,
  makeFake,
  readLedger,
  SHORT_GRACE,
  type Call,
  type FakeDbt,
  type Step,
} from './fake-dbt.ts'

const FINISH: readonly Step[] = [['rest'], ['run_results'], ['complete', true]]
const NEVER = new AbortController().signal

/** The group is killed, not waited for: the system may take a moment. */
async function expectNothingAlive(fake: FakeDbt): Promise<void> {
  await expect.poll(() => fake.alive(), { timeout: 2_000 }).toEqual([])
}

async function logOf({ stepDir }: FakeDbt, name = '1.1'): Promise<string> {
  return await readFile(path.join(stepDir, name, 'dbt.log'), 'utf8')
}

/** Files below the run's folder in which that stands. */
async function filesWith({ stepDir }: FakeDbt, text: string): Promise<string[]> {
  const runDir = path.dirname(stepDir)
  const entries = await readdir(runDir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name))
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
  return files.filter((_, index) => texts[index]?.includes(text)).map((file) => path.relative(runDir, file))
}

async function lastCall(fake: FakeDbt): Promise<Call> {
  const call = (await fake.calls()).at(-1)
  if (call === undefined) throw new Error('dbt was not called')
  return call
}

/** Aborts as soon as that node has begun. */
function abortAt(uniqueId: string): { readonly abort: AbortSignal; readonly watcher: DbtWatcher } {
  const controller = new AbortController()
  const onChange: DbtWatcher['onChange'] = ({ node }) => {
    if (node.uniqueId === uniqueId) controller.abort()
  }
  return { abort: controller.signal, watcher: { onChange } }
}

describe('believed is a dbt that', () => {
  const noEvents = [
    '{',
    '{}',
    '[]',
    'null',
    '{"info": null}',
    '{"info": {"name": "NodeFinished"}}',
    'Gr\xfc\xdfe\0',
    '\r',
    '',
  ]

  test.each<[string, readonly Step[]]>([
    ['does nothing odd', [['sound']]],
    [
      'says plain text on both outputs',
      [['begin'], ['text', 1, 'of a macro\n'], ['text', 2, 'of Python\n'], ...FINISH],
    ],
    ['says what is no event', [['begin'], ['text', 1, `${noEvents.join('\n')}\n`], ...FINISH]],
    ['says events that nobody knows', [['begin'], ['say', 'NobodyKnows', { node_info: 7 }], ...FINISH]],
    ['ends a node that it did not begin', [['begin'], ['finish', A], ...FINISH]],
    ['does not end its last line', [['begin'], ['rest'], ['run_results'], ['complete', true, '']]],
    ['ends a node twice', [['begin'], ['node', A, 'error'], ['node', A], ...FINISH]],
  ])('%s', async (_what, steps) => {
    const fake = await makeFake([steps])

    const { verdict, report } = await attempt(fake, '1.1')

    expect({ verdict, counts: report.counts }).toEqual({ verdict: 'sound', counts: { success: 3 } })
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'success', [C]: 'success' })
    await expectNothingAlive(fake)
  })

  test('says plain text, which is in the log', async () => {
    const fake = await makeFake([[['begin'], ['text', 1, 'of a macro\n'], ['text', 2, 'of Python\n'], ...FINISH]])

    await attempt(fake, '1.1')

    expect(await logOf(fake)).toMatch(/Concurrency.*\nof a macro\n[^]*of Python\n\s*$/)
  })
})

describe('not believed, with what it did in its ledger, is a dbt that', () => {
  const unfinished: readonly Step[] = [['begin'], ['node', A], ['start', B]]

  test.each<[string, readonly Step[], string, Record<string, string>]>([
    [
      'writes half of its artifact',
      [['begin'], ['rest'], ['run_results', 'half'], ['complete', true]],
      'DbtVerdictDisagrees',
      { [A]: 'success', [B]: 'success', [C]: 'success' },
    ],
    [
      'writes no artifact',
      [['begin'], ['rest'], ['complete', true]],
      'DbtVerdictDisagrees',
      { [A]: 'success', [B]: 'success', [C]: 'success' },
    ],
    [
      'leaves the artifact of another invocation',
      [['begin'], ['rest'], ['run_results', 'foreign'], ['complete', true]],
      'DbtVerdictDisagrees',
      { [A]: 'success', [B]: 'success', [C]: 'success' },
    ],
    [
      'says that all is well and exits 1',
      [['sound'], ['exit', 1]],
      'DbtVerdictDisagrees',
      { [A]: 'success', [B]: 'success', [C]: 'success' },
    ],
    ['exits 0 without a word', [], 'DbtProjectInvalid', {}],
    [
      'exits 0 with all nodes done, and does not say that it is done',
      [['begin'], ['rest'], ['run_results']],
      'DbtKilled',
      { [A]: 'success', [B]: 'success', [C]: 'success' },
    ],
    ['exits 0 in the middle', unfinished, 'DbtKilled', { [A]: 'success', [B]: 'unfinished' }],
    ['is killed in the middle', [...unfinished, ['kill']], 'DbtKilled', { [A]: 'success', [B]: 'unfinished' }],
    [
      'is killed in the middle of a line',
      [...unfinished, ['text', 1, '{"data": {"node_info": {"mat'], ['kill']],
      'DbtKilled',
      { [A]: 'success', [B]: 'unfinished' },
    ],
    ['is killed at once', [['kill']], 'DbtKilled', {}],
    [
      'gives a node a state that nobody knows',
      [['begin'], ['node', A], ['node', B, 'odd', 'odd!'], ...FINISH],
      'DbtUnknown',
      { [A]: 'success', [B]: 'odd', [C]: 'success' },
    ],
    [
      'never ends a node, and says that all is well',
      [['begin'], ['node', A], ['start', B], ['run_results'], ['complete', true]],
      'DbtKilled',
      { [A]: 'success', [B]: 'unfinished' },
    ],
    [
      'does one node less than its artifact says',
      [['begin'], ['node', A], ['run_results'], ['say', 'NodeFinished', {}], ['complete', true]],
      'DbtVerdictDisagrees',
      { [A]: 'success', 'model.shop.orders': 'success' },
    ],
  ])('%s', async (_what, steps, type, nodes) => {
    const fake = await makeFake([steps])

    const { verdict } = await attempt(fake, '1.1')

    expect(verdict).toBe(type)
    expect(await ledgerOf(fake, '1.1')).toEqual(nodes)
    expect(await ledgerOf(fake)).toEqual(nodes)
    await expectNothingAlive(fake)
  })

  test('words an event that matters otherwise than dbt 1.12: its node is not done, and this process goes on', async () => {
    const reworded: Step = ['say', 'NodeFinished', { node_info: { unique_id: B }, run_result: { state: 'good' } }]
    const fake = await makeFake([[['begin'], ['node', A], ['start', B], reworded, ['pause', 0.3], ['complete', true]]])

    const { verdict } = await attempt(fake, '1.1')

    expect(verdict).not.toBe('sound')
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'unfinished' })
  })

  test('fails with a message of megabytes: the ledger has its beginning', async () => {
    const fake = await makeFake([
      [['begin'], ['node', A, 'error', 'word '.repeat(1_000_000)], ['complete', false], ['exit', 1]],
    ])

    await attempt(fake, '1.1')

    const { nodes } = await readLedger(fake, '1.1')
    expect(nodes[0]?.result?.message).toHaveLength(4_000)
  })
})

describe('much of it:', () => {
  /** Largest growth of this process's memory while that goes on, in MiB. */
  async function growthMb(work: () => Promise<unknown>): Promise<number> {
    const before = process.memoryUsage.rss()
    let peak = before
    const look = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 10)
    await work().finally(() => clearInterval(look))
    return (peak - before) / 1024 ** 2
  }

  test('300 MB of debug events between two nodes: every node is seen, and memory stays flat', async () => {
    const fake = await makeFake([[['begin'], ['node', A], ['flood', 300], ...FINISH]])

    const growth = await growthMb(() => attempt(fake, '1.1'))

    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'success', [C]: 'success' })
    expect(growth).toBeLessThan(150)
  })

  test('100 MB on standard error: memory stays flat', async () => {
    const fake = await makeFake([[['begin'], ['flood', 100, 2], ...FINISH]])

    const growth = await growthMb(() => attempt(fake, '1.1'))

    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'success', [C]: 'success' })
    expect(growth).toBeLessThan(90)
  })

  test.each(['text', 'debug', 'info'] as const)('a line of 20 MB (%s): the nodes behind it are seen', async (kind) => {
    const fake = await makeFake([[['begin'], ['node', A], ['long_line', kind, 20], ...FINISH]])

    const { verdict, ms } = await attempt(fake, '1.1')

    expect(verdict).toBe('sound')
    expect(ms).toBeLessThan(15_000)
  })

  test.each<[string, Step]>([
    ['plain text', ['text', 1, `${'f'.repeat(60_000)}\n`]],
    ['an error', ['say', 'MainEncounteredError', { exc: 'f'.repeat(60_000) }]],
  ])('%s of 60 KB without a blank, as of a geometry: it is read in no time', async (_what, step) => {
    const fake = await makeFake([[['begin'], step, ['node', A]]])

    const { ms } = await attempt(fake, '1.1')

    expect(ms).toBeLessThan(3_000)
  })

  test('3,000 nodes at once are all seen; of 3,000 the one that is missing is asked for', async () => {
    const nodes = Array.from({ length: 3_000 }, (_, index) => `model.shop.m${index}`)
    const missing = 'model.shop.m1234'
    const fake = await makeFake(
      [
        [['begin'], ['node', missing, 'error', 'deadlock detected'], ['rest'], ['complete', false], ['exit', 1]],
        [['sound']],
      ],
      nodes,
    )
    const outcome: { first?: string; second?: string; ms: number } = { ms: 0 }

    const growth = await growthMb(async () => {
      const first = await attempt(fake, '1.1')
      const second = await attempt(fake, '2.1')
      Object.assign(outcome, { first: first.verdict, second: second.verdict, ms: first.ms + second.ms })
    })

    expect(outcome).toMatchObject({ first: 'DbtTransient', second: 'sound' })
    expect(asked(await lastCall(fake))).toEqual([missing])
    expect(Object.keys(await ledgerOf(fake))).toHaveLength(3_000)
    expect(outcome.ms).toBeLessThan(20_000)
    expect(growth).toBeLessThan(200)
  })
})

describe('when the signal aborts, dbt and its whole group are gone, and what it did is known,', () => {
  const working: readonly Step[] = [['begin'], ['node', A], ['start', B], ['hang']]
  const grandchild: Step = ['grandchild', 'group']

  test.each<[string, readonly Step[], string[]]>([
    ['though it has to be asked', working, ['SIGINT']],
    ['though it ignores SIGINT', [['ignore', 'SIGINT'], ...working], ['SIGINT', 'SIGTERM']],
    ['though it ignores SIGINT and SIGTERM', [['ignore', 'SIGINT', 'SIGTERM'], ...working], ['SIGINT', 'SIGTERM']],
    ['though a process of its group ignores them, which it does not', [grandchild, ...working], ['SIGINT']],
    [
      'though all of its group ignore them',
      [grandchild, ['ignore', 'SIGINT', 'SIGTERM'], ...working],
      ['SIGINT', 'SIGTERM'],
    ],
  ])('%s', async (_what, steps, signals) => {
    const fake = await makeFake([steps])

    const { verdict, report, ms } = await attempt(fake, '1.1', abortAt(B))

    expect({ verdict, counts: report.counts }).toEqual({ verdict: 'interrupted', counts: { success: 1 } })
    expect(await fake.signals()).toEqual(signals)
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'unfinished' })
    expect(ms).toBeLessThan(6_000)
    await expectNothingAlive(fake)
  })

  test('though it has said nothing at all', async () => {
    const fake = await makeFake([[['ignore', 'SIGINT'], ['hang']]])
    const controller = new AbortController()

    const attempted = attempt(fake, '1.1', { abort: controller.signal })
    await expect.poll(() => fake.calls()).toHaveLength(1)
    controller.abort()
    const { verdict, ms } = await attempted

    expect(verdict).toBe('interrupted')
    expect(ms).toBeLessThan(6_000)
    await expectNothingAlive(fake)
  })

  test('though the signal aborted before it was started', async () => {
    const fake = await makeFake([[['ignore', 'SIGINT'], ['hang']]])

    const { verdict, ms } = await attempt(fake, '1.1', { abort: AbortSignal.abort() })

    expect(verdict).toBe('interrupted')
    expect(ms).toBeLessThan(6_000)
    await expectNothingAlive(fake)
  })

  test('and a retry that the signal ended is not begun once more by name', async () => {
    const fake = await makeFake([
      [['begin'], ['node', A], ['kill']],
      [['begin'], ['say', 'NobodyKnows', {}], ['hang']],
    ])
    await attempt(fake, '1.1')
    const controller = new AbortController()

    let starts = 0
    const watcher: DbtWatcher = { onStart: () => (starts += 1), onLine: () => controller.abort() }
    const { verdict } = await attempt(fake, '2.1', { abort: controller.signal, watcher })

    expect(verdict).toBe('interrupted')
    expect(starts).toBe(1)
    expect(await fake.calls()).toHaveLength(2)
  })
})

describe('a process that dbt leaves behind holds up nothing:', () => {
  test('in its group, it is ended', async () => {
    const fake = await makeFake([[['grandchild', 'group'], ['sound']]])

    const { verdict, ms } = await attempt(fake, '1.1')

    expect(verdict).toBe('sound')
    expect(ms).toBeLessThan(6_000)
    await expectNothingAlive(fake)
  })

  test.each(['sleeps', 'writes'] as const)('in a session of its own it may live on, also when it %s', async (does) => {
    const fake = await makeFake([[['grandchild', 'session', does], ['sound']]])

    const { verdict, ms } = await attempt(fake, '1.1')

    expect(verdict).toBe('sound')
    expect(ms).toBeLessThan(6_000)
    expect((await fake.grandchildren()).map(isAlive)).toEqual([true])
    await expectNothingAlive(fake)
  })

  test('in a session of its own it may live on when dbt is ended, too', async () => {
    const fake = await makeFake([[['grandchild', 'session'], ['begin'], ['node', A], ['start', B], ['hang']]])

    const { verdict, ms } = await attempt(fake, '1.1', abortAt(B))

    expect(verdict).toBe('interrupted')
    expect(ms).toBeLessThan(6_000)
    expect((await fake.grandchildren()).map(isAlive)).toEqual([true])
    await expectNothingAlive(fake)
  })
})

describe('what is missing, and nothing else, is asked for', () => {
  const failing: readonly Step[] = [
    ['begin'],
    ['node', A],
    ['node', B, 'error', 'deadlock detected'],
    ['finish', C, 'skipped', ''],
    ['run_results'],
    ['complete', false],
    ['exit', 1],
  ]
  const refused: readonly Step[] = [
    ['text', 2, 'Usage: dbt retry [OPTIONS]\n\nError: No such option: --state\n'],
    ['exit', 2],
  ]

  test.each<[string, readonly Step[]]>([
    ['after a node failed, and one behind it was skipped', failing],
    ['after dbt was killed', [['begin'], ['node', A], ['start', B], ['kill']]],
    [
      'after a node came to a state that nobody knows',
      [['begin'], ['node', A], ['node', B, 'odd'], ['complete', true]],
    ],
    ['also where a node came with a warning', [['begin'], ['node', A, 'warn'], ['start', B], ['kill']]],
  ])('%s', async (_what, steps) => {
    const fake = await makeFake([steps, [['sound']]])
    await attempt(fake, '1.1')

    const { verdict, report } = await attempt(fake, '2.1')

    expect({ verdict, total: report.total, takenOver: report.takenOver }).toEqual({
      verdict: 'sound',
      total: 3,
      takenOver: 1,
    })
    const { args, state } = await lastCall(fake)
    expect(args).toContain('retry')
    expect(Object.fromEntries(state?.results.map((each) => [each.unique_id, each.status]) ?? [])).toEqual({
      [A]: 'success',
      [B]: 'skipped',
      [C]: 'skipped',
    })
    expect(await ledgerOf(fake)).toMatchObject({ [B]: 'success', [C]: 'success' })
  })

  test('after dbt was ended in order', async () => {
    const fake = await makeFake([[['begin'], ['node', A], ['start', B], ['hang']], [['sound']]])
    await attempt(fake, '1.1', abortAt(B))

    await attempt(fake, '2.1')

    expect(asked(await lastCall(fake))).toEqual([B, C])
  })

  test('with the options of the command, and the time at which the first attempt began, at the third attempt too', async () => {
    const fake = await makeFake([failing, [['begin'], ['node', B], ['kill']], [['sound']]])
    const command = { options: { fullRefresh: true, threads: 2 } }
    await attempt(fake, '1.1', { command })
    const { startedAt } = await readLedger(fake, '1.1')

    await attempt(fake, '2.1', { command })
    await attempt(fake, '3.1', { command })

    const [, second, third] = await fake.calls()
    expect([second, third].map((call) => call && asked(call))).toEqual([[B, C], [C]])
    expect([second, third].map((call) => call?.state?.metadata.invocation_started_at)).toEqual([startedAt, startedAt])
    expect(third?.state?.args).toMatchObject({ which: 'run', full_refresh: true, threads: 2 })
  })

  test('and attempts are counted, over processes that nobody saw the end of', async () => {
    const again: readonly Step[] = [['begin'], ['start', B], ['kill']]
    const fake = await makeFake([[['begin'], ['node', A], ['start', B], ['kill']], again, again, [['sound']]])
    await attempt(fake, '1.1')
    const { ended } = await launchProcess(await launchOf(fake, '1.2'), NEVER)
    await ended
    await attempt(fake, '2.1')

    const { report } = await attempt(fake, '3.1')

    const attempts = Object.fromEntries(report.nodes.map((node) => [node.uniqueId, node.attempt]))
    expect(attempts).toEqual({ [A]: 1, [B]: 4, [C]: 1 })
  })

  test('and a node that was skipped was not begun', async () => {
    const fake = await makeFake([failing, [['sound']]])
    await attempt(fake, '1.1')

    const { report } = await attempt(fake, '2.1')

    const attempts = Object.fromEntries(report.nodes.map((node) => [node.uniqueId, node.attempt]))
    expect(attempts).toEqual({ [A]: 1, [B]: 2, [C]: 1 })
  })

  test('by name, where dbt refuses to retry', async () => {
    const fake = await makeFake([failing, refused, [['sound']]])
    const command = { select: ['tag:nightly'], exclude: ['old'], options: { fullRefresh: true, selector: 'nightly' } }
    await attempt(fake, '1.1', { command })

    const { verdict, report } = await attempt(fake, '2.1', { command })

    expect({ verdict, total: report.total, takenOver: report.takenOver }).toEqual({
      verdict: 'sound',
      total: 3,
      takenOver: 1,
    })
    const { args } = await lastCall(fake)
    expect(args.slice(args.indexOf('run'), args.indexOf('--project-dir'))).toEqual([
      'run',
      '--select',
      'fqn:shop.b',
      'fqn:shop.c',
      '--indirect-selection',
      'empty',
      '--full-refresh',
    ])
    expect(await fake.calls()).toHaveLength(3)
    expect(await logOf(fake, '2.1')).toContain('No such option: --state')
  })

  test('once only where dbt refuses that too', async () => {
    const fake = await makeFake([failing, refused])
    await attempt(fake, '1.1')

    const { verdict } = await attempt(fake, '2.1')

    expect(verdict).toBe('DbtProjectInvalid')
    expect(await fake.calls()).toHaveLength(3)
    expect(await ledgerOf(fake)).toEqual({ [A]: 'success', [B]: 'error', [C]: 'skipped' })
  })

  test('not by name, where it is the warehouse that refuses', async () => {
    const fake = await makeFake([
      failing,
      [
        ['text', 2, 'could not connect to server: Connection refused\n'],
        ['exit', 2],
      ],
    ])
    await attempt(fake, '1.1')

    const { verdict } = await attempt(fake, '2.1')

    expect(verdict).toBe('DbtTransient')
    expect(await fake.calls()).toHaveLength(2)
  })

  test('and a dbt that says it is done without having come to it is not believed', async () => {
    const fake = await makeFake([failing, [['begin'], ['node', B], ['run_results'], ['complete', true]]])
    await attempt(fake, '1.1')

    const { verdict, message } = await attempt(fake, '2.1')

    expect(verdict).toBe('DbtVerdictDisagrees')
    expect(message).toContain(`it never came to ${C}`)
  })

  test('without dbt, where nothing is missing', async () => {
    const fake = await makeFake([[['begin'], ['rest'], ['kill']]])
    await attempt(fake, '1.1')

    const { verdict, report } = await attempt(fake, '2.1')

    expect({ verdict, takenOver: report.takenOver }).toEqual({ verdict: 'sound', takenOver: 3 })
    expect(await fake.calls()).toHaveLength(1)
  })

  test('also of what failed and is not in our selection: dbt selected it otherwise', async () => {
    const fake = await makeFake([
      [
        ['begin'],
        ['node', A],
        ['node', B],
        ['node', C, 'error', 'deadlock detected'],
        ['run_results'],
        ['complete', false],
        ['exit', 1],
      ],
      [['sound']],
    ])
    const command = { selected: [A, B] }
    const first = await attempt(fake, '1.1', command)

    const verdicts = [await attempt(fake, '2.1', command), await attempt(fake, '3.1', command)].map(
      ({ verdict }) => verdict,
    )

    expect([first.verdict, ...verdicts]).toEqual(['DbtTransient', 'sound', 'sound'])
    expect((await fake.calls()).map(asked)).toEqual([[], [C]])
  })

  test('by name, without what lies in a folder of that name', async () => {
    const fake = await makeFake([
      [
        ['begin'],
        ['node', A],
        ['node', C],
        ['node', B, 'error', 'deadlock detected'],
        ['complete', false],
        ['exit', 1],
      ],
      refused,
      [['sound']],
    ])
    const command = { fqn: { [C]: 'shop.b.c' } }
    await attempt(fake, '1.1', command)

    await attempt(fake, '2.1', command)

    const { args } = await lastCall(fake)
    expect(args.slice(args.indexOf('run'), args.indexOf('--indirect-selection'))).toEqual([
      'run',
      '--select',
      'fqn:shop.b',
      '--exclude',
      'fqn:shop.b.c',
    ])
  })

  test('but all of it where the project is another one by now', async () => {
    const fake = await makeFake([[['begin'], ['node', A], ['start', B], ['kill']], [['sound']]])
    await attempt(fake, '1.1', { digest: 'before' })

    const { verdict, report } = await attempt(fake, '2.1')

    expect({ verdict, total: report.total, takenOver: report.takenOver }).toEqual({
      verdict: 'sound',
      total: 3,
      takenOver: 0,
    })
    expect((await lastCall(fake)).args).not.toContain('retry')
    expect((await readLedger(fake)).digest).toBe(DIGEST)
  })

  test('but all of it where a command has vars: other nodes may come of them', async () => {
    const fake = await makeFake([[['begin'], ['node', A], ['start', B], ['kill']], [['sound']]])
    const command = { command: { options: { vars: { day: '2026-11-18' } } } }
    await attempt(fake, '1.1', command)

    const { verdict, report } = await attempt(fake, '2.1', command)

    expect({ verdict, total: report.total, takenOver: report.takenOver }).toEqual({
      verdict: 'sound',
      total: 3,
      takenOver: 0,
    })
    expect((await lastCall(fake)).args).not.toContain('retry')
  })

  describe('where hooks stand behind the last node:', () => {
    const [GRANTS, LOG] = ['operation.shop.shop-on-run-end-0', 'operation.shop.shop-on-run-end-1'] as const
    const command = { endHooks: [GRANTS] }
    const soundWithHook: readonly Step[] = [['begin'], ['rest'], ['hook', GRANTS], ['run_results'], ['complete', true]]

    test('one node more, where dbt was killed before them; nothing after that', async () => {
      const fake = await makeFake([[['begin'], ['rest'], ['kill']], soundWithHook])
      await attempt(fake, '1.1', command)

      const verdicts = [await attempt(fake, '2.1', command), await attempt(fake, '3.1', command)].map(
        ({ verdict }) => verdict,
      )

      expect(verdicts).toEqual(['sound', 'sound'])
      expect(asked(await lastCall(fake))).toHaveLength(1)
      expect(await fake.calls()).toHaveLength(2)
    })

    test('one node more, where one of them failed', async () => {
      const hook: Step = ['failing_hook', GRANTS, 'deadlock detected']
      const fake = await makeFake([
        [['begin'], ['rest'], hook, ['run_results'], ['complete', false], ['exit', 1]],
        soundWithHook,
      ])
      const first = await attempt(fake, '1.1', command)

      const second = await attempt(fake, '2.1', command)

      expect([first.verdict, second.verdict]).toEqual(['DbtTransient', 'sound'])
      expect((await fake.calls()).map(asked)).toEqual([[], [expect.any(String)]])
    })

    test('nothing, where they ran before dbt was killed', async () => {
      const fake = await makeFake([[['begin'], ['rest'], ['hook', GRANTS], ['kill']]])
      await attempt(fake, '1.1', command)

      const { verdict } = await attempt(fake, '2.1', command)

      expect(verdict).toBe('sound')
      expect(await fake.calls()).toHaveLength(1)
    })

    test('one node more, where one of two ran', async () => {
      const fake = await makeFake([[['begin'], ['rest'], ['hook', GRANTS], ['kill']], [['sound']]])
      const both = { endHooks: [GRANTS, LOG] }
      await attempt(fake, '1.1', both)

      await attempt(fake, '2.1', both)

      expect((await fake.calls()).map(asked)).toEqual([[], [expect.any(String)]])
    })

    test('one node more, where dbt was asked to end in the middle of one, and then found the warehouse locked', async () => {
      const fake = await makeFake([
        [['begin'], ['rest'], ['start_hook', GRANTS], ['hang']],
        [
          ['begin'],
          ['say', 'MainEncounteredError', { exc: 'IO Error: Could not set lock on file "shop.duckdb"' }],
          ['complete', false],
          ['exit', 1],
        ],
        soundWithHook,
      ])
      const controller = new AbortController()
      const watcher: DbtWatcher = { onLine: ({ text }) => text.includes(GRANTS) && controller.abort() }
      const first = await attempt(fake, '1.1', { ...command, abort: controller.signal, watcher })

      const verdicts: string[] = []
      for (const name of ['2.1', '3.1', '4.1']) verdicts.push((await attempt(fake, name, command)).verdict)

      expect([first.verdict, ...verdicts]).toEqual(['interrupted', 'WarehouseBusy', 'sound', 'sound'])
      expect(await fake.signals()).toEqual(['SIGINT'])
      expect((await fake.calls()).map((call) => asked(call).length)).toEqual([0, 1, 1])
    })
  })
})

describe('what an earlier attempt left running', () => {
  const processFile = ({ stepDir }: FakeDbt) => path.join(stepDir, '1.1', 'process.json')

  async function leaveRunning(fake: FakeDbt): Promise<void> {
    const launch = await launchOf(fake, '1.1')
    await launchProcess(launch, NEVER)
    await expect
      .poll(() => readFile(eventsFile(launch.outputDir), 'utf8'), { timeout: 5_000 })
      .toContain(`"unique_id": "${B}"`)
  }

  /** A process that is none of ours, and that a process.json names. */
  async function leaveForeign(fake: FakeDbt, began: object): Promise<number> {
    const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
    await once(child, 'spawn')
    const { pid = 0 } = child
    onTestFinished(() => kill(pid))
    await mkdir(path.dirname(processFile(fake)), { recursive: true })
    await writeFile(processFile(fake), JSON.stringify({ pid, ...began }))
    return pid
  }

  test.each<[string, readonly Step[]]>([
    ['is ended', []],
    ['is ended though it ignores SIGINT', [['ignore', 'SIGINT']]],
  ])('%s, and what it did counts', async (_what, steps) => {
    const fake = await makeFake([[...steps, ['begin'], ['node', A], ['start', B], ['hang']], [['sound']]])
    await leaveRunning(fake)
    expect(await fake.alive()).not.toEqual([])

    const { verdict } = await attempt(fake, '1.2')

    expect(verdict).toBe('sound')
    expect(asked(await lastCall(fake))).toEqual([B, C])
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'unfinished' })
    await expectNothingAlive(fake)
  })

  test('is ended before its events are read: what it does meanwhile counts, too', async () => {
    const fake = await makeFake([
      [['begin'], ['node', A], ['start', B], ['pause', 0.5], ['finish', B], ['hang']],
      [['sound']],
    ])
    await leaveRunning(fake)
    await expect
      .poll(async () => (await readFile(eventsFile(path.join(fake.stepDir, '1.1')), 'utf8')).match(/"NodeFinished"/g))
      .toHaveLength(2)

    const { nodes } = await earlierAttempts(fake.stepDir, DIGEST, fake.place)

    expect([...nodes.values()].map(({ result }) => result?.status)).toEqual(['success', 'success'])
    await expectNothingAlive(fake)
  })

  test('and died in the middle of a line has done what it had said', async () => {
    const fake = await makeFake([
      [['begin'], ['node', A], ['start', B], ['text', 1, '{"data": {"node_in'], ['kill']],
      [['sound']],
    ])
    const { ended } = await launchProcess(await launchOf(fake, '1.1'), NEVER)
    expect(await ended).toEqual({ exitCode: undefined, signal: 'SIGKILL' })

    const { verdict } = await attempt(fake, '1.2')

    expect(verdict).toBe('sound')
    expect(asked(await lastCall(fake))).toEqual([B, C])
  })

  test.each<[string, object]>([
    ['began at another time', { began: '1' }],
    ['cannot be told from it', {}],
  ])('is not ended when its number is that of a process which %s', async (_what, began) => {
    const fake = await makeFake([[['sound']]])
    const pid = await leaveForeign(fake, began)

    const { verdict } = await attempt(fake, '1.2')

    expect(verdict).toBe('sound')
    expect(isAlive(pid)).toBe(true)
    await expect(access(processFile(fake))).rejects.toThrow('ENOENT')
  })

  test('leaves nothing of a secret once it was looked at, and its ledger', async () => {
    const secret = 'hunter2-of-the-warehouse'
    const fake = await makeFake([
      [
        ['begin'],
        ['node', A],
        ['node', B, 'error', `cannot connect with ${secret}`],
        ['text', 1, `a macro prints ${secret}\n`],
        ['text', 2, `Python warns of ${secret}\n`],
        ['leave', 'manifest.json', `{"env": "${secret}"}`],
        ['leave', 'run_results.json', `{"args": "${secret}"}`],
        ['leave', 'run/shop/a.sql', `attach '${secret}'`],
        ['kill'],
      ],
      [['sound']],
    ])
    const redacting = {
      ...fake,
      place: { ...fake.place, redact: redactor([secret]), redactKnown: knownRedactor([secret]) },
    }
    const { ended } = await launchProcess(await launchOf(fake, '1.1'), NEVER)
    await ended
    expect((await filesWith(fake, secret)).toSorted()).toEqual([
      'dbt-run/1.1/dbt-events.jsonl',
      'dbt-run/1.1/manifest.json',
      'dbt-run/1.1/run/shop/a.sql',
      'dbt-run/1.1/run_results.json',
      'dbt-run/1.1/stderr.txt',
    ])

    await attempt(redacting, '1.2')

    expect(await filesWith(fake, secret)).toEqual([])
    expect(asked(await lastCall(fake))).toEqual([B, C])
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'error' })
    expect((await readdir(path.join(fake.stepDir, '1.1'))).toSorted()).toEqual(['ledger.json', 'run_results.json'])
  })

  test('is told by its beginning', async () => {
    const fake = await makeFake([[['sound']]])
    const pid = await leaveForeign(fake, {})
    await writeFile(processFile(fake), JSON.stringify({ pid, began: await processStart(pid) }))

    expect(await endLeftover(path.dirname(processFile(fake)))).toBe(true)

    await expect.poll(() => isAlive(pid), { timeout: 2_000 }).toBe(false)
    expect(await endLeftover(path.dirname(processFile(fake)))).toBe(false)
  })
})

describe('what dbt said stays until the ledger has it:', () => {
  test('a worker that dies between the end of dbt and the ledger loses nothing', async () => {
    const fake = await makeFake([[['sound']]])
    const { stepDir, place } = fake
    const outputDir = path.join(stepDir, '1.1')
    await announceAttempt(outputDir, DIGEST)
    const command = { command: 'run', select: [], exclude: [], options: {} } as const
    await runDbt({ ...place, command, outputDir, runLabel: 'test' }, {}, NEVER)
    expect((await readLedger(fake, '1.1')).nodes).toEqual([])

    const { verdict, report } = await attempt(fake, '1.2')

    expect({ verdict, takenOver: report.takenOver }).toEqual({ verdict: 'sound', takenOver: 3 })
    expect(await fake.calls()).toHaveLength(1)
    expect(await ledgerOf(fake, '1.1')).toEqual({ [A]: 'success', [B]: 'success', [C]: 'success' })
  })

  test('it is there with the announced ledger while dbt runs, and gone when the ledger tells it', async () => {
    const fake = await makeFake([[['sound']]])
    const events = eventsFile(path.join(fake.stepDir, '1.1'))
    const during: AttemptLedger[] = []
    const reading: Promise<unknown>[] = []
    const watcher: DbtWatcher = {
      onStart: () =>
        void reading.push(
          readLedger(fake, '1.1').then((ledger) => during.push(ledger)),
          access(events),
        ),
    }

    await attempt(fake, '1.1', { watcher })
    await Promise.all(reading)

    expect(during).toEqual([{ digest: DIGEST, hooks: [], nodes: [] }])
    expect((await readdir(path.dirname(events))).toSorted()).toEqual(['dbt.log', 'ledger.json', 'run_results.json'])
  })
})

describe('launchProcess', () => {
  test('leaves a process.json while dbt lives, and none behind it', async () => {
    const fake = await makeFake([[['begin'], ['hang']]])
    const launch = await launchOf(fake, '1.1')
    const controller = new AbortController()

    const { ended } = await launchProcess({ ...launch, grace: SHORT_GRACE }, controller.signal)
    const { pid, began } = JSON.parse(await readFile(path.join(launch.outputDir, 'process.json'), 'utf8')) as Record<
      string,
      unknown
    >

    await expect.poll(() => fake.calls()).toEqual([expect.objectContaining({ pid })])
    expect(began).toBe(await processStart(Number(pid)))
    controller.abort()
    await ended
    await expect(access(path.join(launch.outputDir, 'process.json'))).rejects.toThrow('ENOENT')
  })

  test('leaves nothing running when it cannot write its process.json', async () => {
    const fake = await makeFake([[['begin'], ['hang']]])
    const launch = await launchOf(fake, '1.1')
    await mkdir(path.join(launch.outputDir, 'process.json', 'in the way'), { recursive: true })

    await expect(launchProcess({ ...launch, grace: SHORT_GRACE }, NEVER)).rejects.toThrow('process.json')

    await pause(500)
    await expectNothingAlive(fake)
  })
})

describe('startGroup', () => {
  async function commandOf(fake: FakeDbt): Promise<GroupCommand> {
    const { executable: file, args, projectDir: cwd, env, outputDir } = await launchOf(fake, '1.1')
    return {
      file,
      args,
      cwd,
      env,
      stdoutFile: eventsFile(outputDir),
      stderrFile: stderrFile(outputDir),
      grace: SHORT_GRACE,
    }
  }

  test.each<[string, readonly Step[], object]>([
    ['exit code', [['exit', 7]], { exitCode: 7, signal: undefined }],
    ['signal', [['kill']], { exitCode: undefined, signal: 'SIGKILL' }],
  ])("tells the command's %s, and appends what it says", async (_what, end, exit) => {
    const fake = await makeFake([[['text', 1, 'said'], ['text', 2, 'warned'], ...end]])
    const command = await commandOf(fake)
    await Promise.all([command.stdoutFile, command.stderrFile].map((file) => writeFile(file, 'before, ')))

    const { ended } = await startGroup(command, NEVER)

    expect(await ended).toEqual(exit)
    expect(await readFile(command.stdoutFile, 'utf8')).toBe('before, said')
    expect(await readFile(command.stderrFile, 'utf8')).toBe('before, warned')
  })

  test("kills what the command's end leaves of its group", async () => {
    const fake = await makeFake([[['grandchild', 'group']]])

    const { ended } = await startGroup(await commandOf(fake), NEVER)

    expect(await ended).toEqual({ exitCode: 0, signal: undefined })
    expect(await fake.grandchildren()).toHaveLength(1)
    await expectNothingAlive(fake)
  })

  test('rejects when there is no such command', async () => {
    const fake = await makeFake([[]])

    const started = startGroup({ ...(await commandOf(fake)), file: path.join(fake.folder, 'none') }, NEVER)

    await expect(started).rejects.toThrow('ENOENT')
  })
})
