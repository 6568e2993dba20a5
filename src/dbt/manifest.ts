// What dbt's manifest says about sources, models and where they are, cached by a digest of everything it depends on.
import { createHash } from 'node:crypto'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import { environmentVariable } from '../platform/environment.ts'
import { readJsonFile, writeFileAtomically } from '../platform/files.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import type { ProfileTarget } from './profile.ts'

/** The parts of the manifest that Millrace uses; dbt's own file can be a hundred times larger. */
export interface Manifest {
  /** Of all that it depends on: two manifests with one digest are the same. */
  readonly digest: string
  readonly sources: readonly ManifestSource[]
  readonly nodes: readonly ManifestNode[]
  /** Unique ids of what the project does after the last node of a command: grants, say. */
  readonly endHooks: readonly string[]
  /** selectors.yml has one that applies where a command names none. */
  readonly hasDefaultSelector: boolean
  /** Unique ids of what exposures are made of. */
  readonly exposed: readonly string[]
}

export interface ManifestSource {
  readonly uniqueId: string
  readonly schema: string
  /** The table's own name (`identifier` where the project gives one). */
  readonly table: string
  readonly file: string
  readonly sourceName: string
  readonly tags: readonly string[]
  readonly columns: readonly { readonly name: string; readonly dataType: string | null }[]
}

export interface ManifestNode {
  readonly uniqueId: string
  readonly name: string
  readonly resourceType: string
  readonly database: string
  readonly schema: string
  readonly alias: string
  readonly materialized: string
  readonly packageName: string
  readonly file: string
  readonly tags: readonly string[]
  /** dbt's own address of a node, for selecting exactly it: `shop.staging.stg_orders`. */
  readonly fqn: string
  /** Unique ids of the nodes and sources that it is made of (a test's: what it looks at). */
  readonly dependsOn: readonly string[]
  /** Of a generic test: which one, of which node, and the columns that it is given. */
  readonly test?: { readonly kind: string; readonly of: string; readonly columns: readonly string[] }
}

const column = z.object({ name: z.string(), data_type: z.string().nullish() })
const nodeSchema = z.object({
  unique_id: z.string(),
  name: z.string(),
  resource_type: z.string(),
  package_name: z.string().default(''),
  original_file_path: z.string().default(''),
  database: z.string().nullish(),
  schema: z.string().nullish(),
  alias: z.string().nullish(),
  config: z.looseObject({
    materialized: z.string().nullish(),
    where: z.unknown().optional(),
    severity: z.string().nullish(),
  }),
  test_metadata: z.looseObject({ name: z.string(), kwargs: z.record(z.string(), z.unknown()).default({}) }).nullish(),
  attached_node: z.string().nullish(),
  column_name: z.string().nullish(),
  tags: z.union([z.array(z.string()), z.string()]).default([]),
  fqn: z.array(z.string()).default([]),
  depends_on: z.object({ nodes: z.array(z.string()).default([]) }).default({ nodes: [] }),
})
const manifestSchema = z.object({
  sources: z.record(
    z.string(),
    z.object({
      unique_id: z.string(),
      schema: z.string(),
      identifier: z.string(),
      source_name: z.string().default(''),
      tags: z.array(z.string()).default([]),
      original_file_path: z.string(),
      columns: z.record(z.string(), column),
    }),
  ),
  nodes: z.record(z.string(), nodeSchema),
  unit_tests: z.record(z.string(), nodeSchema).default({}),
  functions: z.record(z.string(), nodeSchema).default({}),
  exposures: z.record(z.string(), z.object({ depends_on: z.object({ nodes: z.array(z.string()) }) })).default({}),
  selectors: z.record(z.string(), z.looseObject({ default: z.unknown() })).default({}),
})

/** Reduces dbt's manifest.json (version 12). Throws a plain Error when it is of another form. */
export function readManifest(text: string): Omit<Manifest, 'digest'> {
  const { sources, nodes, unit_tests, functions, exposures, selectors } = manifestSchema.parse(JSON.parse(text))
  const operations = Object.values(nodes).filter(({ resource_type }) => resource_type === 'operation')
  return {
    hasDefaultSelector: Object.values(selectors).some((selector) => selector.default === true),
    exposed: [...new Set(Object.values(exposures).flatMap(({ depends_on }) => depends_on.nodes))],
    endHooks: operations.filter(({ tags }) => tags.includes('on-run-end')).map(({ unique_id }) => unique_id),
    sources: Object.values(sources).map((source) => ({
      uniqueId: source.unique_id,
      schema: source.schema,
      table: source.identifier,
      file: source.original_file_path,
      sourceName: source.source_name,
      tags: source.tags,
      columns: Object.values(source.columns).map(({ name, data_type }) => ({ name, dataType: data_type ?? null })),
    })),
    nodes: [...Object.values(nodes), ...Object.values(unit_tests), ...Object.values(functions)]
      .filter(({ resource_type }) => resource_type !== 'operation')
      .map((node) => ({
        uniqueId: node.unique_id,
        name: node.name,
        resourceType: node.resource_type,
        database: node.database ?? '',
        schema: node.schema ?? '',
        alias: node.alias ?? node.name,
        materialized: node.config.materialized ?? '',
        packageName: node.package_name,
        file: node.original_file_path,
        tags: typeof node.tags === 'string' ? [node.tags] : node.tags,
        fqn: node.fqn.join('.'),
        dependsOn: node.depends_on.nodes,
        ...testOf(node),
      })),
  }
}

