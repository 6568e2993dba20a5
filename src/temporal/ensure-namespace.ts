// What Millrace wants of a namespace: its search attributes, and histories that stay for 30 days.
import type { Connection } from '@temporalio/client'
import { msToTs } from '@temporalio/common/lib/time.js'
import proto from '@temporalio/proto'

const SEARCH_ATTRIBUTES = ['Pipeline', 'Target', 'LogicalDate', 'Outcome'] as const
const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
const RETENTION_DAYS = 30
const DAY_SECONDS = 86_400

export interface NamespaceAbilities {
  readonly searchAttributes: boolean
  /** One line for each thing that this server does not allow. */
  readonly notes: readonly string[]
}

/** Adds what is missing where the server allows it; what it refuses is named, and runs do without. */
export async function ensureNamespace(connection: Connection, namespace: string): Promise<NamespaceAbilities> {
  const notes: string[] = []
  const searchAttributes = await attempt(
    notes,
    'search attributes cannot be added here, so runs can only be found by pipeline and id',
    () => ensureSearchAttributes(connection, namespace),
  )
  await attempt(
    notes,
    `this namespace keeps histories for less than ${RETENTION_DAYS} days and does not let that be changed`,
    () => ensureRetention(connection, namespace),
  )
  return { searchAttributes, notes }
}

async function ensureSearchAttributes({ operatorService }: Connection, namespace: string): Promise<void> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace })
  const foreign = SEARCH_ATTRIBUTES.filter((name) => (customAttributes?.[name] ?? KEYWORD) !== KEYWORD)
  if (foreign.length > 0) throw new Error(`${foreign.join(', ')} exists with another type than Keyword`)
  const missing = SEARCH_ATTRIBUTES.filter((name) => customAttributes?.[name] === undefined)
  if (missing.length === 0) return
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]))
  await operatorService.addSearchAttributes({ namespace, searchAttributes })
}

async function ensureRetention({ workflowService }: Connection, namespace: string): Promise<void> {
  const { config } = await workflowService.describeNamespace({ namespace })
  const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0)
  if (seconds >= RETENTION_DAYS * DAY_SECONDS) return
  await workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl: msToTs(RETENTION_DAYS * DAY_SECONDS * 1000) },
  })
}

async function attempt(notes: string[], note: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0]
    notes.push(`${note} (${reason})`)
    return false
  }
}
