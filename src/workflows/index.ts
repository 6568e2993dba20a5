// What the workflow bundle holds. The default export runs every pipeline: a run's workflow type is its pipeline's name.
export { default } from './pipeline.ts'
export { alert } from './alert.ts'
export { watch } from './watch.ts'
export { backfill } from './backfill.ts'
export { lease } from './lease.ts'
