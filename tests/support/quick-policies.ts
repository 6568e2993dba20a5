// The usual policies with a worker's death noticed in seconds: for tests that kill things.
import { DEFAULT_POLICIES, type Policies } from '../../src/pipeline/policies.ts'

const quick = (policy: Policies['dbt']) => ({ ...policy, heartbeatMs: 3_000, lostWorkerDelayMs: 2_000 })

export const QUICK_POLICIES: Policies = {
  ingest: quick(DEFAULT_POLICIES.ingest),
  dbt: quick(DEFAULT_POLICIES.dbt),
  validate: quick(DEFAULT_POLICIES.validate),
  publish: quick(DEFAULT_POLICIES.publish),
  warm: quick(DEFAULT_POLICIES.warm),
  record: quick(DEFAULT_POLICIES.record),
}
