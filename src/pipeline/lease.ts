// The lease: the right to run a pipeline on a target. Who holds it is a workflow of that id.

/** The workflow type, and where its id begins. */
export const LEASE = 'lease'

/** What a lease is for. */
export interface LeaseOf {
  /** The `lock` of the pipeline file, else the pipeline's name: pipelines with the same one never run at once. */
  readonly lock: string
  readonly target: string
}

/** `lease/millrace/daily/dev`: of one task queue, so that two workspaces on one server do not hold up each other. */
export function leaseId(taskQueue: string, { lock, target }: LeaseOf): string {
  return [LEASE, taskQueue, lock, target].join('/')
}

/** Why a run does not begin; what its starter can do about it stands in `leaseTakenAdvice`. */
export function leaseTaken({ lock, target }: LeaseOf, holder: string | null): string {
  return `${holder ?? 'another run'} holds the lease of ${lock} on ${target}`
}

export function leaseTakenAdvice(lease: LeaseOf, holder: string | null): string {
  const follow = holder === null ? '' : `, or see it end: npx millrace follow ${holder}`
  return `${leaseTaken(lease, holder)}, and one run at a time is the rule; start this one with --wait to have it begin after that one${follow}. Nothing was done`
}
