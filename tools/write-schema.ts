// Writes schema/pipeline.schema.json from the zod definition (`npm run schema`); a test fails when the two differ.
import { writeFileSync } from 'node:fs'
import { pipelineJsonSchema } from '../src/pipeline/definition.ts'

writeFileSync(
  new URL('../schema/pipeline.schema.json', import.meta.url),
  `${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`,
)
