// What dbt's manifest says about sources, models and where they are, cached by a digest of everything it depends on.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { failure } from '../pipeline/failure.ts'
import { environmentVariable } from '../platform/environment.ts'
import { errorCode, writeFileAtomically } from '../platform/files.ts'
import { INSTALLATION } from '../platform/workspace.ts'
import type { ProfileTarget } from './profile.ts'

/** The parts of the manifest that Millrace uses; dbt's own file can be a hundred times larger. */
export interface Manifest {
  readonly sources: readonly ManifestSource[]
  readonly nodes: readonly ManifestNode[]
}

export interface ManifestSource {
  readonly uniqueId: string
  readonly schema: string
  /** The table's own name (`identifier` where the project gives one). */
  readonly table: string
  readonly file: string
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
}

const column = z.object({ name: z.string(), data_type: z.string().nullish() })
const manifestSchema = z.object({
  sources: z.record(
    z.string(),
    z.object({
      unique_id: z.string(),
      schema: z.string(),
      identifier: z.string(),
      original_file_path: z.string(),
      columns: z.record(z.string(), column),
    }),
  ),
  nodes: z.record(
    z.string(),
    z.object({
      unique_id: z.string(),
      name: z.string(),
      resource_type: z.string(),
      database: z.string().nullish(),
      schema: z.string(),
      alias: z.string().nullish(),
      config: z.looseObject({ materialized: z.string().nullish() }),
    }),
  ),
})

/** Reduces dbt's manifest.json (version 12). Throws a plain Error when it is of another form. */
export function readManifest(text: string): Manifest {
  const { sources, nodes } = manifestSchema.parse(JSON.parse(text))
  return {
    sources: Object.values(sources).map((source) => ({
      uniqueId: source.unique_id,
      schema: source.schema,
      table: source.identifier,
      file: source.original_file_path,
      columns: Object.values(source.columns).map(({ name, data_type }) => ({ name, dataType: data_type ?? null })),
    })),
    nodes: Object.values(nodes).map((node) => ({
      uniqueId: node.unique_id,
      name: node.name,
      resourceType: node.resource_type,
      database: node.database ?? '',
      schema: node.schema,
      alias: node.alias ?? node.name,
      materialized: node.config.materialized ?? '',
    })),
  }
}

/**
 * The manifest of a project and target: from the cache when nothing it depends on has changed, else from `parse`,
 * which returns the text of a fresh manifest.json. `cacheDir` is ours to fill.
 */
export async function cachedManifest(
  projectDir: string,
  target: ProfileTarget,
  cacheDir: string,
  parse: () => Promise<string>,
): Promise<Manifest> {
  const file = path.join(cacheDir, `${await projectDigest(projectDir, target)}.json`)
  const cached = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (cached !== undefined) return JSON.parse(cached) as Manifest
  const manifest = readManifest(await parse())
  await writeFileAtomically(file, JSON.stringify(manifest))
  return manifest
}

/** Of what is cached: raise it when the type Manifest changes. */
const CACHED_FORM = 1

/** At the project's top only: `models/logs/` is as much of it as any other folder. */
const LEFT_OUT = new Set(['target', 'logs', '.git', 'node_modules', '.venv', 'venv'])

/** A digest over the project's files, the environment variables they name, the target and the dbt that parses them. */
async function projectDigest(projectDir: string, target: ProfileTarget): Promise<string> {
  const hash = createHash('sha256').update(`form ${CACHED_FORM}`)
  const { type, schema, database, path: location, dbname, project, dataset } = target.settings
  hash.update(JSON.stringify({ target: target.target, type, schema, database, location, dbname, project, dataset }))
  hash.update(await readFile(path.join(INSTALLATION.root, 'tools', 'python', 'requirements.lock')))
  const variables = new Set<string>()
  for (const file of await projectFiles(projectDir)) {
    const content = await readFile(path.join(projectDir, file))
    hash.update(`\0${file}\0${content.length}\0`).update(content)
    for (const [, name] of content.toString('latin1').matchAll(/env_var\(\s*['"](\w+)/g)) variables.add(name ?? '')
  }
  for (const name of [...variables].sort()) hash.update(`\0${name}=${environmentVariable(name) ?? ''}`)
  return hash.digest('hex').slice(0, 32)
}

/** Paths relative to the project, sorted, without what dbt itself writes. */
async function projectFiles(projectDir: string): Promise<string[]> {
  const entries = await readdir(projectDir, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(projectDir, path.join(entry.parentPath, entry.name)))
    .filter((file) => !LEFT_OUT.has(file.split(path.sep)[0] ?? ''))
    .sort()
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
    throw failure('DbtProjectInvalid', `dbt parse wrote no manifest.json into ${outputDir}`)
  })
}
