// A dbt that does what the real one cannot be made to do: fake-dbt.py, in a folder that goes with the test, and all it starts.
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { onTestFinished } from 'vitest'
import type { DbtPlace, DbtWatcher } from '../../src/dbt/command.ts'
import { openDrive } from '../../src/dbt/drive.ts'
import { launchProcess, type Launch } from '../../src/dbt/launch.ts'
import type { Manifest } from '../../src/dbt/manifest.ts'
import { NO_TIMES } from '../../src/dbt/node-times.ts'
import { announceAttempt, earlierAttempts, type AttemptLedger } from '../../src/dbt/resume.ts'
import type { DbtCommand } from '../../src/pipeline/dbt-command.ts'
import { describeFailure, failureDetail, type FailureType } from '../../src/pipeline/failure.ts'
import type { DbtFailureDetail, DbtReport } from '../../src/pipeline/report.ts'
import { errorCode } from '../../src/platform/files.ts'
import { redactor } from '../../src/platform/redaction.ts'
import type { Grace } from '../../src/platform/subprocess.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'

type Signal = 'SIGINT' | 'SIGTERM'

/** What fake-dbt.py does, one after the other; it exits 0 behind the last one. */
export type Step =
  /** begin, rest, run_results, complete: a command that goes well. */
  | readonly ['sound']
  | readonly ['begin']
  | readonly ['node', uniqueId: string, status?: string, message?: string, adapterResponse?: object]
  | readonly ['start', uniqueId: string]
  | readonly ['finish', uniqueId: string, status?: string, message?: string]
  /** Does all it was asked for that is not done yet, with success. */
  | readonly ['rest']
  | readonly ['start_hook', uniqueId: string]
  | readonly ['hook', uniqueId: string]
  | readonly ['failing_hook', uniqueId: string, message: string]
  | readonly ['run_results', kind?: 'whole' | 'half' | 'foreign']
  | readonly ['complete', success: boolean, lineEnd?: '']
  /** A file in dbt's target folder. */
  | readonly ['leave', name: string, text: string]
  | readonly ['say', event: string, data: object]
  /** As it stands, on standard output (1) or error (2); characters up to U+00FF, a byte each. */
  | readonly ['text', descriptor: 1 | 2, text: string]
  | readonly ['flood', megabytes: number, descriptor?: 1 | 2]
  | readonly ['long_line', kind: 'text' | 'debug' | 'info', megabytes: number]
  | readonly ['ignore', ...Signal[]]
  | readonly ['grandchild', place: 'group' | 'session', does?: 'sleeps' | 'writes']
  | readonly ['hang']
  | readonly ['pause', seconds: number]
  | readonly ['kill']
  | readonly ['exit', code: number]

/** How it was called. */
export interface Call {
  readonly pid: number
  readonly args: readonly string[]
  /** The run_results.json that `--state` named. */
  readonly state: {
    readonly metadata: { readonly invocation_started_at: string }
    readonly results: readonly { readonly unique_id: string; readonly status: string }[]
    readonly args: Readonly<Record<string, unknown>>
  } | null
}

export interface FakeDbt {
  readonly folder: string
  readonly nodes: readonly string[]
  readonly place: DbtPlace
  /** The folder of the step's attempts, `1.1` and so on. */
  readonly stepDir: string
  calls(): Promise<readonly Call[]>
  /** Signals that reached it, in their order. */
  signals(): Promise<readonly string[]>
  /** Process numbers. */
  grandchildren(): Promise<readonly number[]>
  /** Processes that live in the groups that it led. */
  alive(): Promise<readonly string[]>
}

export const [A, B, C] = ['model.shop.a', 'model.shop.b', 'model.shop.c'] as const

