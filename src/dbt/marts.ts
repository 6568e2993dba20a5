// After a command failed: which marts are still sound, because nothing that they are made of is broken.
import type { MartsAfterFailure } from '../pipeline/report.ts'
import { isGood, type LedgerNode } from './ledger.ts'
import { findMart, martNames, type Manifest, type ManifestNode } from './manifest.ts'

const MAX_LISTED = 50

/**
 * Of the marts named (of all models that no other is made of, where none is): a mart is broken when one of its ancestors,
 * itself, or a test of any of these did not go well, or one of them was selected and the command did not come to it. Marts
 * that the command has nothing to do with are left out.
 */
export function martsAfterFailure(
  manifest: Manifest,
  nodes: readonly LedgerNode[],
  selected: readonly string[],
  wanted: readonly string[],
): MartsAfterFailure {
  const byId = new Map(manifest.nodes.map((node) => [node.uniqueId, node]))
  const touched = new Map(nodes.map((node) => [node.uniqueId, node]))
  /** What did not go well, and under which name, by the nodes that it speaks of. */
  const blame = new Map<string, string>()
  for (const node of nodes) {
    if (isGood(node) || node.result?.status === 'skipped') continue
    const about = /^(?:unit_)?test$/.test(node.resourceType)
      ? (byId.get(node.uniqueId)?.dependsOn ?? [])
      : [node.uniqueId]
    for (const id of about) if (!blame.has(id)) blame.set(id, node.name)
  }
  const asked = new Set(selected)
  const unbroken: string[] = []
  const broken: { mart: string; because: string }[] = []
  for (const mart of wanted.length > 0 ? named(manifest, wanted) : lastModels(manifest)) {
    const lineage = [mart.uniqueId, ...ancestors(mart, byId)]
    const culprit = lineage.map((id) => blame.get(id)).find((name) => name !== undefined)
    const unfinished = lineage.find((id) => isUnfinished(touched.get(id)) ?? asked.has(id))
    if (culprit !== undefined) broken.push({ mart: mart.name, because: culprit })
    else if (unfinished !== undefined)
      broken.push({ mart: mart.name, because: byId.get(unfinished)?.name ?? unfinished })
    else if (lineage.some((id) => touched.has(id)) || testsTouch(manifest, touched, lineage)) unbroken.push(mart.name)
  }
  return { unbroken: unbroken.slice(0, MAX_LISTED), broken: broken.slice(0, MAX_LISTED) }
}

/** Undefined for a node that the command did not come to. */
function isUnfinished(node: LedgerNode | undefined): boolean | undefined {
  return node === undefined ? undefined : !isGood(node)
}

function named(manifest: Manifest, wanted: readonly string[]): ManifestNode[] {
  return wanted.flatMap((name) => findMart(manifest, name) ?? [])
}

/** The models that no other node but tests is made of. */
export function lastModels(manifest: Manifest): ManifestNode[] {
  const used = new Set(
    manifest.nodes.filter(({ resourceType }) => !resourceType.endsWith('test')).flatMap(({ dependsOn }) => dependsOn),
  )
  const models = new Set(martNames(manifest))
  return manifest.nodes.filter(
    ({ uniqueId, name, resourceType }) => resourceType === 'model' && models.has(name) && !used.has(uniqueId),
  )
}

function ancestors(mart: ManifestNode, byId: ReadonlyMap<string, ManifestNode>): Set<string> {
  const found = new Set<string>()
  const open = [...mart.dependsOn]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue
    found.add(id)
    open.push(...(byId.get(id)?.dependsOn ?? []))
  }
  return found
}

function testsTouch(manifest: Manifest, touched: ReadonlyMap<string, LedgerNode>, lineage: readonly string[]): boolean {
  const inside = new Set(lineage)
  return manifest.nodes.some(
    ({ uniqueId, dependsOn }) => touched.has(uniqueId) && dependsOn.some((id) => inside.has(id)),
  )
}
