// leaseHolder: which run holds a lease. Asked of the server, because the run that finds it taken is told nothing more.
import { Context } from '@temporalio/activity'
import { WorkflowNotFoundError, type Client } from '@temporalio/client'

/** The workflow id of the run; null where nobody holds it (any more). */
export async function leaseHolderOf(client: Client, id: string): Promise<string | null> {
  try {
    const { status, raw } = await client.workflow.getHandle(id).describe()
    if (status.name !== 'RUNNING') return null
    return raw.workflowExecutionInfo?.parentExecution?.workflowId ?? null
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}

export const LEASE_ACTIVITIES = {
  leaseHolder: async ({ id }: { readonly id: string }): Promise<string | null> =>
    await leaseHolderOf(Context.current().client, id),
}