/** The steps of its first call, of its second, …; the last ones are for all calls after it. */
export async function makeFake(calls: readonly (readonly Step[])[], nodes: readonly string[] = [A, B, C]) {
  const folder = await mkdtemp(path.join(tmpdir(), 'fake-dbt-'))
  const fake = fakeIn(folder, nodes)
  onTestFinished(async () => {
    const groups = (await fake.calls()).map(({ pid }) => -pid)
    for (const pid of [...groups, ...(await fake.grandchildren())]) kill(pid)
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  await mkdir(path.join(folder, 'project'))
  const program = await readFile(path.join(import.meta.dirname, 'fake-dbt.py'), 'utf8')
  await writeFile(fake.place.executable, `#!${INSTALLATION.python} -IS\n${program}`)
  await chmod(fake.place.executable, 0o755)
  const templates = await recordedEvents(['good-run', 'failing-run'])
  await writeFile(path.join(folder, 'script.json'), JSON.stringify({ nodes, templates, calls }))
  return fake
}

function fakeIn(folder: string, nodes: readonly string[]): FakeDbt {
  const lines = async (name: string) => (await readOptional(path.join(folder, name))).split('\n').filter(Boolean)
  const calls = async () => (await lines('calls.jsonl')).map((line) => JSON.parse(line) as Call)
  return {
    folder,
    nodes,
    place: {
      target: 'dev',
      projectDir: path.join(folder, 'project'),
      profilesDir: path.join(folder, 'project'),
      partialParseFile: path.join(folder, 'cache', 'partial_parse.msgpack'),
      python: INSTALLATION.python,
      executable: path.join(folder, 'dbt'),
      launch: launchProcess,
      redact: redactor([]),
      redactKnown: (text) => text,
    },
    stepDir: path.join(folder, 'run', 'dbt-run'),
    calls,
    signals: async () => await lines('signals.txt'),
    grandchildren: async () => (await lines('grandchildren.txt')).map(Number),
    alive: async () => await livingIn((await calls()).map(({ pid }) => pid)),
  }
}

/** One event of each name, as dbt 1.12.6 wrote it. */
async function recordedEvents(names: readonly string[]): Promise<Record<string, unknown>> {
  const fixtures = path.join(import.meta.dirname, '..', 'fixtures', 'dbt')
  const texts = await Promise.all(names.map((name) => readFile(path.join(fixtures, `${name}.jsonl`), 'utf8')))
  const events = texts.flatMap((text) => text.trim().split('\n')).map((line) => JSON.parse(line) as RecordedEvent)
  return Object.fromEntries(events.toReversed().map((event) => [event.info.name, event]))
}

interface RecordedEvent {
  readonly info: { readonly name: string }
}

/** Lines of ps. One that has ended but that nobody has asked for its exit code does not live. */
export async function livingIn(groups: readonly number[]): Promise<string[]> {
  const { stdout } = await execa('ps', ['-eo', 'pgid=,stat=,pid=,args='])
  return stdout.split('\n').filter((line) => {
    const [group, state = 'Z'] = line.trim().split(/\s+/)
    return groups.includes(Number(group)) && !state.startsWith('Z')
  })
}

/** A negative number names a group. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

/** Of the project, where a test does not change it. */
export const DIGEST = 'digest-of-the-project'

export const SHORT_GRACE: Grace = { afterSigintMs: 400, afterSigtermMs: 400 }

export interface DriveOptions {
  readonly abort?: AbortSignal
  readonly watcher?: DbtWatcher
  readonly command?: Partial<DbtCommand>
  /** Unique ids of what the project does behind the last node. */
  readonly endHooks?: readonly string[]
  /** Of the project's state. */
  readonly digest?: string
  /** All nodes where it is left out. */
  readonly selected?: readonly string[]
  /** Addresses of nodes that are not `shop.<name>`. */
  readonly fqn?: Readonly<Record<string, string>>
}

export interface Outcome {
  /** `sound`, `interrupted`, or the type of the failure. */
  readonly verdict: 'sound' | 'interrupted' | FailureType
  readonly message: string
  readonly report: DbtReport
  readonly ms: number
}

/** One attempt as the activity makes it: what was done is read from the step's folder. */
export async function attempt(fake: FakeDbt, name: string, options: DriveOptions = {}): Promise<Outcome> {
  const { abort = new AbortController().signal, watcher = {}, endHooks = [], digest = DIGEST } = options
  const { nodes, place, stepDir } = fake
  const drive = openDrive({
    place,
    command: { command: 'run', select: [], exclude: [], options: {}, ...options.command },
    manifest: { ...madeManifest(nodes, options.fqn), digest, endHooks },
    selected: options.selected ?? nodes,
    earlier: await earlierAttempts(stepDir, digest, place),
    usual: NO_TIMES,
    marts: [],
    estimate: null,
    outputDir: path.join(stepDir, name),
    runDir: path.dirname(stepDir),
    runLabel: 'test',
    grace: SHORT_GRACE,
  })
  const startedAtMs = performance.now()
  const took = () => performance.now() - startedAtMs
  try {
    const { interrupted, report } = await drive.run(watcher, abort)
    return { verdict: interrupted ? 'interrupted' : 'sound', message: '', report, ms: took() }
  } catch (error) {
    // Anything but a failure that was told of is an error of the driver's.
    const { type, message } = describeFailure(error)
    if (type === 'Internal') throw error
    return { verdict: type, message, report: (failureDetail(error) as DbtFailureDetail).report, ms: took() }
  }
}

function madeManifest(
  nodes: readonly string[],
  addresses: DriveOptions['fqn'] = {},
): Omit<Manifest, 'digest' | 'endHooks'> {
  return {
    sources: [],
    hasDefaultSelector: false,
    exposed: [],
    nodes: nodes.map((uniqueId) => {
      const [resourceType = '', packageName = '', name = ''] = uniqueId.split('.')
      const place = { database: 'shop', schema: 'main', alias: name, materialized: 'table', file: `${name}.sql` }
      const fqn = addresses[uniqueId] ?? `shop.${name}`
      return { ...place, uniqueId, name, resourceType, packageName, tags: [], fqn, dependsOn: [] }
    }),
  }
}

/** For launchProcess: the fake as an attempt of that name would launch it. */
export async function launchOf({ place, stepDir }: FakeDbt, name: string): Promise<Launch> {
  const outputDir = path.join(stepDir, name)
  await announceAttempt(outputDir, DIGEST)
  const { python, executable, projectDir } = place
  return { python, executable, args: ['run', '--target-path', outputDir], projectDir, env: {}, outputDir }
}

/** `{ 'model.shop.a': 'success' }` of an attempt's ledger.json, or of the step's without a name. */
export async function ledgerOf(fake: FakeDbt, name = ''): Promise<Record<string, string>> {
  const { nodes } = await readLedger(fake, name)
  return Object.fromEntries(nodes.map(({ uniqueId, result }) => [uniqueId, result?.status ?? 'unfinished']))
}

export async function readLedger({ stepDir }: FakeDbt, name = ''): Promise<AttemptLedger> {
  return JSON.parse(await readFile(path.join(stepDir, name, 'ledger.json'), 'utf8')) as AttemptLedger
}

/** Unique ids that `dbt retry` was to do. */
export function asked({ state }: Call): string[] {
  return (state?.results ?? []).filter(({ status }) => status === 'skipped').map(({ unique_id }) => unique_id)
}

async function readOptional(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  })
}
