// The dbt commands that a step may run, and which options each of them takes (dbt-core 1.12, `dbt COMMAND --help`).

export const DBT_VERBS = [
  'deps',
  'seed',
  'run',
  'test',
  'build',
  'snapshot',
  'source freshness',
  'ls',
  'compile',
  'parse',
  'docs generate',
  'run-operation',
] as const

export type DbtVerb = (typeof DBT_VERBS)[number]

/** Options beside select and exclude; what is left out is dbt's own default. */
export interface DbtOptions {
  /** Name of a selector in the project's selectors.yml. */
  readonly selector?: string
  readonly fullRefresh?: boolean
  readonly failFast?: boolean
  readonly threads?: number
  readonly indirectSelection?: 'eager' | 'cautious' | 'buildable' | 'empty'
  /** Half-open window of microbatch models, as dbt reads it: `2026-11-18` or with a time. */
  readonly eventTime?: { readonly start: string; readonly end: string }
  readonly storeFailures?: boolean
  /** Other vars than the project's own make dbt parse the whole project again: seconds to minutes a command. */
  readonly vars?: Readonly<Record<string, string | number | boolean>>
  readonly operation?: { readonly macro: string; readonly args: Readonly<Record<string, unknown>> }
}

export interface DbtCommand {
  readonly command: DbtVerb
  /** Handed to dbt as separate arguments: always a union. */
  readonly select: readonly string[]
  readonly exclude: readonly string[]
  readonly options: DbtOptions
}

export type DbtOptionName = keyof DbtOptions | 'select'

interface VerbRule {
  readonly options: readonly DbtOptionName[]
  /** dbt's resource types that it works on node by node; empty where there are no nodes to see. */
  readonly types: readonly string[]
  /**
   * What shows that it succeeded, beside exit code and event stream: the nodes of run_results.json, the sources of
   * sources.json, the one operation of run_results.json, or nothing more.
   */
  readonly evidence: 'nodes' | 'sources' | 'operation' | 'none'
  /** Whether `dbt retry` can do what is missing of it (dbt-core 1.12, task/retry.py). */
  readonly resumable: boolean
}

const SELECTION = ['select', 'selector', 'indirectSelection'] as const
const EXECUTION = [...SELECTION, 'threads', 'failFast', 'vars'] as const
const BUILT = ['model', 'seed', 'snapshot', 'test', 'unit_test']

export const DBT_RULES: Readonly<Record<DbtVerb, VerbRule>> = {
  deps: { options: ['vars'], types: [], evidence: 'none', resumable: false },
  seed: { options: [...EXECUTION, 'fullRefresh'], types: ['seed'], evidence: 'nodes', resumable: true },
  run: { options: [...EXECUTION, 'fullRefresh', 'eventTime'], types: ['model'], evidence: 'nodes', resumable: true },
  test: { options: [...EXECUTION, 'storeFailures'], types: ['test', 'unit_test'], evidence: 'nodes', resumable: true },
  build: {
    options: [...EXECUTION, 'fullRefresh', 'eventTime', 'storeFailures'],
    types: BUILT,
    evidence: 'nodes',
    resumable: true,
  },
  snapshot: { options: EXECUTION, types: ['snapshot'], evidence: 'nodes', resumable: true },
  'source freshness': { options: EXECUTION, types: ['source'], evidence: 'sources', resumable: false },
  ls: { options: [...SELECTION, 'vars'], types: BUILT, evidence: 'none', resumable: false },
  compile: { options: [...EXECUTION, 'fullRefresh'], types: BUILT, evidence: 'nodes', resumable: false },
  parse: { options: ['vars', 'threads'], types: [], evidence: 'none', resumable: false },
  'docs generate': { options: EXECUTION, types: BUILT, evidence: 'nodes', resumable: false },
  'run-operation': { options: ['vars', 'operation'], types: [], evidence: 'operation', resumable: false },
}

/** Commands that change tables other commands build on. A test's stored failures are none. */
const WRITING: readonly DbtVerb[] = ['seed', 'run', 'build', 'snapshot', 'run-operation']

export function writes(command: DbtVerb): boolean {
  return WRITING.includes(command)
}

/** Activity types of the commands, as histories and Temporal's UI have them. */
export const DBT_ACTIVITIES = {
  deps: 'dbtDeps',
  seed: 'dbtSeed',
  run: 'dbtRun',
  test: 'dbtTest',
  build: 'dbtBuild',
  snapshot: 'dbtSnapshot',
  'source freshness': 'dbtSourceFreshness',
  ls: 'dbtLs',
  compile: 'dbtCompile',
  parse: 'dbtParse',
  'docs generate': 'dbtDocsGenerate',
  'run-operation': 'dbtRunOperation',
} as const satisfies Record<DbtVerb, string>

/** Options of the command that it does not take. */
export function foreignOptions({ command, select, exclude, options }: DbtCommand): DbtOptionName[] {
  const used = Object.keys(options) as DbtOptionName[]
  if (select.length > 0 || exclude.length > 0) used.push('select')
  return used.filter((name) => !DBT_RULES[command].options.includes(name))
}

/** How a person would write it: `dbt run --select a b --full-refresh`. */
export function commandText(command: DbtCommand): string {
  return ['dbt', ...commandWords(command)].map(shellWord).join(' ')
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** The command and its options as arguments of dbt, without those that say where things are. */
export function commandWords({ command, select, exclude, options }: DbtCommand): string[] {
  const { selector, fullRefresh, failFast, threads, indirectSelection, eventTime, storeFailures, vars, operation } =
    options
  return [
    ...command.split(' '),
    ...(operation === undefined ? [] : [operation.macro, '--args', JSON.stringify(operation.args)]),
    ...(select.length > 0 ? ['--select', ...select] : []),
    ...(exclude.length > 0 ? ['--exclude', ...exclude] : []),
    ...(selector === undefined ? [] : ['--selector', selector]),
    ...(indirectSelection === undefined ? [] : ['--indirect-selection', indirectSelection]),
    ...(fullRefresh === true ? ['--full-refresh'] : []),
    ...(failFast === true ? ['--fail-fast'] : []),
    ...(threads === undefined ? [] : ['--threads', String(threads)]),
    ...(eventTime === undefined ? [] : ['--event-time-start', eventTime.start, '--event-time-end', eventTime.end]),
    ...(storeFailures === true ? ['--store-failures'] : []),
    ...(vars === undefined ? [] : ['--vars', JSON.stringify(vars)]),
  ]
}
