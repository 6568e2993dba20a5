// The text of a first pipeline file for a dbt project: what was found, as steps where it is certain, else as comments.
import { lastModels } from '../dbt/marts.ts'
import type { Manifest, ManifestNode } from '../dbt/manifest.ts'
import { isIdentifier } from '../pipeline/identifier.ts'

/** What the file is written from. */
export interface FoundProject {
  readonly pipeline: string
  /** Of pipeline files, for editors; relative to the written file. */
  readonly schemaFile: string
  /** Relative to the workspace. */
  readonly projectDir: string
  readonly profilesDir?: string
  readonly targets: readonly string[]
  /** The one that was looked at. */
  readonly target: string
  readonly warehouse: string
  readonly hasPackages: boolean
  readonly manifest: Manifest
}

const MOST_LISTED = 30

export function firstPipeline(found: FoundProject): string {
  const { pipeline, projectDir, profilesDir, manifest } = found
  const marts = martsOf(manifest)
  const keyed = marts.flatMap(({ node, key }) => (key === undefined ? [] : [{ name: node.name, ...key }]))
  const places = [
    `project_dir: ${quoted(projectDir)}`,
    ...(profilesDir ? [`profiles_dir: ${quoted(profilesDir)}`] : []),
  ]
  return [
    `# yaml-language-server: $schema=${found.schemaFile}`,
    ...comments(summary(found)),
    `name: ${pipeline}`,
    `dbt: { ${places.join(', ')} }`,
    'params:',
    '  date: { type: date, default: yesterday } # the day that a run is for: {date} in files, vars and env',
    'steps:',
    ...ingestLines(manifest),
    ...(found.hasPackages ? ['  - dbt: { command: deps } # only where the packages are not what the lock says'] : []),
    '  # build runs seeds, snapshots, models and their tests in one command; two steps, `command: run` and',
    '  # `command: test`, build everything before anything is tested. `select: [tag:daily]` takes a part.',
    ...comments([`tags of the models: ${listed(tagsOf(manifest))}`], '  '),
    '  - dbt: { command: build, retries: 2, timeout: 30m }',
    '  # A day for dbt: `vars: { day: "{date}" }` or `env: { RUN_DATE: "{date}" }`; each costs parsing for every new value.',
    ...validateLines(marts),
    ...publishLines(found, keyed),
    '# refresh_log: dbt_refresh_log # a table that gets a row per run',
    'timeout: 1h',
    '# schedules:',
    `#   nightly: { cron: "0 3 * * *", target: ${quoted(found.target)}, catchup: 6h } # UTC`,
    '# alerts:',
    '#   on: [failed, warned, recovered]',
    '#   email: [data@example.org]',
    '',
  ].join('\n')
}

function summary({ manifest, targets, target, warehouse }: FoundProject): string[] {
  const { nodes, sources } = manifest
  const counted = ['model', 'seed', 'snapshot', 'test', 'unit_test'].flatMap((type) => {
    const count = nodes.filter(({ resourceType }) => resourceType === type).length
    return count === 0 ? [] : [`${count} ${type.replace('_', ' ')}${count === 1 ? '' : 's'}`]
  })
  return [
    `Found: ${counted.join(', ')}, ${sources.length} source tables.`,
    `Target ${target} (${warehouse}); the profile has: ${listed(targets)}.`,
  ]
}

/** No source says in which file it comes. */
function ingestLines({ sources }: Manifest): string[] {
  if (sources.length === 0) return ['  # No sources: nothing to load before dbt.']
  const loadable = sources.filter(({ schema, table }) => isIdentifier(schema) && isIdentifier(table))
  const others = sources.filter((source) => !loadable.includes(source)).map(({ schema, table }) => `${schema}.${table}`)
  return [
    '  # Sources that come as CSV files: say where they lie, take the # away; without it they are expected to be there.',
    ...(loadable.length === 0 ? [] : ['  # - ingest:']),
    ...loadable.slice(0, MOST_LISTED).flatMap(({ schema, table, columns }) => {
      const typed = columns.filter(({ dataType }) => dataType !== null).length
      return [
        `  #     - into: ${schema}.${table} # ${columns.length} columns declared, ${typed} with data_type`,
        `  #       files: data/inbox/${table}-{date}.csv`,
      ]
    }),
    ...(loadable.length > MOST_LISTED ? [`  # and ${loadable.length - MOST_LISTED} more`] : []),
    ...(others.length === 0
      ? []
      : comments([`not loadable, names must be lower-case letters, digits and _: ${listed(others)}`], '  ')),
  ]
}

