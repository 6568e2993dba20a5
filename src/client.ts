// Composition root of the CLI: commands and their options → the functions in src/cli. What a command needs is loaded when
// it is given: most need neither a worker's packages nor a warehouse's.
import { ApplicationFailure } from '@temporalio/common'
import { Command } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { describeFailure } from './pipeline/failure.ts'
import type { RunRequest } from './pipeline/plan.ts'
import type { AlertsTestFlags } from './cli/alerts.ts'
import type { BackfillFlags } from './cli/backfill.ts'
import { openCli, openCliAnywhere } from './cli/cli.ts'
import type { HistoryFlags } from './cli/history.ts'
import type { InitFlags } from './cli/init.ts'
import type { InspectFlags } from './cli/inspect.ts'
import type { LogsFlags } from './cli/logs.ts'
import { parseParams } from './cli/params.ts'
import type { RunOptions } from './cli/run.ts'
import type { ApplyFlags } from './cli/schedules.ts'
import type { SetupProfilesFlags } from './cli/setup-profiles.ts'
import { color, sayError } from './cli/terminal.ts'

/** Bad input and things that are missing: told apart from a run that failed. */
const EXIT_CODE_OF_REFUSAL = 2

const program = new Command('millrace')
  .description('Durable files → warehouse → dbt → checked marts pipelines on Temporal')
  .version(packageJson.version)
  .option('--debug', 'show where an error came from')
  .configureHelp({ showGlobalOptions: true })
  .showSuggestionAfterError()
  // Its own mistakes of usage are refusals too; help and version are none.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODE_OF_REFUSAL))

program
  .command('demo')
  .description('run the daily pipeline on the sample files, from nothing to checked marts')
  .option('--exit', 'end when the run ends, on a terminal too', false)
  .option('--json', 'events as JSON lines', false)
  .action(async (options: { exit: boolean; json: boolean }) =>
    finish((await import('./cli/stack.ts')).demoCommand(openCli(), options)),
  )

program
  .command('start')
  .description('server, worker and schedules, until Ctrl+C')
  .action(async () => finish((await import('./cli/stack.ts')).startCommand(openCli())))

program
  .command('worker')
  .description('a worker alone, for a server that is up')
  .action(async () => finish((await import('./cli/stack.ts')).workerCommand(openCli())))

interface RunFlags {
  readonly target?: string
  readonly only?: string
  readonly from?: string
  readonly detach: boolean
  readonly dryRun: boolean
  readonly demo: boolean
  readonly wait: boolean
  readonly at?: string
  readonly json: boolean
}

program
  .command('run')
  .description('start a run and follow it; params of the pipeline are given as --name value')
  .argument('<pipeline>', 'name of a file in pipelines/')
  .usage('<pipeline> [--date 2026-11-18] [options]')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--only <step>', 'run just this step')
  .option('--from <step>', 'run this step and those behind it')
  .option('--wait', 'where another run of it is under way, begin after that one', false)
  .option('--at <time>', 'the time that the run is for (default: now), as 2026-11-18T02:00Z')
  .option('--detach', 'start it and return', false)
  .option('--dry-run', 'print the plan, start nothing', false)
  .option('--demo', 'on a fake source of its own, without a key: weather-hourly', false)
  .option('--json', 'events as JSON lines', false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async (pipeline: string, flags: RunFlags, command: Command) => {
    const request: RunRequest = {
      params: parseParams(command.args.slice(1)),
      ...(flags.target === undefined ? {} : { target: flags.target }),
      ...(flags.only === undefined ? {} : { only: flags.only }),
      ...(flags.from === undefined ? {} : { from: flags.from }),
      ...(flags.wait ? { wait: true } : {}),
      ...(flags.at === undefined ? {} : { runTime: flags.at }),
    }
    if (flags.demo)
      return finish((await import('./cli/stack.ts')).demoRunCommand(openCli(), pipeline, request, flags.json))
    return finish(
      flags.dryRun
        ? (await import('./cli/plan.ts')).dryRunCommand(openCli(), pipeline, request, flags.json)
        : (await import('./cli/run.ts')).runCommand(openCli(), pipeline, request, flags),
    )
  })

program
  .command('serve')
  .description("a worker and a pipeline's schedules, until Ctrl+C, which pauses them; its params go into every run")
  .argument('<pipeline>', 'name of a file in pipelines/')
  .usage('<pipeline> [--dept 9] [options]')
  .option('--demo', 'on a fake source of its own, without a key: weather-hourly', false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async (pipeline: string, { demo }: { demo: boolean }, command: Command) => {
    const params = parseParams(command.args.slice(1))
    return finish(
      (await import('./cli/stack.ts')).serveCommand(
        openCli(),
        pipeline,
        Object.keys(params).length === 0 ? {} : { params },
        demo,
      ),
    )
  })

