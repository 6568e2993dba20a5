// Which way dbt commands are launched: in forks of a warm process where that is possible, else a process for each.
import { failure } from '../pipeline/failure.ts'
import { superviseGroup, type GroupExit } from '../platform/subprocess.ts'
import { HOST_LIMITS, isDbtScript, startHost, type Host, type HostLimits } from './host.ts'
import { eventsFile, launchProcess, stderrFile, withdrawProcess, type DbtLauncher, type Launch } from './launch.ts'

export type LauncherChoice = 'auto' | 'cli' | 'warm'

/** The warm processes of a worker: one for each dbt environment that it works with. */
export interface DbtHosts {
  /** Starts the process of that dbt, if there is none. */
  prewarm(dbt: Dbt): void
  /** Undefined where this dbt cannot be kept warm now. */
  find(dbt: Dbt): Promise<Host | undefined>
  /** Ends them all; commands that run are not waited for. */
  stop(): Promise<void>
}

type Dbt = Pick<Launch, 'python' | 'executable'>

export function openDbtHosts(limits: HostLimits = HOST_LIMITS): DbtHosts {
  const hosts = new Map<string, Promise<Host | undefined>>()
  /** All of them, also those that are not ready, or that others have taken the place of. */
  const alive = new Set<Host>()
  /** When a dbt was found unfit: it may be another one by now, but is not asked each time. */
  const unfitSince = new Map<string, number>()
  let stopped = false

  const start = async (dbt: Dbt): Promise<Host | undefined> => {
    if (!(await isDbtScript(dbt.executable))) return undefined
    const host = await startHost(dbt, limits).catch(() => undefined)
    if (host !== undefined) {
      alive.add(host)
      void host.ended.then(() => alive.delete(host))
      if (stopped) host.retire()
    }
    if (host === undefined || 'unfit' in (await host.fit)) {
      unfitSince.set(dbt.executable, Date.now())
      return undefined
    }
    return host
  }
  const find = async (dbt: Dbt): Promise<Host | undefined> => {
    if (stopped || Date.now() - (unfitSince.get(dbt.executable) ?? -Infinity) < UNFIT_FOR_MS) return undefined
    const known = hosts.get(dbt.executable)
    const host = await known
    if (host !== undefined && (await host.isUsable())) return host
    // Somebody else may have started a new one meanwhile.
    if (hosts.get(dbt.executable) !== known) return await find(dbt)
    host?.retire()
    const started = start(dbt)
    hosts.set(dbt.executable, started)
    return await started
  }
  return {
    find,
    prewarm: (dbt) => void find(dbt),
    async stop() {
      stopped = true
      for (const host of alive) host.retire()
      await Promise.all(hosts.values())
    },
  }
}

const UNFIT_FOR_MS = 10 * 60_000

/** `auto` is warm where it can be; without hosts (outside a worker) everything is a process of its own. */
export function chooseLauncher(choice: LauncherChoice, hosts: DbtHosts | undefined): DbtLauncher {
  if (hosts === undefined || choice === 'cli') return launchProcess
  return async (launch, abort) => {
    const instead = async (why: string): Promise<Launched> => {
      if (choice === 'warm') throw notBegun(launch, why)
      return await launchProcess(launch, abort)
    }
    const host = await hosts.find(launch)
    if (host === undefined && choice === 'warm') throw notWarm(launch)
    if (host === undefined) return await launchProcess(launch, abort)
    return await launchWarm(host, launch, abort, instead)
  }
}

type Launched = Awaited<ReturnType<DbtLauncher>>

/** `instead` is asked where the host could not begin the command: nothing was done then. */
async function launchWarm(
  host: Host,
  launch: Launch,
  abort: AbortSignal,
  instead: (why: string) => Promise<Launched>,
): Promise<Launched> {
  const command = await host.begin(launch)
  if ('refused' in command) return await instead(command.refused)
  const begun = command.exit.then((exit): GroupExit => (exit === 'not begun' ? NOTHING_DONE : exit))
  const outputs = { stdoutFile: eventsFile(launch.outputDir), stderrFile: stderrFile(launch.outputDir) }
  const grace = launch.grace === undefined ? {} : { grace: launch.grace }
  const group = superviseGroup(command.pid, begun, { ...outputs, ...grace }, abort)
  const ended = withdrawProcess(launch.outputDir, group.ended).then(async (exit) =>
    exit === NOTHING_DONE && !abort.aborted ? await (await instead('it died')).ended : exit,
  )
  return { ended }
}

const NOTHING_DONE: GroupExit = { exitCode: undefined, signal: 'SIGKILL' }

function notWarm({ executable }: Launch): Error {
  return failure(
    'DbtMissing',
    `${executable} cannot be kept warm: it is not the script of a dbt 1 in a Python environment of its own, or does not start; ` +
      'write `dbt: { launcher: auto }` in the pipeline file, or leave it out',
  )
}

/** Another try has another process. */
function notBegun({ executable }: Launch, why: string): Error {
  return failure(
    'DbtKilled',
    `the warm process of ${executable} did not begin the command: ${why}; nothing was done; ` +
      'with `dbt: { launcher: auto }` in the pipeline file it is done by the command line then',
  )
}
