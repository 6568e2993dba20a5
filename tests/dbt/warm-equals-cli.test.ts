// Whatever is edited between two commands, the warm process sees the project as dbt's command line does that parses all of it.
import { mkdir, mkdtemp, readFile, realpath, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { assert, asyncProperty, integer, shuffledSubarray } from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { chooseLauncher, openDbtHosts } from '../../src/dbt/launcher.ts'
import { announceAttempt } from '../../src/dbt/resume.ts'
import { INSTALLATION } from '../../src/platform/workspace.ts'

/** A run is a project and a row of changes to it; each change costs a parse by the command line, seconds. */
const RUNS = Number(process.env['MILLRACE_WARM_RUNS'] ?? 1)
const CHANGES = 4

const DBT = { python: INSTALLATION.python, executable: path.join(path.dirname(INSTALLATION.python), 'dbt') }

const FILES: Readonly<Record<string, string>> = {
  'dbt_project.yml': 'name: fuzzed\nversion: "1.0.0"\nprofile: fuzzed\nvars: { v: 1 }\n',
  'profiles.yml': 'fuzzed: { target: dev, outputs: { dev: { type: duckdb, path: w.duckdb, schema: main } } }\n',
  'models/a.sql': "select '{{ env_var('FUZZED_SQL', 'none') }}' as e, {{ var('v') }} as v\n",
  'models/b.sql': "select *, '{{ asked_for('NAME') }}' as m from {{ ref('a') }}\n",
  'models/c.sql': "select * from {{ ref('b') }}\n",
  'models/more/d.sql': 'select {{ number() }} as d\n',
  'models/schema.yml': 'models:\n  - { name: a, columns: [{ name: e, data_tests: [not_null] }] }\n',
  'models/others.yml':
    'sources:\n  - { name: s, tables: [{ name: t, description: "{{ doc(\'words\') }}" }] }\n' +
    "exposures:\n  - { name: board, type: dashboard, owner: { name: somebody }, depends_on: [ref('a')] }\n" +
    'unit_tests:\n  - { name: one, model: a, given: [], expect: { rows: [{ v: 1 }] } }\n',
  'models/words.md': '{% docs words %}In other words.{% enddocs %}\n',
  // Which variable it reads is known only when it is called.
  'macros/asked_for.sql': "{% macro asked_for(name) %}{{ env_var('FUZZED_' ~ name, 'none') }}{% endmacro %}\n",
  'macros/number.sql': '{% macro number() %}1{% endmacro %}\n',
}

interface Project {
  readonly folder: string
  readonly env: Record<string, string>
}

/** Changes a project, with a number of its own; any order of them leaves it sound. */
const CHANGE = {
  async model({ folder }: Project, n: number) {
    await edit(path.join(folder, 'models/c.sql'), (sql) => `${sql}-- ${n} {{ target.schema }}\n`)
  },
  async 'another parent'({ folder }: Project, n: number) {
    await writeFile(
      path.join(folder, 'models/c.sql'),
      `select ${n} as n from {{ ref('${n % 2 === 0 ? 'a' : 'b'}') }}\n`,
    )
  },
  async 'new model'({ folder }: Project, n: number) {
    await writeFile(path.join(folder, `models/new_${n}.sql`), `select * from {{ ref('a') }}\n`)
  },
  async 'renamed model'({ folder }: Project) {
    await turn(path.join(folder, 'models/more/d.sql'), path.join(folder, 'models/more/e.sql'))
  },
  async 'deleted model'({ folder }: Project) {
    const file = path.join(folder, 'models/leaf.sql')
    await unlink(file).catch(() => writeFile(file, "select 1 as leaf from {{ ref('b') }}\n"))
  },
  async macro({ folder }: Project, n: number) {
    await writeFile(path.join(folder, 'macros/number.sql'), `{% macro number() %}${n}{% endmacro %}\n`)
  },
  async 'macro that overrides one of dbt'({ folder }: Project, n: number) {
    const body = `{% macro generate_alias_name(custom_alias_name=none, node=none) %}{{ node.name }}_${n}{% endmacro %}\n`
    await writeFile(path.join(folder, 'macros/alias.sql'), body)
  },
  async yaml({ folder }: Project, n: number) {
    const yaml = `models:\n  - { name: a, description: "n ${n}", config: { tags: [t${n}] }, columns: [{ name: v, data_tests: [unique] }] }\n`
    await writeFile(path.join(folder, 'models/schema.yml'), yaml)
  },
  async 'variable of the project'({ folder }: Project, n: number) {
    await edit(path.join(folder, 'dbt_project.yml'), (yaml) => yaml.replace(/v: \d+/, `v: ${n}`))
  },
  async 'environment of a model'({ env }: Project, n: number) {
    env['FUZZED_SQL'] = `sql ${n}`
  },
  async 'environment of a macro, by a name that is made up'({ env }: Project, n: number) {
    env['FUZZED_NAME'] = `macro ${n}`
  },
  async "profile's schema"({ folder }: Project, n: number) {
    await edit(path.join(folder, 'profiles.yml'), (yaml) => yaml.replace(/schema: \w+/, `schema: s${n}`))
  },
  async touch({ folder }: Project) {
    for (const file of ['models/a.sql', 'macros/asked_for.sql', 'dbt_project.yml'])
      await utimes(path.join(folder, file), new Date(), new Date())
  },
  async 'old times on new content'({ folder }: Project, n: number) {
    const file = path.join(folder, 'models/b.sql')
    await edit(file, (sql) => `${sql}-- ${n}\n`)
    await utimes(file, new Date(0), new Date(0))
  },
} as const

type Change = keyof typeof CHANGE
const ALL_CHANGES = Object.keys(CHANGE) as Change[]

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')))
}