program
  .command('backfill')
  .description('a run for each day of a range, one after the other; days that the refresh log calls good are left out')
  .argument('<pipeline>', 'one with a date param')
  .usage('<pipeline> --from 2026-11-17 --to 2026-11-19 [options]')
  .requiredOption('--from <day>', 'the first day')
  .requiredOption('--to <day>', 'the last day')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--redo', 'days with a good run, too', false)
  .option('--keep-going', 'go on behind a day that failed', false)
  .option('--detach', 'start it and return', false)
  .option('--json', 'events as JSON lines', false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async (pipeline: string, flags: BackfillFlags & { target?: string }, command: Command) => {
    const request: RunRequest = {
      params: parseParams(command.args.slice(1)),
      ...(flags.target === undefined ? {} : { target: flags.target }),
    }
    return finish((await import('./cli/backfill.ts')).backfillCommand(openCli(), pipeline, request, flags))
  })

program
  .command('follow')
  .description('follow a run that is under way')
  .argument('<workflow-id>')
  .option('--json', 'events as JSON lines', false)
  .action(async (id: string, { json }: { json: boolean }) =>
    finish((await import('./cli/follow-command.ts')).followCommand(openCli(), id, json)),
  )

program
  .command('logs')
  .description("what a run's log says, line by line; needs no server")
  .argument('<run>', "a workflow id or how it begins, or a pipeline's name: its newest run")
  .option('-f, --follow', 'go on until the run has ended', false)
  .option('--step <step>', 'only lines of this step')
  .option('--tail <lines>', 'only the last so many')
  .option('--json', 'each line as the JSON object that it is', false)
  .action(async (run: string, flags: LogsFlags) =>
    finish((await import('./cli/logs.ts')).logsCommand(openCli(), run, flags)),
  )

program
  .command('retry')
  .description('run again what failed; finished loads and dbt nodes are taken over where nothing has changed since')
  .argument('<workflow-id>')
  .option('--wait', 'where another run of it is under way, begin after that one', false)
  .option('--detach', 'start it and return', false)
  .option('--json', 'events as JSON lines', false)
  .action(async (id: string, flags: RunOptions & { wait: boolean }) =>
    finish((await import('./cli/retry.ts')).retryCommand(openCli(), id, flags)),
  )

program
  .command('cancel')
  .description('cancel a run; what it does is ended in order and recorded')
  .argument('<run>', "a workflow id, how it begins, or a pipeline's name, where just one run is under way")
  .option('--json', 'what was done, as JSON', false)
  .action(async (run: string, { json }: { json: boolean }) =>
    finish((await import('./cli/run.ts')).cancelCommand(openCli(), run, json)),
  )

program
  .command('show')
  .description('the whole report of a run: loads, nodes, every check of every mart, artifacts')
  .argument('<run>', "a workflow id or how it begins, or a pipeline's name: its newest run")
  .option('--json', 'the report as JSON', false)
  .action(async (run: string, { json }: { json: boolean }) =>
    finish((await import('./cli/show.ts')).showCommand(openCli(), run, json)),
  )

program
  .command('status')
  .description('what runs now, what is scheduled next, what is red or stale')
  .option('--json', 'all of it as one JSON object', false)
  .action(async ({ json }: { json: boolean }) =>
    finish((await import('./cli/status.ts')).statusCommand(openCli(), json)),
  )

program
  .command('check')
  .description('check pipeline files against their dbt projects')
  .argument('[pipeline]', 'all of them when left out')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--json', 'each pipeline with its problems, or its plan, as JSON', false)
  .action(async (pipeline: string | undefined, { target, json }: { target?: string; json: boolean }) =>
    finish((await import('./cli/plan.ts')).checkCommand(openCli(), pipeline, target, json)),
  )

program
  .command('inspect')
  .description('what a load would make of a CSV file; 0 clean, 1 with rejects, 2 refused')
  .argument('<file>')
  .option('--delimiter <char>', 'one character, or tab')
  .option('--quote <char>', 'one character, or none')
  .option('--escape <way>', 'of quotes inside quotes: doubled or backslash')
  .option('--encoding <name>', 'utf-8, latin1, windows-1252 or utf-16')
  .option('--line-end <kind>', 'lf (takes CRLF as well) or cr')
  .option('--header <yes|no>', 'whether the first record names the columns')
  .option(
    '--null <text>',
    'unquoted text that means NULL (default: the empty one); may be given several times',
    collect,
  )
  .option('--comment <prefix>', 'lines that begin with it are no records')
  .option('--decimal <char>', 'of numbers: . or ,')
  .option('--skip <lines>', 'lines before the header')
  .option('--into <table>', 'check against the contract of this raw table (its pipeline gives the dialect, too)')
  .option('--rows', 'print the accepted records, a JSON array a line', false)
  .option('--json', 'the verdict as JSON', false)
  .action(async (file: string, flags: InspectFlags) =>
    finish((await import('./cli/inspect.ts')).inspectCommand(openCli, file, flags)),
  )

