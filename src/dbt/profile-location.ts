// Where a pipeline's dbt project and profile are.
import path from 'node:path'
import type { PipelineDefinition } from '../pipeline/definition.ts'

/** Where the pipeline's profile is looked for; absolute folders. */
export function profileLocation(definition: PipelineDefinition, root: string) {
  const { project_dir, profiles_dir } = definition.dbt
  return {
    projectDir: path.resolve(root, project_dir),
    ...(profiles_dir === undefined ? {} : { profilesDir: path.resolve(root, profiles_dir) }),
  }
}