async function turn(one: string, other: string): Promise<void> {
  await rename(one, other).catch(() => rename(other, one))
}

async function makeProject(): Promise<Project> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-warm-cli-')))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [file, text] of Object.entries(FILES)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true })
    await writeFile(path.join(folder, file), text)
  }
  return { folder, env: { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false' } }
}

/** What a command knew, and what it compiled: its manifest, but for when and where. */
async function manifestIn(outputDir: string): Promise<unknown> {
  const text = await readFile(path.join(outputDir, 'manifest.json'), 'utf8')
  const { metadata: _when, ...known } = JSON.parse(
    text.replaceAll(outputDir, 'target'),
    (key, value: unknown) => (key === 'created_at' ? undefined : value), // seconds since 1970
  ) as Record<string, unknown>
  return known
}

test(
  'after any changes to files, environment and profile, the manifest and the compiled SQL are those of the command line',
  async () => {
    const hosts = openDbtHosts()
    onTestFinished(() => hosts.stop())
    const warm = chooseLauncher('warm', hosts)
    const changes = shuffledSubarray(ALL_CHANGES, { minLength: CHANGES, maxLength: CHANGES })
    const property = asyncProperty(changes, integer({ min: 2, max: 99 }), async (chosen, number) => {
      const project = await makeProject()
      let attempts = 0
      const compileWarm = async (...words: readonly string[]) => {
        const outputDir = path.join(project.folder, 'attempts', String(attempts++))
        await announceAttempt(outputDir, 'digest')
        const args = [
          '--log-format=json',
          '--log-level=debug',
          'compile',
          ...words,
          '--target-path',
          outputDir,
          '--log-path',
          outputDir,
        ]
        const launch = { ...DBT, args, projectDir: project.folder, env: { ...project.env }, outputDir }
        const { exitCode } = await (await warm(launch, new AbortController().signal)).ended
        const events = await readFile(path.join(outputDir, 'dbt-events.jsonl'), 'utf8')
        // dbt's first word of a parse.
        return { exitCode, parsed: events.includes('StateCheckVarsHash'), outputDir }
      }
      await compileWarm()
      for (const [index, change] of chosen.entries()) {
        await CHANGE[change](project, number + index)
        // The manifest that this one leaves is what the next one goes by.
        await compileWarm()
        // Of what is not compiled the manifest tells, too.
        const words = index % 2 === 0 ? [] : ['--select', 'a']
        const { exitCode, parsed, outputDir } = await compileWarm(...words)
        expect({ change, exitCode, parsed }).toEqual({ change, exitCode: 0, parsed: false })

        const bare = path.join(project.folder, 'attempts', 'bare')
        const args = ['--no-partial-parse', 'compile', ...words, '--target-path', bare, '--log-path', bare]
        await execa(DBT.executable, args, { cwd: project.folder, env: project.env })
        expect({ change, manifest: await manifestIn(outputDir) }).toEqual({ change, manifest: await manifestIn(bare) })
      }
    })
    await assert(property, { numRuns: RUNS, endOnFailure: true })
  },
  RUNS * 900_000,
)