interface Key {
  readonly columns: readonly string[]
  readonly unique: boolean
}

interface FoundMart {
  readonly node: ManifestNode
  readonly key: Key | undefined
}

/** What exposures are made of, else what stands in a folder `marts`, else the models that no other is made of. */
function martsOf(manifest: Manifest): FoundMart[] {
  const models = manifest.nodes.filter(
    ({ resourceType, materialized, name }) =>
      resourceType === 'model' && materialized !== 'ephemeral' && isIdentifier(name),
  )
  const exposed = models.filter(({ uniqueId }) => manifest.exposed.includes(uniqueId))
  const inFolder = models.filter(({ fqn }) => fqn.split('.').includes('marts'))
  const last = lastModels(manifest)
  const marts = [exposed, inFolder].find((some) => some.length > 0) ?? models.filter((model) => last.includes(model))
  return marts.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((node) => ({ node, key: keyOf(node, manifest) }))
}

/** As the project's own tests promise it; undefined where none tells. */
function keyOf({ uniqueId }: ManifestNode, { nodes }: Manifest): Key | undefined {
  const tests = nodes.flatMap(({ test }) =>
    test?.of === uniqueId && test.columns.length > 0 && test.columns.every(isIdentifier) ? [test] : [],
  )
  const unique = tests.find(({ kind }) => kind === 'unique')
  const combined = tests.find(({ kind }) => kind.startsWith('unique_combination'))
  const filled = tests.find(({ kind }) => kind === 'not_null')
  const found = unique ?? combined ?? filled
  return found === undefined ? undefined : { columns: found.columns, unique: found !== filled }
}

function validateLines(marts: readonly FoundMart[]): string[] {
  if (marts.length === 0) return ['  # No marts were found to validate.']
  const line = (name: string, { columns, unique }: Key) =>
    `- { mart: ${name}, key: [${columns.join(', ')}]${unique ? ', unique: true' : ''}, rows: { min: 1 } }`
  const lines = marts.map(({ node, key }) =>
    key === undefined
      ? `      # - { mart: ${node.name}, key: [its_key] } # no unique or not_null test tells its key`
      : `      ${line(node.name, key)}`,
  )
  const isReal = marts.some(({ key }) => key !== undefined)
  const why = '  # Keys are guessed from the unique and not_null tests of the marts.'
  return isReal
    ? [why, '  - validate:', ...lines]
    : ['  # - validate:', ...lines.map((text) => text.replace('      # ', '  #     '))]
}

function publishLines({ targets }: FoundProject, keyed: readonly { readonly name: string }[]): string[] {
  if (keyed.length === 0) return []
  const to = targets.map((target) => `${quoted(target)}: analytics_${target.toLowerCase().replaceAll(/\W/g, '_')}_live`)
  return [
    '  # Readers look at a schema of their own, which gets checked marts only, all at once.',
    `  # - publish: { to: { ${to.join(', ')} } }`,
  ]
}

function tagsOf({ nodes }: Manifest): string[] {
  return [...new Set(nodes.filter(({ resourceType }) => resourceType === 'model').flatMap(({ tags }) => tags))].sort()
}

function listed(texts: readonly string[]): string {
  const more = texts.length > MOST_LISTED ? `, and ${texts.length - MOST_LISTED} more` : ''
  return texts.length === 0 ? 'none' : `${texts.slice(0, MOST_LISTED).join(', ')}${more}`
}

/** A project's own words cannot end a comment. */
function comments(lines: readonly string[], indent = ''): string[] {
  return lines.map((line) => `${indent}# ${line.replaceAll(/\s+/g, ' ')}`)
}

function quoted(text: string): string {
  return /^[A-Za-z][\w./-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off)$/i.test(text)
    ? text
    : JSON.stringify(text)
}
