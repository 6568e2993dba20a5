// What is left of a command in the run's folder: what a person may want to read, without secrets and without megabytes.
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { DbtVerb } from '../pipeline/dbt-command.ts'
import { errorCode, writeFileAtomically } from '../platform/files.ts'
import { isGood, type LedgerNode } from './ledger.ts'

const KEPT = new Set(['dbt.log', 'ledger.json', 'run_results.json', 'sources.json', 'process.json'])

/** What these commands are run for. */
const PRODUCTS: Partial<Record<DbtVerb, readonly string[]>> = {
  compile: ['compiled'],
  'docs generate': ['catalog.json', 'index.html'],
}

/**
 * Keeps logs, ledger, results and the compiled SQL of nodes that did not go well; the manifest goes to the run's folder,
 * where the last command's stands. Without a command: of one whose worker died. `redact` takes known secrets out of what is kept. Safe to repeat.
 */
export async function keepArtifacts(
  command: DbtVerb | undefined,
  outputDir: string,
  runDir: string,
  nodes: readonly LedgerNode[],
  redact: (text: string) => string,
): Promise<void> {
  const products = command === undefined ? [] : (PRODUCTS[command] ?? [])
  const wanted = nodes.flatMap(({ compiledFile, ...node }) =>
    compiledFile !== undefined && (!isGood({ ...node }) || node.result?.status === 'warn') ? [compiledFile] : [],
  )
  const rescued = path.join(outputDir, 'compiled.kept')
  if (!products.includes('compiled')) {
    for (const file of wanted) await rescue(file, outputDir, rescued)
  }
  await redactFile(path.join(outputDir, 'manifest.json'), redact)
  await renameIfThere(path.join(outputDir, 'manifest.json'), path.join(runDir, 'manifest.json'))
  for (const name of await readdir(outputDir)) {
    if (KEPT.has(name) || products.includes(name) || name === path.basename(rescued)) continue
    await rm(path.join(outputDir, name), { recursive: true, force: true })
  }
  await renameIfThere(rescued, path.join(outputDir, 'compiled'))
  await redactTree(outputDir, redact)
}

async function rescue(file: string, outputDir: string, to: string): Promise<void> {
  const below = path.relative(path.join(outputDir, 'compiled'), file)
  if (below.startsWith('..') || path.isAbsolute(below)) return
  await mkdir(path.dirname(path.join(to, below)), { recursive: true })
  await copyFile(file, path.join(to, below)).catch(ignoreMissing)
}

async function redactTree(folder: string, redact: (text: string) => string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await redactFile(path.join(entry.parentPath, entry.name), redact)
  }
}

async function redactFile(file: string, redact: (text: string) => string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(ignoreMissing)
  if (text === undefined) return
  const clean = redact(text)
  if (clean !== text) await writeFileAtomically(file, clean)
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch(ignoreMissing)
}

function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT') return undefined
  throw error
}