program
  .command('rejects')
  .description("the records that a day's loads rejected, by reason")
  .argument('<pipeline>')
  .usage('<pipeline> [--date 2026-11-18] [options]')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--into <table>', 'of this raw table only')
  .option('--csv', 'print the records as they stood in their files', false)
  .option('--json', 'one JSON object a line', false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(
    async (
      pipeline: string,
      flags: { target?: string; into?: string; csv: boolean; json: boolean },
      command: Command,
    ) => {
      const request: RunRequest = {
        params: parseParams(command.args.slice(1)),
        ...(flags.target === undefined ? {} : { target: flags.target }),
      }
      return finish((await import('./cli/rejects.ts')).rejectsCommand(openCli(), pipeline, request, flags))
    },
  )

program
  .command('init')
  .description('write a first pipeline file for a dbt project, with what was found in it as comments')
  .argument('<pipeline>', "the new pipeline's name")
  .requiredOption('--project-dir <folder>', 'the dbt project')
  .option('--profiles-dir <folder>', "where profiles.yml is (default: the project's folder, then ~/.dbt)")
  .option('--target <target>', "look at this target (default: the profile's own)")
  .option('--print', 'print the file instead of writing it', false)
  .action(async (pipeline: string, flags: InitFlags) =>
    finish((await import('./cli/init.ts')).initCommand(openCliAnywhere(), pipeline, flags)),
  )

program
  .command('setup-profiles')
  .description("write the dbt profile's targets for the warehouse that infra/ made; shows what changes before it does")
  .requiredOption('--outputs <file>', 'what `tofu -chdir=infra output -json` wrote')
  .option('--project-dir <folder>', 'the dbt project (default: dbt/ of the workspace)')
  .option('--profiles-dir <folder>', "where profiles.yml is (default: the project's folder)")
  .option('--replace <target>', 'write this target even if somebody else wrote it; may be given several times', collect)
  .option('--yes', 'write without asking', false)
  .action(async (flags: SetupProfilesFlags) =>
    finish((await import('./cli/setup-profiles.ts')).setupProfilesCommand(openCli, flags)),
  )

program
  .command('history')
  .description('the refresh log: what ran, how it ended, what it loaded and built, what it was billed')
  .argument('[pipeline]', 'all of them when left out')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--since <duration>', 'how far back', '24h')
  .option('--json', 'one JSON object a run', false)
  .action(async (pipeline: string | undefined, flags: HistoryFlags) =>
    finish((await import('./cli/history.ts')).historyCommand(openCli(), pipeline, flags)),
  )

const schedule = program.command('schedules').description('what runs by itself')
schedule
  .command('apply')
  .description("make the server's schedules those of the pipeline files; shows what changes")
  .argument('[names...]', 'schedules, pipelines or groups (main, phase2, both); all when left out')
  .option('--dry-run', 'only show it', false)
  .option('--json', 'one JSON object a schedule', false)
  .action(async (names: readonly string[], flags: ApplyFlags) =>
    finish((await import('./cli/schedules.ts')).applyCommand(openCli(), names, flags)),
  )
schedule
  .command('list')
  .description(
    'each schedule: its next and last runs, what was skipped or missed, and whether the pipeline file says otherwise',
  )
  .option('--json', 'one JSON object a schedule', false)
  .action(async (flags: { json: boolean }) =>
    finish((await import('./cli/schedules.ts')).listCommand(openCli(), flags)),
  )
schedule
  .command('trigger')
  .description('run it now')
  .argument('<id>', 'as `schedules list` shows it')
  .option('--at <time>', 'the run of that time, as 2026-11-18T02:00Z')
  .action(async (id: string, flags: { at?: string }) =>
    finish((await import('./cli/schedules.ts')).triggerCommand(openCli(), id, flags)),
  )
for (const [verb, description, work] of [
  ['pause', 'no more runs of it until it is unpaused', 'pauseCommand'],
  ['unpause', 'let it run again', 'unpauseCommand'],
  ['delete', 'remove it', 'deleteCommand'],
] as const) {
  schedule
    .command(verb)
    .description(description)
    .argument('<id>', 'as `schedules list` shows it')
    .action(async (id: string) => finish((await import('./cli/schedules.ts'))[work](openCli(), id)))
}

program
  .command('alerts')
  .description('who is told when runs fail, recover, take long or do not come')
  .command('test')
  .description('send a test message on each channel of a pipeline, from the worker, and say what came of it')
  .argument('<pipeline>', 'one with `alerts`')
  .option('--target <target>', "a target of the dbt profile (default: the profile's own)")
  .option('--json', 'what came of it as JSON', false)
  .action(async (pipeline: string, flags: AlertsTestFlags) =>
    finish((await import('./cli/alerts.ts')).alertsTestCommand(openCli(), pipeline, flags)),
  )

/** Of an option that may be given several times. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

async function finish(command: Promise<number>): Promise<void> {
  process.exitCode = await command
}

function explain(error: unknown): void {
  const { message } = describeFailure(error)
  const [first = '', ...rest] = message.split('\n')
  sayError(`${color.red('✖')} ${first}`, ...rest.map((line) => `  ${line}`))
  const debug = program.opts<{ debug?: boolean }>().debug === true
  if (debug && error instanceof Error) sayError(color.dim(error.stack ?? ''))
  else if (!(error instanceof ApplicationFailure))
    sayError(color.dim('  run it with --debug to see where this came from'))
}

// `millrace … | head` closes our output: that is the reader's right, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  explain(error)
  process.exitCode = EXIT_CODE_OF_REFUSAL
}