/** Of a test that holds for all rows and fails the run; others promise less. */
function testOf({ test_metadata, attached_node, column_name, config }: z.output<typeof nodeSchema>) {
  const isWeak = (config.where ?? null) !== null || /^warn$/i.test(config.severity ?? '')
  if (!test_metadata || !attached_node || isWeak) return {}
  const combination = test_metadata.kwargs['combination_of_columns'] ?? test_metadata.kwargs['columns']
  const given = Array.isArray(combination) ? combination : [column_name]
  const columns = given.filter((name) => typeof name === 'string')
  return { test: { kind: test_metadata.name, of: attached_node, columns } }
}

/** What a manifest is made from. */
export interface ManifestOrigin {
  readonly projectDir: string
  readonly target: ProfileTarget
  readonly executable: string
  /** What the pipeline adds to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * The manifest of a project and target: from the cache when nothing it depends on has changed, else from `parse`,
 * which returns the text of a fresh manifest.json. `cacheDir` is ours to fill.
 */
export async function cachedManifest(
  origin: ManifestOrigin,
  cacheDir: string,
  parse: () => Promise<string>,
): Promise<Manifest> {
  const digest = await projectDigest(origin)
  const file = path.join(cacheDir, `${digest}.json`)
  const cached = await readJsonFile<Manifest>(file)
  if (cached !== undefined) return cached
  const manifest = { digest, ...readManifest(await parse()) }
  await writeFileAtomically(file, JSON.stringify(manifest))
  return manifest
}

/** Of what is cached: raise it when the type Manifest changes. */
const CACHED_FORM = 4

/** At the project's top only: `models/logs/` is as much of it as any other folder. */
const LEFT_OUT = new Set(['target', 'logs', '.git', 'node_modules', '.venv', 'venv'])

/**
 * A dbt that Millrace brings is told by its lock, so that all machines have one digest; one of the project's own by its
 * file and the time of its installation.
 */
async function dbtDigest(executable: string): Promise<string | Buffer> {
  const lock = new Map([
    [INSTALLATION.python, 'requirements.lock'],
    [INSTALLATION.bigQueryPython, 'requirements-bigquery.lock'],
  ])
  const [, ours] = [...lock].find(([python]) => executable === path.join(path.dirname(python), 'dbt')) ?? []
  if (ours !== undefined) return await readFile(path.join(INSTALLATION.root, 'tools', 'python', ours))
  return `${executable} ${(await stat(executable).catch(() => undefined))?.mtimeMs ?? ''}`
}

/** A digest over the project's files, the environment variables they name, the target and the dbt that parses them. */
async function projectDigest({ projectDir, target, executable, env = {} }: ManifestOrigin): Promise<string> {
  const hash = createHash('sha256').update(`form ${CACHED_FORM}`)
  const { type, schema, database, path: location, dbname, project, dataset } = target.settings
  hash.update(JSON.stringify({ target: target.target, type, schema, database, location, dbname, project, dataset }))
  hash.update(await dbtDigest(executable))
  // All of it: a macro may put a variable's name together.
  const variables = new Set<string>(Object.keys(env))
  for await (const file of projectFiles(projectDir)) {
    const content = await readFile(path.join(projectDir, file))
    hash.update(`\0${file}\0${content.length}\0`).update(content)
    for (const [, name] of content.toString('latin1').matchAll(/env_var\(\s*['"](\w+)/g)) variables.add(name ?? '')
  }
  for (const name of [...variables].sort()) hash.update(`\0${name}=${env[name] ?? environmentVariable(name) ?? ''}`)
  return hash.digest('hex').slice(0, 32)
}

/**
 * Paths relative to the project, in a fixed order, without what dbt itself writes. Links are followed, because local
 * packages are links; a folder that was met already is not entered again.
 */
async function* projectFiles(projectDir: string, below = '', seen = new Set<string>()): AsyncGenerator<string> {
  const folder = await realpath(path.join(projectDir, below))
  if (seen.has(folder)) return
  seen.add(folder)
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(below, entry.name)
    if (below === '' && LEFT_OUT.has(entry.name)) continue
    const kind = entry.isSymbolicLink() ? await stat(path.join(folder, entry.name)).catch(() => undefined) : entry
    if (kind?.isDirectory() === true) yield* projectFiles(projectDir, file, seen)
    else if (kind?.isFile() === true) yield file
  }
}

const MART_KINDS = new Set(['model', 'seed', 'snapshot'])

/** The model, seed or snapshot of that name; undefined when the project has none. */
export function findMart(manifest: Manifest, name: string): ManifestNode | undefined {
  return martNodes(manifest).find((node) => node.name === name)
}

export function martNames(manifest: Manifest): string[] {
  return martNodes(manifest).map((node) => node.name)
}

function martNodes(manifest: Manifest): ManifestNode[] {
  return manifest.nodes.filter((node) => MART_KINDS.has(node.resourceType) && node.materialized !== 'ephemeral')
}

/** What a source's table should be called in messages: `schema.table`. */
export function sourceNames(manifest: Manifest): string[] {
  return manifest.sources.map((source) => `${source.schema}.${source.table}`)
}

/** The manifest's file of a `dbt parse` that succeeded. */
export async function readManifestFile(outputDir: string): Promise<string> {
  return await readFile(path.join(outputDir, 'manifest.json'), 'utf8').catch(() => {
    throw failure(
      'DbtProjectInvalid',
      `dbt parse wrote no manifest.json into ${path.relative(process.cwd(), outputDir)}`,
    )
  })
}
